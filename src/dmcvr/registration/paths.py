"""Paths between neighbouring slices: hearts move sideways from one to the next, along a deformation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Shaped, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.geometry.plan import Plan, mixed
from dmcvr.labels.distances import probabilities
from dmcvr.registration.demons import FAR, NEAR, register

#: Gaps (mm) that a clinical stack has are narrower than this; across wider ones, a heart is looked for farther away.
NARROW_MM = 12.0

#: Rounds of the fixed point that inverts the displacement of the way to a position.
INVERSION_ROUNDS = 8


@dataclass(frozen=True)
class Paths:
    """For every pixel y of M slices between acquired ones: where it comes from in both neighbours.

    With the displacement D from the lower slice L to the upper U, L(x) ~ U(x + D(x)), the slice at fraction f
    shows at y = x + f D(x) what L shows at x and U at x + D(x).

    =====  ============  ============================================
    below  (M, 2, H, W)  x, in pixels of the lower slice
    above  (M, 2, H, W)  x + D(x), in pixels of the upper slice
    =====  ============  ============================================
    """

    plan: Plan
    below: Float64[np.ndarray, "M 2 H W"]
    above: Float64[np.ndarray, "M 2 H W"]

    def warp(
        self, values: Float32[np.ndarray, "N *C H W"], *, order: int = 3
    ) -> tuple[Float32[np.ndarray, "M *C H W"], Float32[np.ndarray, "M *C H W"]]:
        """(N, ..., H, W) of the acquired slices to (M, ..., H, W) twice: the lower ones and the upper ones, warped."""
        return (
            np.stack(
                [spline_sample(values[n], points, order) for n, points in zip(self.plan.lower, self.below, strict=True)]
            ),
            np.stack(
                [spline_sample(values[n], points, order) for n, points in zip(self.plan.upper, self.above, strict=True)]
            ),
        )

    @classmethod
    def along(cls, fields: dict[np.intp, Float64[np.ndarray, "2 H W"]], plan: Plan) -> Paths:
        """The paths of displacements D (2, H, W), by the index of the lower slice of each gap."""
        points = [_meeting_points(fields[n], float(f)) for n, f in zip(plan.lower, plan.fraction, strict=True)]
        return cls(plan, np.stack([p[0] for p in points]), np.stack([p[1] for p in points]))

    def blend(self, values: Float32[np.ndarray, "N *C H W"], *, order: int = 3) -> Float32[np.ndarray, "M *C H W"]:
        """The weighted mean of both warped neighbours."""
        return mixed(*self.warp(values, order=order), self.plan)


def paths_by_labels(images: Float32[np.ndarray, "N H W"], labels: UInt8[np.ndarray, "N H W"], plan: Plan) -> Paths:
    """Register the neighbours (N, H, W) of every gap that the plan has positions in, by grey values and labels.

    Where grey values mislead, structures do not. Across narrow gaps there are few iterations: what two slices do not
    share, a longer search would force together.
    """
    slices = torch.from_numpy(np.concatenate([images[:, None], probabilities(labels)[:, 1:]], axis=1))
    gaps = np.unique(plan.lower)
    narrow = np.diff(plan.acquired_mm)[gaps] < NARROW_MM
    fields: dict[np.intp, NDArray[np.float64]] = {}
    for some, levels in ((gaps[narrow], NEAR), (gaps[~narrow], FAR)):
        if len(some):
            found = register(slices[some], slices[some + 1], levels).double().numpy()
            fields |= dict(zip(some, found, strict=True))
    return Paths.along(fields, plan)


def _meeting_points(
    displacement: Float64[np.ndarray, "2 H W"], fraction: float
) -> tuple[Float64[np.ndarray, "2 H W"], Float64[np.ndarray, "2 H W"]]:
    """For every pixel y of the slice at `fraction`: x with x + f D(x) = y, and x + D(x); each (2, H, W)."""
    pixels = np.indices(displacement.shape[1:]).astype(np.float64)
    points = pixels
    if fraction > 0:
        for _ in range(INVERSION_ROUNDS):
            points = pixels - fraction * spline_sample(displacement, points, 1)
    return points, pixels + (1 - fraction) * spline_sample(displacement, points, 1)  # = x + D(x), exact at the ends


def spline_sample(
    values: Shaped[np.ndarray, "*C H W"], points: Float64[np.ndarray, "2 H W"], order: int
) -> Shaped[np.ndarray, "*C H W"]:
    """(..., H, W) at points (2, H, W) in pixels, by splines of this order; beyond the border, the border's."""
    flat = values.reshape(-1, *values.shape[-2:])
    sampled = [ndimage.map_coordinates(part, points, order=order, mode="nearest") for part in flat]
    return np.stack(sampled).reshape(values.shape)
