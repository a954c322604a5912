"""What the most careful user does without us: register the neighbours, warp both to the place between, average."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.sharpen import sharpen_like
from dmcvr.geometry.plan import Plan
from dmcvr.labels.distances import probabilities, scores_of, signed_distances
from dmcvr.labels.segment import Segment
from dmcvr.options import AlignBy
from dmcvr.registration.find import find_paths
from dmcvr.registration.paths import Paths
from dmcvr.stages import Stages


class Registration:
    """The weighted mean of both neighbours, each warped along the deformation between them.

    =======  =====================================================================================================
    align    "grey": SimpleITK's demons on grey values; "labels": ours on grey values and labels, far and near
    carry    how the slices between get labels that are not given: "segment" the averaged image, or "warp" the
             neighbours' labels as they were found, as probabilities
    detail   share of the neighbours' sharpness that a slice is brought back to; 0 leaves the mean as it is
    =======  =====================================================================================================

    Given labels are warped and averaged: as signed distances, or with `carry` "warp" as probabilities.
    """

    def __init__(
        self,
        segment: Segment,
        *,
        align: AlignBy = "grey",
        carry: Literal["segment", "warp"] = "segment",
        detail: float = 0.0,
    ) -> None:
        self.segment, self.align, self.carry, self.detail = segment, align, carry, detail

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        slices = acquired.images
        between = find_paths(slices, acquired.labels, plan, self.align)
        images = sharpen_like(np.clip(between.blend(slices), -1, 1), slices, plan, self.detail)
        return Dense(images, self._scores(acquired, between, images), slices)

    def _scores(self, acquired: Acquired, between: Paths, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.carry == "warp":
            return between.blend(probabilities(acquired.labels), order=1)
        if acquired.labels_given:
            return scores_of(between.blend(signed_distances(acquired.labels), order=1))
        return self.segment(images)
