"""What labels a slice from its picture alone: any callable of this shape; ours is a network."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32


@runtime_checkable
class Segment(Protocol):
    """(B, S, S) slices in [-1, 1] to (B, 4, S, S) class probabilities."""

    def __call__(self, images: Float32[np.ndarray, "B H W"]) -> Float32[np.ndarray, "B 4 H W"]: ...
