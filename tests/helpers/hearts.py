"""Label maps of simple hearts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cone(slices: int = 6, size: int = 40, radius: float = 11.0) -> NDArray[np.uint8]:
    """(1, N, A, B) an LV that tapers, base first, and a crescent of RV beside it."""
    i, j = np.indices((size, size)) - size // 2
    found = []
    for r in radius * np.sqrt(1 - (np.arange(slices) / (slices + 1)) ** 2):
        left = np.where(np.hypot(i, j) < r - 3, 1, np.where(np.hypot(i, j) < r, 2, 0))
        right = (np.hypot(i + 6, j) < r) & (left == 0)
        found.append(np.where(right, 3, left))
    return np.stack(found)[None].astype(np.uint8)
