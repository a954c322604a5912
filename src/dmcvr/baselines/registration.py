"""What the most careful user does today: register the neighbours, warp both to the place between, average."""

from __future__ import annotations

import numpy as np

from dmcvr.align import paths
from dmcvr.distances import scores_of, signed_distances
from dmcvr.interpolate import Plan
from dmcvr.methods import Acquired, Dense, Segment


class Registration:
    """The weighted mean of both neighbours, each warped along the deformation between them (`dmcvr.align`).

    Labels by the segmenter on that image; given labels are warped and averaged as signed distances.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        between = paths(acquired.images, plan)
        images = np.clip(between.blend(acquired.images), -1, 1)
        if acquired.labels_given:
            scores = scores_of(between.blend(signed_distances(acquired.labels), order=1))
        else:
            scores = self.segment(images)
        return Dense(images, scores, acquired.images)
