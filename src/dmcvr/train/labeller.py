"""`dmcvr train labeller`: labels between slices, from what is seen and labelled around them; focal + Dice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from dmcvr.labels.distances import probabilities
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.train.between import ANY_SIDE, Between, Places
from dmcvr.train.data import TrainingSet
from dmcvr.train.loop import Objective
from dmcvr.train.losses import segmentation_loss
from dmcvr.train.pairs import PairSet
from dmcvr.train.processes import gathered, share

#: Share of the slices whose neighbours' labels are the manual ones; the others' are the segmenter's.
GIVEN = 0.5

#: Few hearts, many shapes.
BENT = replace(ANY_SIDE, elastic_mm=4.0)


def labeller_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """Random slices between two others, which are seen with their labels; only `model.labeller` learns."""
    places = Places.of(data, pairs)
    loss_of = segmentation_loss()

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, AlignedAutoencoder)
        model.segmenter.eval()
        between = places.sample(batch, generator, BENT, model.preset.size, labelled=True).to(device)
        given = torch.rand(batch, generator=generator) < GIVEN
        own = share(batch)
        loss = loss_of(gathered(label(model, between[own], given.to(device)[own])), between.labels[:, 0])
        return loss, {"loss": loss.item()}

    return objective


def label(model: AlignedAutoencoder, between: Between, given: Tensor) -> Tensor:
    """The model's labels from the neighbours' labels where `given` (B,), else from the segmenter's."""
    around = between.around()
    shares = []
    for n, seen in enumerate((around.below, around.above)):
        with torch.no_grad():
            own = model.segmenter(seen.contiguous(memory_format=torch.channels_last)).float().softmax(dim=1)
        manual = torch.from_numpy(probabilities(between.labels[:, 1 + n].cpu().numpy().astype(np.uint8))).to(own)
        shares.append(torch.where(given.view(-1, 1, 1, 1), manual, own))
    return model.label(around, *shares)
