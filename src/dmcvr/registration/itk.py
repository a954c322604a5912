"""SimpleITK's demons, on grey values alone: what a careful user has without us, and the bar for ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from dmcvr.geometry.plan import Plan
from dmcvr.registration.demons import SMOOTHING_PX
from dmcvr.registration.paths import Paths

#: Sizes of the two levels (1 / shrink), and the demons' iterations at each.
LEVELS = ((2, 60), (1, 30))

#: Registrations side by side; each runs in one thread, so that its result is always the same.
WORKERS = 2


def paths_by_grey(images: Float32[np.ndarray, "N H W"], plan: Plan) -> Paths:
    """Register the neighbours (N, H, W) of every gap that the plan has positions in, by their grey values."""
    gaps = np.unique(plan.lower)
    _wake_itk()
    with ThreadPoolExecutor(WORKERS) as pool:
        fields = dict(zip(gaps, pool.map(lambda n: itk_demons(images[n], images[n + 1]), gaps), strict=True))
    return Paths.along(fields, plan)


def itk_demons(fixed: Float32[np.ndarray, "H W"], moving: Float32[np.ndarray, "H W"]) -> Float64[np.ndarray, "2 H W"]:
    """(2, H, W) displacement D in pixels along both axes, such that moving(x + D(x)) resembles fixed(x).

    Two-level diffeomorphic demons (Vercauteren et al. 2009; SimpleITK).
    """
    import SimpleITK as sitk

    target, source = (sitk.GetImageFromArray(np.asarray(image, dtype=np.float32)) for image in (fixed, moving))
    field = None
    for factor, iterations in LEVELS:
        small, other = (_level(image, factor) for image in (target, source))
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetStandardDeviations(SMOOTHING_PX * factor)
        demons.SetSmoothDisplacementField(True)
        demons.SetNumberOfThreads(1)  # sums in one order: the same result every time
        if field is None:
            field = demons.Execute(small, other)
        else:
            field = demons.Execute(small, other, sitk.Resample(field, small))
    assert field is not None
    array = sitk.GetArrayFromImage(field)  # (H, W, 2): components along W, then H
    return np.asarray(array[..., ::-1].transpose(2, 0, 1), dtype=np.float64)


@cache
def _wake_itk() -> None:
    """Run one registration alone, before any two run side by side.

    ITK registers its global objects at their first use without a lock. Two threads that do so at once crash about one
    process in a hundred, later and elsewhere.
    """
    blank = np.zeros((16, 16), dtype=np.float32)
    itk_demons(blank, blank)


def _level(image: Any, factor: int) -> Any:
    """A level of the pyramid: an ITK image smoothed and sampled at every `factor`-th pixel."""
    import SimpleITK as sitk

    if factor == 1:
        return image
    return sitk.Shrink(sitk.DiscreteGaussian(image, [(factor / 2) ** 2] * 2), [factor, factor])
