"""`dmcvr train labeller`: labels of drawn slices from the drawing, its neighbours and their labels; focal + Dice."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dmcvr.model.autoencoder import Autoencoder, SliceCodes, Surroundings
from dmcvr.model.morphology import CLASSES
from dmcvr.train.autoencoder import AUGMENTATION, mixed_codes
from dmcvr.train.data import TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import PairSet, kept
from dmcvr.train.segmenter import segmentation_loss

#: Share of the slices whose neighbours' labels are the manual ones; the others' are the segmenter's.
GIVEN = 0.5


def labeller_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """Random pairs: the model draws the mean slice between them, and the labeller labels it.

    Only `model.labeller` learns.
    """
    labels = kept(data.labels)
    loss_of = segmentation_loss()

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Autoencoder)
        model.segmenter.eval()
        size = model.preset.size
        sample = pairs.sample(batch, generator)
        canvases = torch.from_numpy(sample.neighbours())
        maps = np.stack([labels[sample.target], sample.labels_below, sample.labels_above], axis=1)
        views, masks = random_view(canvases, torch.from_numpy(maps), generator, AUGMENTATION, size)
        given = torch.rand(batch, generator=generator) < GIVEN
        noise = torch.randn(batch, 1, size, size, generator=generator)
        fraction, gap = (torch.from_numpy(part).to(device) for part in (sample.fraction, sample.gap_mm))
        views, masks, noise, given = (tensor.to(device) for tensor in (views, masks, noise, given))
        around = Surroundings(views[:, :1], views[:, 1:], fraction, gap, torch.ones_like(fraction))
        with torch.no_grad():
            drawn = model.mean(SliceCodes(noise, *mixed_codes(model, views, fraction)), around).clamp(-1, 1)
            shares = [
                torch.where(
                    given.view(-1, 1, 1, 1),
                    F.one_hot(masks[:, n + 1], CLASSES).movedim(-1, 1).float(),
                    model.segmenter(views[:, n : n + 1]).float().softmax(dim=1),
                )
                for n in range(2)
            ]
        logits = model.label(drawn, around, *shares)
        loss = loss_of(logits, masks[:, 0])
        return loss, {"loss": loss.item()}

    return objective
