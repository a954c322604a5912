"""The interpolations that every viewer and toolbox offers.

`nearest`, `linear` and `cubic` make an image and let the segmenter label it; `shape` interpolates the image linearly
and the neighbours' labels by signed distances. Labels that are given are interpolated by all of them, each in its own
way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from dmcvr.fill.method import Acquired, Dense
from dmcvr.geometry.plan import Plan, blend
from dmcvr.labels.distances import scores_of, shares, signed_distances
from dmcvr.labels.segment import Segment
from dmcvr.stages import Stages


class Nearest:
    """The nearer neighbour's image; labels by the segmenter, or the nearer neighbour's given ones."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        nearest = np.where(plan.fraction < 0.5, plan.lower, plan.upper)
        if acquired.labels_given:
            scores = scores_of(signed_distances(acquired.labels))
        else:
            scores = self.segment(acquired.images)
        return Dense(acquired.images[nearest], scores[nearest], acquired.images)


class Linear:
    """The neighbours' weighted mean; labels by the segmenter on that image, or the weighted majority of given ones."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        images = blend(acquired.images, plan)
        scores = blend(shares(acquired.labels), plan) if acquired.labels_given else self.segment(images)
        return Dense(images, scores, acquired.images)


class Cubic:
    """A natural cubic spline through all slices; labels as with `Linear`."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        images = np.clip(self._spline(acquired.images, plan), -1, 1)
        scores = self._spline(shares(acquired.labels), plan) if acquired.labels_given else self.segment(images)
        return Dense(images, scores, acquired.images)

    @staticmethod
    def _spline(values: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
        curve = CubicSpline(plan.acquired_mm, values, axis=0, bc_type="natural")
        return np.asarray(curve(plan.positions_mm), dtype=np.float32)


class Shape:
    """Linear image; labels from the neighbours' signed distances (Raya & Udupa 1990; Herman et al. 1992)."""

    def __init__(self, segment: Segment) -> None:
        del segment  # the neighbours' labels are all it needs

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        distances = blend(signed_distances(acquired.labels), plan)
        return Dense(blend(acquired.images, plan), scores_of(distances), acquired.images)
