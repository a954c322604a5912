"""`dmcvr train views`: the network that labels long-axis views, from the picture and from what the short axis says.

No long-axis labels are needed: views are cut through phantoms, whose truth is exact, and through patients' stacks
(`cuts`). Greys, sharpness and brightness are changed as for the segmenter of slices. What the short axis says is moved,
as the view's own breath-hold moves it, cut short, or left out, so that the picture decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dmcvr.geometry.long_axis import PIXEL_MM, SIDE
from dmcvr.model.view_segmenter import with_prior
from dmcvr.train.cuts import CutSet
from dmcvr.train.data import STILL, Augmentation, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.losses import known_loss
from dmcvr.train.processes import gathered, share
from dmcvr.train.segmenter import random_look

#: Where a view is looked at, and how it is bent; its greys are changed by `random_look` as well.
AUGMENTATION = Augmentation(
    rotation_deg=20.0,
    scale=0.15,
    shift_mm=8.0,
    contrast=0.25,
    gamma=0.4,
    noise=0.06,
    bias=0.4,
    elastic_mm=3.0,
    field=0.75,
)

#: Share of the views that patients' are, as far as there are any; of mirrored ones; of priors that are left out or
#: end too early.
OF_PATIENTS, MIRRORED, LEFT_OUT, CUT_SHORT = 0.25, 0.1, 0.08, 0.12

#: SD (mm) of a view's breath-hold beside the slices', along each axis.
BREATH_HOLD_MM = 2.5

#: Blood flows and trabeculae are rough: SD of a factor that varies over about so many mm.
ROUGH, ROUGH_MM = 0.12, 8.0


@dataclass(frozen=True)
class Views:
    """images (B, S, S) in [-1, 1], labels and priors (B, S, S)."""

    images: Tensor
    labels: Tensor
    priors: Tensor

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and priors."""
        return zip(self.images.split(size), self.priors.split(size), strict=True)


class ViewDraws:
    """Random views of a set that was cut."""

    def __init__(self, cuts: CutSet, *, batch: int) -> None:
        self.images = torch.from_numpy(cuts.images)
        self.maps = torch.from_numpy(np.stack([cuts.labels, cuts.priors], axis=1))
        patients = torch.from_numpy(cuts.of_patients)
        share = torch.tensor([1 - OF_PATIENTS, OF_PATIENTS])
        self.chance = share[patients.long()] / torch.bincount(patients.long(), minlength=2)[patients.long()]
        self.batch = batch

    def draw(self, generator: torch.Generator) -> Views:
        which = torch.multinomial(self.chance, self.batch, replacement=True, generator=generator)
        view, maps = random_view(self.images[which][:, None], self.maps[which], generator, AUGMENTATION, SIDE)
        unit = (torch.cat([random_look(part, generator) for part in view]) + 1) / 2
        images = (unit * _rough(len(unit), generator)).mul(2).sub(1).clamp(-1, 1)
        labels, priors = maps.unbind(dim=1)
        priors = torch.stack([_spoilt(part, generator) for part in priors])
        mirrored = torch.rand(len(images), generator=generator) < MIRRORED
        return Views(*(torch.where(mirrored[:, None, None], x.flip(1), x) for x in (images, labels, priors)))

    def still(self) -> Views:
        """All, as they are."""
        parts = [
            random_view(images[:, None], maps, torch.Generator().manual_seed(0), STILL, SIDE)
            for images, maps in zip(self.images.split(64), self.maps.split(64), strict=True)
        ]
        images, maps = (torch.cat(part) for part in zip(*parts, strict=True))
        return Views(images[:, 0], maps[:, 0], maps[:, 1])


def _rough(count: int, generator: torch.Generator) -> Tensor:
    """A smooth factor (B, S, S) about 1."""
    knots = round(SIDE * PIXEL_MM / ROUGH_MM)
    field = torch.randn(count, 1, knots, knots, generator=generator)
    smooth = F.interpolate(field, size=(SIDE, SIDE), mode="bicubic", align_corners=True)[:, 0]
    return 1 + ROUGH * torch.rand(count, 1, 1, generator=generator) * smooth


def _spoilt(prior: Tensor, generator: torch.Generator) -> Tensor:
    """A prior (S, S) in another breath-hold; now and then one that ends too early, or none."""
    chance = torch.rand(3, generator=generator)
    if chance[0] < LEFT_OUT:
        return torch.zeros_like(prior)
    steps = (torch.randn(2, generator=generator) * BREATH_HOLD_MM / PIXEL_MM).round().long().clamp(-6, 6)
    moved = prior.roll((int(steps[0]), int(steps[1])), (0, 1))
    rows = (moved > 0).any(dim=0).nonzero()[:, 0]
    if chance[1] < CUT_SHORT and len(rows) > 10:
        missing = int(len(rows) * (0.1 + 0.15 * float(chance[2])))
        if chance[1] < CUT_SHORT / 2:
            moved[:, : int(rows[0]) + missing] = 0
        else:
            moved[:, int(rows[-1]) + 1 - missing :] = 0
    return moved


def views_objective(cuts: CutSet, *, batch: int, device: str) -> Objective:
    """Random views."""
    draws = ViewDraws(cuts, batch=batch)

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        with torch.autocast(torch.device(device).type, enabled=False):
            views = draws.draw(generator)
            own = share(batch)
            seen = with_prior(views.images[own], views.priors[own]).to(device, memory_format=torch.channels_last)
        loss = known_loss(gathered(model(seen)), views.labels.to(device))
        return loss, {"loss": loss.item()}

    return objective
