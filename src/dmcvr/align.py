"""Hearts move sideways from slice to slice: deformations between neighbours, and the way to any place between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.demons import FAR, NEAR, register
from dmcvr.distances import probabilities
from dmcvr.interpolate import Plan, mixed

#: Gaps (mm) that a clinical stack has are narrower than this; across wider ones, a heart is looked for farther away.
NARROW_MM = 12.0

#: Of the registration by grey values: sizes of the two levels (1 / shrink), and the demons' iterations at each.
LEVELS = ((2, 60), (1, 30))

#: Gaussian that regularises the displacement after every iteration, in pixels of its level.
SMOOTHING_PX = 1.5

#: Rounds of the fixed point that inverts the displacement of the way to a position.
INVERSION_ROUNDS = 8

#: Registrations side by side; each runs in one thread, so that its result is always the same.
WORKERS = 2


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
    below: NDArray[np.float64]
    above: NDArray[np.float64]

    def warp(self, values: NDArray[np.float32], *, order: int = 3) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, ..., H, W) of the acquired slices to (M, ..., H, W) twice: the lower ones and the upper ones, warped."""
        return (
            np.stack(
                [_sample(values[n], points, order) for n, points in zip(self.plan.lower, self.below, strict=True)]
            ),
            np.stack(
                [_sample(values[n], points, order) for n, points in zip(self.plan.upper, self.above, strict=True)]
            ),
        )

    def blend(self, values: NDArray[np.float32], *, order: int = 3) -> NDArray[np.float32]:
        """The weighted mean of both warped neighbours."""
        return mixed(*self.warp(values, order=order), self.plan)


def paths(images: NDArray[np.float32], plan: Plan) -> Paths:
    """Register the neighbours (N, H, W) of every gap that the plan has positions in, by their grey values."""
    gaps = np.unique(plan.lower)
    _wake_itk()
    with ThreadPoolExecutor(WORKERS) as pool:
        fields = dict(zip(gaps, pool.map(lambda n: demons(images[n], images[n + 1]), gaps), strict=True))
    return _paths_along(fields, plan)


def guided_paths(images: NDArray[np.float32], labels: NDArray[np.uint8], plan: Plan) -> Paths:
    """The same, led by the labels (N, H, W) of the slices too: where grey values mislead, structures do not.

    Few iterations across narrow gaps: what two slices do not share, a longer search would force together.
    """
    slices = torch.from_numpy(np.concatenate([images[:, None], probabilities(labels)[:, 1:]], axis=1))
    gaps = np.unique(plan.lower)
    narrow = np.diff(plan.acquired_mm)[gaps] < NARROW_MM
    fields: dict[np.intp, NDArray[np.float64]] = {}
    for some, levels in ((gaps[narrow], NEAR), (gaps[~narrow], FAR)):
        if len(some):
            found = register(slices[some], slices[some + 1], levels).double().numpy()
            fields |= dict(zip(some, found, strict=True))
    return _paths_along(fields, plan)


def _paths_along(fields: dict[np.intp, NDArray[np.float64]], plan: Plan) -> Paths:
    points = [_meeting_points(fields[n], float(f)) for n, f in zip(plan.lower, plan.fraction, strict=True)]
    return Paths(plan, np.stack([p[0] for p in points]), np.stack([p[1] for p in points]))


@cache
def _wake_itk() -> None:
    """ITK registers its globals at their first use, and nothing keeps two threads from doing so at once.

    Then one in a hundred processes crashes, later and elsewhere. So the first registration has no company.
    """
    blank = np.zeros((16, 16), dtype=np.float32)
    demons(blank, blank)


def demons(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, H, W) displacement D in pixels along both axes, such that moving(x + D(x)) resembles fixed(x).

    Two-level diffeomorphic demons (Vercauteren et al. 2009; SimpleITK).
    """
    import SimpleITK as sitk

    target, source = (sitk.GetImageFromArray(np.asarray(image, dtype=np.float32)) for image in (fixed, moving))
    field = None
    for shrink, iterations in LEVELS:
        small, other = (_shrunk(image, shrink) for image in (target, source))
        demons_filter = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons_filter.SetNumberOfIterations(iterations)
        demons_filter.SetStandardDeviations(SMOOTHING_PX * shrink)
        demons_filter.SetSmoothDisplacementField(True)
        demons_filter.SetNumberOfThreads(1)  # sums in one order: the same result every time
        if field is None:
            field = demons_filter.Execute(small, other)
        else:
            field = demons_filter.Execute(small, other, sitk.Resample(field, small))
    assert field is not None
    array = sitk.GetArrayFromImage(field)  # (H, W, 2): components along W, then H
    return np.asarray(array[..., ::-1].transpose(2, 0, 1), dtype=np.float64)


def _meeting_points(
    displacement: NDArray[np.float64], fraction: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For every pixel y of the slice at `fraction`: x with x + f D(x) = y, and x + D(x); each (2, H, W)."""
    pixels = np.indices(displacement.shape[1:]).astype(np.float64)
    points = pixels
    if fraction > 0:
        for _ in range(INVERSION_ROUNDS):
            points = pixels - fraction * _sample(displacement, points, 1)
    return points, pixels + (1 - fraction) * _sample(displacement, points, 1)  # = x + D(x), exact at the ends


def _sample(values: NDArray[Any], points: NDArray[np.float64], order: int) -> NDArray[Any]:
    """(..., H, W) at points (2, H, W)."""
    flat = values.reshape(-1, *values.shape[-2:])
    sampled = [ndimage.map_coordinates(part, points, order=order, mode="nearest") for part in flat]
    return np.stack(sampled).reshape(values.shape)


def _shrunk(image: Any, factor: int) -> Any:
    import SimpleITK as sitk

    if factor == 1:
        return image
    return sitk.Shrink(sitk.DiscreteGaussian(image, [(factor / 2) ** 2] * 2), [factor, factor])
