"""Missing slices from their neighbours' codes: slerp for the stochastic code, lerp for the other two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.model.autoencoder import SliceCodes


@dataclass(frozen=True)
class Plan:
    """For each of M dense positions: its acquired neighbours, and how far it lies between them.

    ===========  ====  ===========================================================
    acquired_mm  (N,)  where the acquired slices are, ascending
    lower        (M,)  index of the acquired slice at or before the position
    upper        (M,)  index of the next one
    fraction     (M,)  0 at `lower`, 1 at `upper`; clamped outside the stack
    ===========  ====  ===========================================================
    """

    acquired_mm: NDArray[np.float64]
    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    fraction: NDArray[np.float64]

    @classmethod
    def between(cls, acquired_mm: NDArray[np.float64], wanted_mm: NDArray[np.float64]) -> Plan:
        """Positions along the stack's normal, in mm; `acquired_mm` ascending, at least two."""
        lower = np.clip(np.searchsorted(acquired_mm, wanted_mm, side="right") - 1, 0, len(acquired_mm) - 2)
        gap = acquired_mm[lower + 1] - acquired_mm[lower]
        fraction = np.clip((wanted_mm - acquired_mm[lower]) / gap, 0, 1)
        return cls(np.asarray(acquired_mm, dtype=np.float64), lower, lower + 1, fraction)

    @property
    def gap_mm(self) -> NDArray[np.float64]:
        """(M,) distance between the two neighbours."""
        return self.acquired_mm[self.upper] - self.acquired_mm[self.lower]

    @property
    def positions_mm(self) -> NDArray[np.float64]:
        """(M,) the positions, those outside the stack moved to its ends."""
        return self.acquired_mm[self.lower] + self.fraction * self.gap_mm

    def with_acquired(self) -> tuple[Plan, NDArray[np.intp]]:
        """A plan of all distinct positions, the acquired ones too; and where they, then this plan's, are in it."""
        wanted = np.concatenate([self.acquired_mm, self.positions_mm])
        distinct, where = np.unique(np.round(wanted, 6), return_inverse=True)
        return Plan.between(self.acquired_mm, distinct), where

    def __len__(self) -> int:
        return len(self.fraction)


def lerp(a: Tensor, b: Tensor, fraction: Tensor) -> Tensor:
    """(1 - f) a + f b for each of B items; `fraction` (B,)."""
    f = fraction.view(-1, *[1] * (a.ndim - 1))
    return a + f * (b - a)


def slerp(a: Tensor, b: Tensor, fraction: Tensor) -> Tensor:
    """Spherical interpolation of each of B items (Shoemake 1985): the direction turns, the norm moves linearly.

    Two Gaussian codes have nearly equal norms and are nearly orthogonal: lerp would shrink their mixture by
    up to sqrt(2), slerp keeps it Gaussian. Nearly parallel items fall back to lerp.
    """
    f = fraction.view(-1, 1).double()
    u, v = a.flatten(1).double(), b.flatten(1).double()
    norm_u, norm_v = u.norm(dim=1, keepdim=True), v.norm(dim=1, keepdim=True)
    u, v = u / norm_u.clamp(min=1e-12), v / norm_v.clamp(min=1e-12)
    angle = torch.acos((u * v).sum(dim=1, keepdim=True).clamp(-1, 1))
    sine = torch.sin(angle)
    safe = torch.where(sine < 1e-6, torch.ones_like(sine), sine)
    weight_u = torch.where(sine < 1e-6, 1 - f, torch.sin((1 - f) * angle) / safe)
    weight_v = torch.where(sine < 1e-6, f, torch.sin(f * angle) / safe)
    mixed = (weight_u * u + weight_v * v) * (norm_u + f * (norm_v - norm_u))
    return mixed.view_as(a).to(a.dtype)


@dataclass(frozen=True)
class Mixing:
    """How the codes of two neighbours are mixed; the default is the published way.

    ==========  =================================================================================
    stochastic  x_T: "slerp", "lerp", or "fresh": noise drawn anew between the acquired slices
    guides      z_sem and z_mor: "lerp" or "slerp"
    ==========  =================================================================================
    """

    stochastic: Literal["slerp", "lerp", "fresh"] = "slerp"
    guides: Literal["lerp", "slerp"] = "lerp"


def interpolate_codes(codes: SliceCodes, plan: Plan, mixing: Mixing | None = None) -> SliceCodes:
    """The codes at every position of the plan (He et al. 2023, Sect. 2.2)."""
    mixing = mixing or Mixing()
    lower, upper, fraction = _neighbours(plan, codes.x_T.device)
    guide = lerp if mixing.guides == "lerp" else slerp
    return SliceCodes(
        interpolate_noise(codes.x_T, plan, mixing),
        guide(codes.z_sem[lower], codes.z_sem[upper], fraction),
        guide(codes.z_mor[lower], codes.z_mor[upper], fraction),
    )


def interpolate_noise(noise: Tensor, plan: Plan, mixing: Mixing) -> Tensor:
    """The stochastic code alone: (N, ...) to (M, ...)."""
    lower, upper, fraction = _neighbours(plan, noise.device)
    mixed = (lerp if mixing.stochastic == "lerp" else slerp)(noise[lower], noise[upper], fraction)
    if mixing.stochastic == "fresh":
        drawn = torch.randn(mixed.shape, generator=torch.Generator().manual_seed(0)).to(noise.device)
        inside = ((fraction > 1e-4) & (fraction < 1 - 1e-4)).view(-1, 1, 1, 1)
        mixed = torch.where(inside, drawn, mixed)
    return mixed


def _neighbours(plan: Plan, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    lower, upper = (torch.from_numpy(index).to(device) for index in (plan.lower, plan.upper))
    return lower, upper, torch.from_numpy(plan.fraction).to(device, torch.float32)


def blend(values: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Linear interpolation of (N, ...) along the stack: (M, ...)."""
    return mixed(values[plan.lower], values[plan.upper], plan)


def mixed(below: NDArray[np.float32], above: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Two arrays (M, ...) at the plan's fractions: their weighted mean."""
    f = plan.fraction.reshape(-1, *[1] * (below.ndim - 1)).astype(np.float32)
    return (1 - f) * below + f * above
