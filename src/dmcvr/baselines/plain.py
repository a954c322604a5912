"""The interpolations that every viewer and toolbox offers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dmcvr.distances import scores_of, signed_distances
from dmcvr.interpolate import Plan, blend
from dmcvr.methods import Acquired, Dense, Method, Segment


class Nearest:
    """The nearer neighbour's image; labels by the segmenter, or the nearer neighbour's given ones."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        nearest = np.where(plan.fraction < 0.5, plan.lower, plan.upper)
        if acquired.labels_given:
            scores = scores_of(signed_distances(acquired.labels))
        else:
            scores = self.segment(acquired.images)
        return Dense(acquired.images[nearest], scores[nearest], acquired.images)


class Linear:
    """The neighbours' weighted mean; labels by the segmenter on that image."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        images = blend(acquired.images, plan)
        return Dense(images, self.segment(images), acquired.images)


class Shape:
    """Linear image; labels from the neighbours' signed distances (Raya & Udupa 1990; Herman et al. 1992)."""

    def __init__(self, segment: Segment) -> None:
        del segment  # the neighbours' labels are all it needs

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        distances = blend(signed_distances(acquired.labels), plan)
        return Dense(blend(acquired.images, plan), scores_of(distances), acquired.images)


#: By the name the command line knows them by.
BASELINES: dict[str, Callable[[Segment], Method]] = {"nearest": Nearest, "linear": Linear, "shape": Shape}
