"""Paths between neighbouring slices: hearts move sideways from one to the next, along a deformation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.geometry.plan import Plan, mixed
from dmcvr.labels.distances import probabilities
from dmcvr.registration.demons import FAR, NEAR, register, sample
from dmcvr.threads import each

#: Gaps (mm) that a clinical stack has are narrower than this; across wider ones, a heart is looked for farther away.
NARROW_MM = 12.0

#: Pixels around a slice, each as its border, for splines that know nothing of what lies beyond.
SPLINE_RIM = 12

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
        """(N, ..., H, W) of the acquired slices to (M, ..., H, W) twice: the lower ones and the upper ones, warped.

        By splines of this order, 1 or 3.
        """
        sampled = _linear if order == 1 else _cubic
        return sampled(values, self.plan.lower, self.below), sampled(values, self.plan.upper, self.above)

    def __getitem__(self, index: slice) -> Paths:
        """Those of these slices."""
        return Paths(self.plan[index], self.below[index], self.above[index])

    @classmethod
    def along(cls, fields: dict[np.intp, Float64[np.ndarray, "2 H W"]], plan: Plan) -> Paths:
        """The paths of displacements D (2, H, W), by the index of the lower slice of each gap."""
        away, place = np.stack(list(fields.values())), {n: row for row, n in enumerate(fields)}
        return cls(plan, *_meeting_points(away, np.array([place[n] for n in plan.lower]), plan.fraction))

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
    displacements: Float64[np.ndarray, "G 2 H W"], which: Int[np.ndarray, " M"], fractions: Float64[np.ndarray, " M"]
) -> tuple[Float64[np.ndarray, "M 2 H W"], Float64[np.ndarray, "M 2 H W"]]:
    """For every pixel y of M slices at these fractions: x with x + f D(x) = y, and x + D(x); each (M, 2, H, W).

    `which` of the displacements D (G, 2, H, W) leads there. The second are exact at the ends.
    """
    pixels = torch.from_numpy(np.indices(displacements.shape[2:]).astype(np.float64))
    below, above = (np.empty((len(which), *displacements.shape[1:])) for _ in range(2))

    def meet(gap: int) -> None:
        here = np.flatnonzero(which == gap)
        away = torch.from_numpy(displacements[gap]).expand(len(here), -1, -1, -1)
        f = torch.from_numpy(fractions[here])[:, None, None, None]
        rough, start, share = away.float(), pixels.float(), f.float()
        near = start.expand_as(rough)
        for _ in range(INVERSION_ROUNDS - 1):  # in single precision, whose error shrinks with the rounds' own
            near = start - share * sample(rough, near)
        points = pixels - f * sample(away, near.double())
        below[here], above[here] = points, pixels + (1 - f) * sample(away, points)

    each(meet, np.unique(which).tolist())
    return below, above


def _linear(
    values: Float32[np.ndarray, "N *C H W"], which: Int[np.ndarray, " M"], points: Float64[np.ndarray, "M 2 H W"]
) -> Float32[np.ndarray, "M *C H W"]:
    """(M, ..., H, W) of these slices at these points, in pixels; beyond the border, the border's."""
    flat = torch.from_numpy(values.reshape(len(values), -1, *values.shape[-2:]).astype(np.float64))
    out = np.empty((len(which), *flat.shape[1:]), dtype=np.float32)

    def fill(m: int) -> None:
        out[m] = sample(flat[which[m]][None], torch.from_numpy(points[m])[None])[0]

    each(fill, range(len(which)))
    return out.reshape(-1, *values.shape[1:])


def _cubic(
    values: Float32[np.ndarray, "N *C H W"], which: Int[np.ndarray, " M"], points: Float64[np.ndarray, "M 2 H W"]
) -> Float32[np.ndarray, "M *C H W"]:
    """The same by cubic splines, as `scipy.ndimage.map_coordinates` has them, which a slice is made into once."""
    flat = values.reshape(len(values), -1, *values.shape[-2:])
    rim = ((0, 0), (0, 0), (SPLINE_RIM, SPLINE_RIM), (SPLINE_RIM, SPLINE_RIM))
    splines = [
        [ndimage.spline_filter(part, mode="nearest") for part in slice_] for slice_ in np.pad(flat, rim, mode="edge")
    ]
    out = np.empty((len(which), *flat.shape[1:]), dtype=np.float32)

    def fill(m: int) -> None:
        for part, spline in zip(out[m], splines[which[m]], strict=True):
            ndimage.map_coordinates(spline, points[m] + SPLINE_RIM, part, order=3, mode="nearest", prefilter=False)

    each(fill, range(len(which)))
    return out.reshape(-1, *values.shape[1:])
