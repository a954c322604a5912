"""`dmcvr train segmenter`: the network that labels acquired slices, on whole stacks of any contrast.

Pictures are made unlike each other in the ways that scanners and hands differ in; labels may be partial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from dmcvr.model.stack_segmenter import STRUCTURES, Stacks, StackSegmenter
from dmcvr.train.data import PIXEL_MM, STILL, Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.losses import partial_loss, presence_loss
from dmcvr.train.processes import gathered, share

#: Where a stack is looked at, and how it is bent; its greys are changed by `random_look`.
AUGMENTATION = Augmentation(
    rotation_deg=35.0,
    scale=0.2,
    shift_mm=10.0,
    anywhere=0.05,
    contrast=0.2,
    gamma=0.4,
    noise=0.06,
    bias=0.3,
    elastic_mm=2.5,
)

#: Share of stacks of which a part is seen, and of which every other slice is left out.
PART, THINNED = 0.3, 0.1

#: SD of the slices' own shifts in the plane, in half of the stacks.
SHIFT_MM = 2.0

#: Of the loss: what a slice has, beside what its pixels are.
PRESENCE_WEIGHT = 0.2


@dataclass(frozen=True)
class Seen:
    """Views of whole stacks: images (M, 1, S, S), labels (M, S, S), known (M, 3) and where they lie."""

    images: Tensor
    labels: Tensor
    known: Tensor
    stacks: Stacks

    def own(self) -> Seen:
        """This process' share, by whole stacks."""
        _, number = torch.unique_consecutive(self.stacks.stack, return_inverse=True)
        mine = share(int(number[-1]) + 1)
        which = (number >= mine.start) & (number < mine.stop)
        places = Stacks.of(self.stacks.stack[which], self.stacks.positions_mm[which])
        return Seen(self.images[which], self.labels[which], self.known[which], places)

    def to(self, device: str) -> Seen:
        places = Stacks(*(getattr(self.stacks, f).to(device) for f in ("stack", "positions_mm", "below", "above")))
        images = self.images.to(device).contiguous(memory_format=torch.channels_last)
        return Seen(images, self.labels.to(device), self.known.to(device), places)


