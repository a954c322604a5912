"""What labels a slice from its picture alone: any callable of this shape; ours is a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Segment(Protocol):
    """(B, S, S) slices in [-1, 1] to (B, 4, S, S) class probabilities."""

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]: ...
