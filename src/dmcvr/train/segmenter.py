"""`dmcvr train segmenter`: E_mor and its head, on focal + Dice (He et al. 2023, Sect. 2.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective

#: One view in four lies anywhere in the slice: the network also has to find the heart.
AUGMENTATION = Augmentation(anywhere=0.25)


def segmentation_loss() -> Callable[[Tensor, Tensor], Tensor]:
    """Focal (gamma 2) + Dice over the four classes, Dice over the batch; logits (B, 4, H, W), labels (B, H, W).

    Dice slice by slice would teach by heart which slices of the training set have which structure.
    """
    from monai.losses import DiceLoss, FocalLoss

    dice = DiceLoss(to_onehot_y=True, softmax=True, batch=True, include_background=False)
    focal = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        logits, labels = logits.float(), labels[:, None]
        return dice(logits, labels) + 5 * focal(logits, labels)

    return loss


def segmenter_objective(data: TrainingSet, *, batch: int, size: int, device: str) -> Objective:
    """Random views of random slices."""
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    loss_of = segmentation_loss()

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = torch.randint(len(images), (batch,), generator=generator)
        view, mask = random_view(images[chosen][:, None], labels[chosen], generator, AUGMENTATION, size)
        view = view.to(device, memory_format=torch.channels_last)
        loss = loss_of(model(view), mask.to(device))
        return loss, {"loss": loss.item()}

    return objective
