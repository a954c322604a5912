"""What the most careful user does today: register the neighbours, warp both to the place between, average."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.distances import scores_of, signed_distances
from dmcvr.interpolate import Plan
from dmcvr.methods import Acquired, Dense, Segment

#: Sizes of the two levels (1 / shrink), and the demons' iterations at each.
LEVELS = ((2, 60), (1, 30))

#: Gaussian that regularises the displacement after every iteration, in pixels of its level.
SMOOTHING_PX = 1.5

#: Rounds of the fixed point that inverts the displacement of the way to a position.
INVERSION_ROUNDS = 8


class Registration:
    """Two-level diffeomorphic demons (Vercauteren et al. 2009; SimpleITK) between the neighbours of a gap.

    With the displacement D from the lower slice L to the upper U, L(x) ~ U(x + D(x)), the slice at fraction f
    has (1 - f) L(x) + f U(x + D(x)) at the point x + f D(x). Labels by the segmenter on that image; given
    labels are warped and averaged as signed distances.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        shapes = signed_distances(acquired.labels) if acquired.labels_given else None
        size = acquired.images.shape[1:]
        images = np.empty((len(plan), *size), dtype=np.float32)
        distances = np.empty((len(plan), 3, *size), dtype=np.float32)
        for lower in np.unique(plan.lower):
            here = np.flatnonzero(plan.lower == lower)
            displacement = demons(acquired.images[lower], acquired.images[lower + 1])
            for m in here:
                start, stop = meeting_points(displacement, float(plan.fraction[m]))
                f = np.float32(plan.fraction[m])
                images[m] = (1 - f) * _sample(acquired.images[lower], start) + f * _sample(
                    acquired.images[lower + 1], stop
                )
                if shapes is not None:
                    for c in range(3):
                        below, above = _sample(shapes[lower, c], start, 1), _sample(shapes[lower + 1, c], stop, 1)
                        distances[m, c] = (1 - f) * below + f * above
        images = np.clip(images, -1, 1)
        scores = scores_of(distances) if shapes is not None else self.segment(images)
        return Dense(images, scores, acquired.images)


def demons(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, H, W) displacement D in pixels along both axes, such that moving(x + D(x)) resembles fixed(x)."""
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


def meeting_points(
    displacement: NDArray[np.float64], fraction: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For every pixel y of the slice at `fraction`: x with x + f D(x) = y, and x + D(x); each (2, H, W)."""
    pixels = np.indices(displacement.shape[1:]).astype(np.float64)
    points = pixels
    for _ in range(INVERSION_ROUNDS):
        points = pixels - fraction * _displaced(displacement, points)
    return points, points + _displaced(displacement, points)


def _displaced(displacement: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([ndimage.map_coordinates(part, points, order=1, mode="nearest") for part in displacement])


def _sample(image: NDArray[np.float32], points: NDArray[np.float64], order: int = 3) -> NDArray[np.float32]:
    return np.asarray(ndimage.map_coordinates(image, points, order=order, mode="nearest", output=np.float32))


def _shrunk(image: Any, factor: int) -> Any:
    import SimpleITK as sitk

    if factor == 1:
        return image
    return sitk.Shrink(sitk.DiscreteGaussian(image, [(factor / 2) ** 2] * 2), [factor, factor])
