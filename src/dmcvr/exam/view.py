"""A long-axis picture of the heart: pixels and their place in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8


@dataclass(frozen=True)
class View:
    """One long-axis picture in the exam's world frame.

    ============  ======  ============================================
    image         (I, J)  float32, any intensity unit
    affine        (4, 4)  pixel (i, j, 0, 1) to RAS+ mm
    labels        (I, J)  uint8, the package's labels; None if unknown
    thickness_mm  scalar  how thick the slice is; None if unknown
    ============  ======  ============================================
    """

    name: str
    phase: str
    image: Float32[np.ndarray, "I J"]
    affine: Float64[np.ndarray, "4 4"]
    labels: UInt8[np.ndarray, "I J"] | None = None
    thickness_mm: float | None = None
