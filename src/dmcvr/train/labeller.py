"""`dmcvr train labeller`: labels between slices, from what is seen and labelled around them; focal + Dice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from dmcvr.labels.distances import probabilities
from dmcvr.model.aligned import AlignedAutoencoder, Surroundings
from dmcvr.train.autoencoder import ANY_SIDE
from dmcvr.train.data import TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import PairSet, kept
from dmcvr.train.segmenter import segmentation_loss

#: Share of the slices whose neighbours' labels are the manual ones; the others' are the segmenter's.
GIVEN = 0.5

#: Few hearts, many shapes.
BENT = replace(ANY_SIDE, elastic_mm=4.0)


def labeller_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """Random slices between two others, which are seen with their labels; only `model.labeller` learns."""
    labels = kept(data.labels)
    loss_of = segmentation_loss()

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, AlignedAutoencoder)
        model.segmenter.eval()
        sample = pairs.sample(batch, generator)
        maps = torch.from_numpy(sample.labels(labels))
        views, masks = random_view(torch.from_numpy(sample.neighbours()), maps, generator, BENT, model.preset.size)
        given = torch.rand(batch, generator=generator) < GIVEN
        fraction, gap = torch.from_numpy(sample.fraction), torch.from_numpy(sample.gap_mm)
        views, masks, given, fraction, gap = (x.to(device) for x in (views, masks, given, fraction, gap))
        around = Surroundings(views[:, :1], views[:, 1:], fraction, gap, torch.ones_like(fraction))
        logits = label(model, around, masks[:, 1:], given)
        loss = loss_of(logits, masks[:, 0])
        return loss, {"loss": loss.item()}

    return objective


def label(model: AlignedAutoencoder, around: Surroundings, masks: Tensor, given: Tensor) -> Tensor:
    """The model's labels from the neighbours' labels (B, 2, H, W) where `given` (B,), else from the segmenter's."""
    shares = []
    for n, seen in enumerate((around.below, around.above)):
        with torch.no_grad():
            own = model.segmenter(seen.contiguous(memory_format=torch.channels_last)).float().softmax(dim=1)
        manual = torch.from_numpy(probabilities(masks[:, n].cpu().numpy().astype(np.uint8))).to(own)
        shares.append(torch.where(given.view(-1, 1, 1, 1), manual, own))
    return model.label(around, *shares)
