"""Diffeomorphic demons on many channels at once, a whole stack in one batch (Vercauteren et al. 2009)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: 1 / size of a level, and iterations there: of a search far away, of one nearby, and of the last one.
FAR, NEAR, FINE = (4, 60), (2, 15), (1, 30)

#: A search far away is believed where it leaves less than this share of the difference that one nearby leaves.
BELIEVED = 0.5

#: Gaussian (SD) that regularises the displacement after every iteration, in pixels of its level.
SMOOTHING_PX = 1.5


@torch.no_grad()
def register(fixed: Tensor, moving: Tensor, far: Tensor) -> Tensor:
    """(B, 2, H, W) displacements D in pixels along both axes, such that moving(x + D(x)) resembles fixed(x).

    Both are (B, C, H, W); all channels count alike, by their range. `far` (B,) says which are searched far away in any
    case; the others only where that finds much more, as across a breath-hold: what the two do not share, a long search
    would force together.
    """
    nowhere = fixed.new_zeros(len(fixed), 2, 1, 1)
    near = _search(fixed, moving, nowhere, *NEAR)
    farther = _search(fixed, moving, _search(fixed, moving, nowhere, *FAR), *NEAR)
    much = _difference(fixed, moving, farther) < BELIEVED * _difference(fixed, moving, near)
    return _search(fixed, moving, torch.where((far | much).view(-1, 1, 1, 1), farther, near), *FINE)


def _search(fixed: Tensor, moving: Tensor, start: Tensor, shrink: int, iterations: int) -> Tensor:
    """From displacements on some level to those on another (B, 2, h, w), always in pixels of the whole image.

    An iteration moves every pixel by sum_c d_c J_c / sum_c (|J_c|^2 + d_c^2), at most half a pixel, with d the
    difference that is left and J the mean of both gradients; composes that with D, and smooths D.
    """
    target, source = (_shrunk(image, shrink) for image in (fixed, moving))
    size = target.shape[2:]
    displacement = F.interpolate(start, size=size, mode="bilinear", align_corners=False) / shrink
    pixels = _pixels(target)
    slope, other_slope = _gradient(target), _gradient(source).flatten(1, 2)
    channels = target.shape[1]
    for _ in range(iterations):
        warped = _sample(torch.cat([source, other_slope], dim=1), pixels + displacement)
        left = target - warped[:, :channels]
        gradient = (slope + warped[:, channels:].view_as(slope)) / 2
        squares = gradient.square().sum(dim=(1, 2)) + left.square().sum(dim=1)
        step = (left[:, :, None] * gradient).sum(dim=1) / squares.clamp(min=1e-6)[:, None]
        displacement = _smooth(_sample(displacement, pixels + step) + step, SMOOTHING_PX)
    return shrink * displacement


def _difference(fixed: Tensor, moving: Tensor, displacement: Tensor) -> Tensor:
    """(B,) mean squares of what is left, on the displacements' own level."""
    shrink = fixed.shape[2] // displacement.shape[2]
    target, source = (_shrunk(image, shrink) for image in (fixed, moving))
    return (target - _sample(source, _pixels(target) + displacement / shrink)).square().mean(dim=(1, 2, 3))


def _pixels(images: Tensor) -> Tensor:
    """(2, H, W) where the pixels are."""
    return torch.stack(torch.meshgrid(*(torch.arange(n) for n in images.shape[2:]), indexing="ij")).to(images)


def _shrunk(images: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(_smooth(images, factor / 2), factor) if factor > 1 else images


def _gradient(images: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, 2, H, W)."""
    return torch.stack(torch.gradient(images, dim=(2, 3)), dim=2)


def _sample(images: Tensor, points: Tensor) -> Tensor:
    """(B, C, H, W) at points (B, 2, H, W) in pixels; beyond the border, the border's."""
    height, width = images.shape[2:]
    grid = torch.stack([2 * points[:, 1] / (width - 1) - 1, 2 * points[:, 0] / (height - 1) - 1], dim=-1)
    return F.grid_sample(images, grid, align_corners=True, padding_mode="border")


def _smooth(images: Tensor, sd_px: float) -> Tensor:
    reach = round(3 * sd_px)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).to(images) ** 2) / (2 * sd_px**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel, groups=images.shape[1])
    return F.conv2d(rows, kernel.transpose(2, 3), groups=images.shape[1])
