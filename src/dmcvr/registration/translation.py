"""How far a heart lies beside another: the translation that brings the grey values of two slices together."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64
from torch import Tensor

#: Gaussian (SD, in pixels) of each round's slices, from coarse to fine, and the Gauss-Newton steps of each.
ROUNDS = ((4.0, 8), (2.0, 8), (1.0, 6))

#: No step is longer than this (pixels), so that a poor start is not thrown out of the picture.
LONGEST_STEP_PX = 2.0


@torch.no_grad()
def translations(
    fixed: Float32[np.ndarray, "B H W"],
    moving: Float32[np.ndarray, "B H W"],
    weights: Float32[np.ndarray, "B H W"],
    start: Float64[np.ndarray, "B 2"],
) -> Float64[np.ndarray, "B 2"]:
    """(B, 2) displacements d in pixels along both axes, such that moving(x + d) resembles fixed(x).

    Least squares over the weights (B, H, W), the slices' brightness and contrast free, by Gauss-Newton from
    `start` (B, 2).
    """
    target, source, weight = (torch.from_numpy(np.array(part))[:, None] for part in (fixed, moving, weights))
    found = torch.from_numpy(np.asarray(start, dtype=np.float32))
    height, width = target.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    for sd_px, steps in ROUNDS:
        near, far = _smooth(target, sd_px), _smooth(source, sd_px)
        far = torch.cat([far, *torch.gradient(far, dim=(2, 3))], dim=1)
        for _ in range(steps):
            y, x = rows + found[:, 0, None, None], columns + found[:, 1, None, None]
            grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
            seen = F.grid_sample(far, grid, align_corners=True, padding_mode="border")
            # fixed ~ gain * (moving + slope . step) + level: linear in gain * step, gain and level
            basis = torch.stack([seen[:, 1], seen[:, 2], seen[:, 0], torch.ones_like(seen[:, 0])], dim=-1).flatten(1, 2)
            weighted = basis * weight.flatten(1)[..., None]
            normal = basis.mT @ weighted + 1e-4 * torch.eye(4)
            solved = torch.linalg.solve(normal, weighted.mT @ near.flatten(1)[..., None])[..., 0]
            step = solved[:, :2] / solved[:, 2:3].clamp(min=0.3)
            length = step.norm(dim=1, keepdim=True).clamp(min=1e-6)
            found = found + step * (LONGEST_STEP_PX / length).clamp(max=1)
    return found.double().numpy()


def _smooth(images: Tensor, sd_px: float) -> Tensor:
    reach = int(np.ceil(3 * sd_px))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sd_px**2))
    kernel = (kernel / kernel.sum())[None, None, None]
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel), kernel.mT)
