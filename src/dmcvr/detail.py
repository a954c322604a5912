"""Detail that an expectation loses: brought back to what the slices around have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.metrics import sharpness

#: Detail is what this Gaussian (SD) takes away.
DETAIL_PX = 1.0

#: Detail is amplified by at most this much: beyond, edges ring.
MOST = 4.0

#: Halvings of the search for the factor.
ROUNDS = 8


def restore_sharpness(images: NDArray[np.float32], wanted: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Slices (M, S, S) in [-1, 1] with their detail amplified until their `sharpness` is the wanted (M,).

    x + k (x - G * x) with the least k in [0, `MOST`] that does; a slice that is sharp enough stays as it is. Of all
    ways back to a given spectrum, amplifying what is expected costs the least squared error (Freirich et al. 2021).
    """
    return np.stack([_restored(image, float(goal)) for image, goal in zip(images, wanted, strict=True)])


def _restored(image: NDArray[np.float32], wanted: float) -> NDArray[np.float32]:
    if sharpness(image) >= wanted:
        return image
    detail = image - ndimage.gaussian_filter(image, DETAIL_PX)

    def amplified(factor: float) -> NDArray[np.float32]:
        return np.asarray(np.clip(image + factor * detail, -1, 1), dtype=np.float32)

    low, high = 0.0, MOST
    if sharpness(amplified(high)) <= wanted:
        return amplified(high)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if sharpness(amplified(middle)) < wanted else (low, middle)
    return amplified((low + high) / 2)
