"""What every way of filling the gaps takes and gives: ours and the plain ones are called alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from dmcvr.geometry.plan import Plan
from dmcvr.labels.segment import Segment
from dmcvr.labels.tidy import tidy_labels
from dmcvr.stages import Stages


@dataclass(frozen=True)
class Acquired:
    """One phase's slices on the ROI grid.

    ============  =========  ========================================================
    images        (N, S, S)  float32 in [-1, 1]
    labels        (N, S, S)  uint8: the segmenter's, or the user's
    labels_given  bool       whether the labels are the user's
    ============  =========  ========================================================
    """

    images: Float32[np.ndarray, "N S S"]
    labels: UInt8[np.ndarray, "N S S"]
    labels_given: bool = False

    @classmethod
    def segmented(cls, images: Float32[np.ndarray, "N S S"], segment: Segment, pixel_mm: float) -> Acquired:
        """With the segmenter's labels, made one heart."""
        return cls(images, tidy_labels(segment(images).argmax(axis=1).astype(np.uint8), pixel_mm))


@dataclass(frozen=True)
class Dense:
    """The slices at every position of a plan.

    ==========  ============  ===================================================================
    images      (M, S, S)     float32 in [-1, 1]
    scores      (M, 4, S, S)  float32, continuous; the largest of the four is the label
    round_trip  (N, S, S)     float32: the acquired slices as the method itself renders them
    ==========  ============  ===================================================================
    """

    images: Float32[np.ndarray, "M S S"]
    scores: Float32[np.ndarray, "M 4 S S"]
    round_trip: Float32[np.ndarray, "N S S"]


@runtime_checkable
class Method(Protocol):
    """Fills a plan's positions from the acquired slices; `stages` is told what is done and how long it takes."""

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense: ...
