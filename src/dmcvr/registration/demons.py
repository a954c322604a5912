"""Diffeomorphic demons on many channels at once, a whole stack in one batch (Vercauteren et al. 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

#: Sizes of the levels (1 / shrink) and the iterations at each: where a heart is near, and where it may be far.
NEAR = ((2, 15), (1, 30))
FAR = ((4, 60), *NEAR)

#: Gaussian (SD) that regularises the displacement after every iteration, in pixels of its level.
SMOOTHING_PX = 1.5


@torch.no_grad()
def register(
    fixed: Float[Tensor, "B C H W"], moving: Float[Tensor, "B C H W"], levels: tuple[tuple[int, int], ...]
) -> Float[Tensor, "B 2 H W"]:
    """(B, 2, H, W) displacements D in pixels along both axes, such that moving(x + D(x)) resembles fixed(x).

    Both are (B, C, H, W); all channels count alike, by their range. An iteration moves every pixel by
    sum_c d_c J_c / sum_c (|J_c|^2 + d_c^2), at most half a pixel, with d the difference that is left and J the mean of
    both gradients; composes that with D, and smooths D.
    """
    displacement = fixed.new_zeros(len(fixed), 2, 1, 1)
    for shrink, iterations in levels:
        target, source = (_shrink(image, shrink) for image in (fixed, moving))
        size = target.shape[2:]
        displacement = F.interpolate(displacement, size=size, mode="bilinear", align_corners=False) / shrink
        pixels = torch.stack(torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij")).to(target)
        slope, channels = _gradient(target), target.shape[1]
        smooth = [_gaussian(n, SMOOTHING_PX).to(target) for n in size]
        source = torch.cat([source, _gradient(source).flatten(1, 2)], dim=1)
        for _ in range(iterations):
            warped = sample(source, pixels + displacement)
            left = target - warped[:, :channels]
            gradient = (slope + warped[:, channels:].view_as(slope)) / 2
            squares = gradient.square().sum(dim=(1, 2)) + left.square().sum(dim=1)
            step = (left[:, :, None] * gradient).sum(dim=1) / squares.clamp(min=1e-6)[:, None]
            displacement = _smoothed(sample(displacement, pixels + step) + step, smooth)
        displacement = shrink * displacement  # between levels, in pixels of the whole image
    return displacement


def _shrink(images: Float[Tensor, "B C H W"], factor: int) -> Float[Tensor, "B C _ _"]:
    if factor == 1:
        return images
    return F.avg_pool2d(_smoothed(images, [_gaussian(n, factor / 2).to(images) for n in images.shape[2:]]), factor)


def _gradient(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 2 H W"]:
    """(B, C, H, W) to (B, C, 2, H, W)."""
    return torch.stack(torch.gradient(images, dim=(2, 3)), dim=2)


def sample(images: Float[Tensor, "B C H W"], points: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B C H W"]:
    """(B, C, H, W) at points (B, 2, H, W) in pixels; beyond the border, the border's."""
    height, width = images.shape[2:]
    grid = torch.stack([2 * points[:, 1] / (width - 1) - 1, 2 * points[:, 0] / (height - 1) - 1], dim=1)
    return F.grid_sample(images, grid.permute(0, 2, 3, 1), align_corners=True, padding_mode="border")


def _smoothed(images: Float[Tensor, "B C H W"], along: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "B C H W"]:
    """The images after a matrix along each axis."""
    return along[0] @ (images @ along[1].T)


def _gaussian(size: int, sd_px: float) -> Float[Tensor, "S S"]:
    """(S, S) the filter as a matrix: so small an image is multiplied by it faster than it is convolved. Beyond the
    border, the border's."""
    reach = round(3 * sd_px)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sd_px**2))
    at = (torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, size - 1)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, at, (kernel / kernel.sum()).expand(size, -1))