class StackViews:
    """Random views of random stacks of a training set, about `batch` slices at once."""

    def __init__(self, data: TrainingSet, *, batch: int, size: int) -> None:
        self.images, self.labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        self.positions = torch.from_numpy(data.positions.astype(np.float32))
        bits = 2 ** np.arange(STRUCTURES)
        self.known = torch.from_numpy((data.known[:, None] & bits) > 0)
        names = np.stack([data.patients, data.phases])
        which = np.unique(names, axis=1, return_inverse=True)[1].ravel()
        self.stacks = [torch.from_numpy(np.flatnonzero(which == n)) for n in range(which.max() + 1)]
        self.batch, self.size = batch, size

    def draw(self, generator: torch.Generator) -> Seen:
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        while sum(len(part[0]) for part in parts) < self.batch:
            which = int(torch.randint(len(self.stacks), (), generator=generator))
            parts.append(self._view(_some_slices(self.stacks[which], generator), generator))
        images, labels, positions, known = (torch.cat(columns) for columns in zip(*parts, strict=True))
        stack = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(part[0]) for part in parts]))
        return Seen(images, labels, known, Stacks.of(stack, positions))

    def still(self) -> list[Seen]:
        """Each stack as it is."""
        found = []
        for index in self.stacks:
            generator = torch.Generator().manual_seed(0)
            images, labels = random_view(
                self.images[index][None], self.labels[index][None], generator, STILL, self.size
            )
            stacks = Stacks.of(torch.zeros(len(index), dtype=torch.long), self.positions[index])
            found.append(Seen(images[0][:, None], labels[0], self.known[index], stacks))
        return found

    def _view(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        images, labels = self.images[index], self.labels[index]
        if torch.rand((), generator=generator) < 0.5:
            images, labels = _shifted(images, labels, generator)
        view, mask = random_view(images[None], labels[None], generator, AUGMENTATION, self.size)
        positions = (self.positions[index] - self.positions[index[0]]).abs()
        positions = positions * (0.8 + 0.45 * torch.rand((), generator=generator))
        return random_look(view[0], generator)[:, None], mask[0], positions, self.known[index]


def _some_slices(index: Tensor, generator: torch.Generator) -> Tensor:
    """The slices of a stack, all or some, either way round."""
    count = len(index)
    chance = torch.rand(3, generator=generator)
    if chance[0] < THINNED and count >= 8:
        index = index[int(chance[1] < 0.5) :: 2]
    elif chance[0] > 1 - PART and count > 2:
        length = int(torch.randint(1, count, (), generator=generator))
        start = int(torch.randint(count - length + 1, (), generator=generator))
        index = index[start : start + length]
    return index.flip(0) if chance[2] < 0.5 else index


def _shifted(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Slices (K, S, S) of as many breath-holds, by whole pixels."""
    steps = (torch.randn(len(images), 2, generator=generator) * SHIFT_MM / PIXEL_MM).round().long().clamp(-6, 6)
    moved = [
        (image.roll((int(a), int(b)), (0, 1)), label.roll((int(a), int(b)), (0, 1)))
        for image, label, (a, b) in zip(images, labels, steps, strict=True)
    ]
    return torch.stack([image for image, _ in moved]), torch.stack([label for _, label in moved])


def random_look(view: Tensor, generator: torch.Generator) -> Tensor:
    """Slices (K, S, S) in [-1, 1] as another scanner may show them.

    Greys, sharpness, brightness and stripes are changed, each in a share of the stacks, and alike in all slices of one
    but for brightness. Greys follow a rising curve: a falling one would turn the picture's meaning round.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * (high - low) + low

    chance = torch.rand(5, generator=generator)
    unit = (view + 1) / 2
    if chance[0] < 0.5:
        unit = _curve(unit, generator)
    if chance[1] < 0.3:
        unit = _blurred(unit, float(uniform(0.4, 1.3)))
    if chance[2] < 0.2:
        side = unit.shape[-1]
        coarse = max(16, int(side / float(uniform(1.2, 2.2))))
        unit = F.interpolate(unit[None], size=(coarse, coarse), mode="bilinear", align_corners=False, antialias=True)
        unit = F.interpolate(unit, size=(side, side), mode="bicubic", align_corners=False)[0]
    if chance[3] < 0.3:
        unit = unit * uniform(0.8, 1.2, len(unit), 1, 1) + uniform(-0.05, 0.05, len(unit), 1, 1)
    if chance[4] < 0.15:
        unit = unit * _bands(unit.shape[-1], generator)
    return unit.mul(2).sub(1).clamp(-1, 1)


def _curve(unit: Tensor, generator: torch.Generator) -> Tensor:
    """Greys in [0, 1] through a random rising curve: straight between five points."""
    steps = torch.rand(5, generator=generator) + 0.25
    knots = torch.cat([torch.zeros(1), steps.cumsum(0)]) / steps.sum()
    place = unit.clamp(0, 1) * 5
    low = place.floor().clamp(max=4).long()
    return knots[low] + (knots[low + 1] - knots[low]) * (place - low)


def _blurred(unit: Tensor, sigma_px: float) -> Tensor:
    x = torch.arange(-4, 5, dtype=unit.dtype)
    kernel = torch.exp(-(x**2) / (2 * sigma_px**2))
    kernel = (kernel / kernel.sum())[None, None]
    padded = F.pad(unit[:, None], (4, 4, 4, 4), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[..., None]), kernel[:, :, None])[:, 0]


def _bands(side: int, generator: torch.Generator) -> Tensor:
    """Dark stripes (S, S) as off-resonance leaves them in balanced SSFP."""
    angle, phase, waves, depth = torch.rand(4, generator=generator).tolist()
    axis = torch.linspace(-0.5, 0.5, side)
    along = axis[:, None] * math.cos(angle * math.pi) + axis[None] * math.sin(angle * math.pi)
    wave = torch.cos(2 * math.pi * ((1 + 2 * waves) * along + phase))
    return 1 - 0.5 * depth * torch.relu(wave) ** 8


def segmenter_objective(data: TrainingSet, *, batch: int, size: int, device: str) -> Objective:
    """Random views of random stacks."""
    views = StackViews(data, batch=batch, size=size)

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        with torch.autocast(torch.device(device).type, enabled=False):
            seen = views.draw(generator)
            labels, known, own = seen.labels.to(device), seen.known.to(device), seen.own().to(device)
        logits, presence = (gathered(part) for part in model(own.images, own.stacks))
        pixels = partial_loss(logits, labels, known)
        slices = presence_loss(presence, labels, known)
        loss = pixels + PRESENCE_WEIGHT * slices
        return loss, {"loss": loss.item(), "pixels": pixels.item(), "slices": slices.item()}

    return objective


@torch.no_grad()
def set_temperature(model: StackSegmenter, held_out: TrainingSet, *, size: int) -> None:
    """As sure as it is right: the temperature of the least cross-entropy on the slices whose labels are whole."""
    device = next(model.parameters()).device
    logits, labels = [], []
    for seen in StackViews(held_out, batch=1, size=size).still():
        if seen.known.all():
            part = seen.to(str(device))
            logits.append(model(part.images, part.stacks)[0].float())
            labels.append(part.labels)
    if not logits:
        return

    def entropy(log_temperature: float) -> float:
        sharp = float(np.exp(-log_temperature))
        return sum(F.cross_entropy(z * sharp, y, reduction="sum").item() for z, y in zip(logits, labels, strict=True))

    best = minimize_scalar(entropy, bounds=(-1.5, 1.5), method="bounded", options={"xatol": 0.01})
    model.temperature.fill_(float(np.exp(best.x)))
