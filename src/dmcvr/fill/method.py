"""What every way of filling the gaps takes and gives: ours and the plain ones are called alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from dmcvr.geometry.plan import Plan
from dmcvr.labels.cap import with_cap
from dmcvr.labels.distances import probabilities
from dmcvr.labels.segment import SegmentStack
from dmcvr.labels.tidy import tidy_labels
from dmcvr.stages import Stages


@dataclass(frozen=True)
class Acquired:
    """One phase's slices on the ROI grid.

    ============  ============  ========================================================
    images        (N, S, S)     float32 in [-1, 1]
    labels        (N, S, S)     uint8: the segmenter's, or the user's
    labels_given  bool          whether the labels are the user's
    found         (N, 4, S, S)  float32, the segmenter's class probabilities; or None
    ============  ============  ========================================================
    """

    images: Float32[np.ndarray, "N S S"]
    labels: UInt8[np.ndarray, "N S S"]
    labels_given: bool = False
    found: Float32[np.ndarray, "N 4 S S"] | None = None

    @property
    def probabilities(self) -> Float32[np.ndarray, "N 4 S S"]:
        """(N, 4, S, S) of the classes: the segmenter's where its labels were kept, else as sure as labels are."""
        sure = probabilities(self.labels)
        if self.found is None:
            return sure
        return np.where((self.found.argmax(axis=1) == self.labels)[:, None], self.found, sure)

    @classmethod
    def segmented(
        cls,
        images: Float32[np.ndarray, "N S S"],
        positions_mm: Float64[np.ndarray, " N"],
        segment: SegmentStack,
        pixel_mm: float,
    ) -> Acquired:
        """With the segmenter's labels, made one heart."""
        found = segment(images, positions_mm)
        tidied = tidy_labels(found.argmax(axis=1).astype(np.uint8), pixel_mm)
        return cls(images, with_cap(tidied, images), found=found)


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
