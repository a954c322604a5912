"""What labels slices: any callable of these shapes; ours are networks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8


@runtime_checkable
class Segment(Protocol):
    """Each slice by itself: (B, S, S) in [-1, 1] to (B, 4, S, S) class probabilities."""

    def __call__(self, images: Float32[np.ndarray, "B H W"]) -> Float32[np.ndarray, "B 4 H W"]: ...


@runtime_checkable
class SegmentStack(Protocol):
    """The slices of a stack together: (N, S, S) in [-1, 1], at (N,) rising positions in mm, to (N, 4, S, S) class
    probabilities."""

    def __call__(
        self, images: Float32[np.ndarray, "N H W"], positions_mm: Float64[np.ndarray, " N"]
    ) -> Float32[np.ndarray, "N 4 H W"]: ...


@runtime_checkable
class SegmentViews(Protocol):
    """Upright long-axis views (B, S, S) in [-1, 1], each with the labels (B, S, S) that the short axis has in its
    plane, to (B, 4, S, S) class probabilities."""

    def __call__(
        self, images: Float32[np.ndarray, "B H W"], priors: UInt8[np.ndarray, "B H W"]
    ) -> Float32[np.ndarray, "B 4 H W"]: ...
