"""Mixing the codes of two neighbours: slerp for the stochastic code, lerp for the other two, or variants of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dmcvr.geometry.plan import Plan
from dmcvr.model.device import finest


def lerp(a: Float[Tensor, " B *D"], b: Float[Tensor, " B *D"], fraction: Float[Tensor, " B"]) -> Float[Tensor, " B *D"]:
    """(1 - f) a + f b for each of B items; `fraction` (B,)."""
    f = fraction.view(-1, *[1] * (a.ndim - 1))
    return a + f * (b - a)


def slerp(
    a: Float[Tensor, " B *D"], b: Float[Tensor, " B *D"], fraction: Float[Tensor, " B"]
) -> Float[Tensor, " B *D"]:
    """Spherical interpolation of each of B items (Shoemake 1985): the direction turns, the norm moves linearly.

    Two Gaussian codes have nearly equal norms and are nearly orthogonal: lerp would shrink their mixture by
    up to sqrt(2), slerp keeps it Gaussian. Nearly parallel items fall back to lerp.
    """
    exact = finest(a.device)
    f = fraction.view(-1, 1).to(exact)
    u, v = a.flatten(1).to(exact), b.flatten(1).to(exact)
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
    """How the codes of two neighbours are mixed; the default is the published way (He et al. 2023, Sect. 2.2).

    ==========  =================================================================================
    stochastic  x_T: "slerp", "lerp", or "fresh": noise drawn anew between the acquired slices
    guides      z_sem and z_mor: "lerp" or "slerp"
    seed        of the fresh noise
    ==========  =================================================================================
    """

    stochastic: Literal["slerp", "lerp", "fresh"] = "slerp"
    guides: Literal["lerp", "slerp"] = "lerp"
    seed: int = 0

    def noise(
        self, below: Float[Tensor, " B *D"], above: Float[Tensor, " B *D"], fraction: Float[Tensor, " B"]
    ) -> Float[Tensor, " B *D"]:
        """x_T of B places from those of their neighbours."""
        mixed = (lerp if self.stochastic == "lerp" else slerp)(below, above, fraction)
        if self.stochastic == "fresh":
            drawn = torch.randn(mixed.shape, generator=torch.Generator().manual_seed(self.seed)).to(mixed.device)
            inside = ((fraction > 1e-4) & (fraction < 1 - 1e-4)).view(-1, 1, 1, 1)
            mixed = torch.where(inside, drawn, mixed)
        return mixed

    def guide(
        self, below: Float[Tensor, " B *D"], above: Float[Tensor, " B *D"], fraction: Float[Tensor, " B"]
    ) -> Float[Tensor, " B *D"]:
        """z_sem, or z_mor, of B places from those of their neighbours."""
        return (lerp if self.guides == "lerp" else slerp)(below, above, fraction)


def on_device(plan: Plan, device: torch.device) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"]]:
    """A plan's `lower`, `upper` and `fraction` as tensors (M,)."""
    lower, upper = (torch.from_numpy(index).to(device) for index in (plan.lower, plan.upper))
    return lower, upper, torch.from_numpy(plan.fraction).to(device, torch.float32)
