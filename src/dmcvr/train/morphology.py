"""`dmcvr train morphology`: E_mor and its head, on focal + Dice (He et al. 2023, Sect. 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.losses import segmentation_loss
from dmcvr.train.processes import gathered, share

#: One view in four lies anywhere in the slice: the network also has to find the heart.
AUGMENTATION = Augmentation(anywhere=0.25)


def morphology_objective(data: TrainingSet, *, batch: int, size: int, device: str) -> Objective:
    """Random views of random slices."""
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    loss_of = segmentation_loss()

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(images), (batch,), generator=generator)
        view, mask = random_view(images[chosen][:, None], labels[chosen], generator, AUGMENTATION, size)
        view = view[share(batch)].to(device, memory_format=torch.channels_last)
        loss = loss_of(gathered(model(view)), mask.to(device))
        return loss, {"loss": loss.item()}

    return objective
