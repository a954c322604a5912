"""Detail that an expectation loses: brought back to what the slices around have."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import bisect

from dmcvr.geometry.plan import Plan, blend

#: Detail is what a Gaussian of this standard deviation, in pixels, takes away from a slice.
DETAIL_PX = 1.0

#: The most that detail is amplified by (added k times): beyond, edges ring.
MOST = 4.0

#: The factor k is found to this.
TOLERANCE = 0.008


def sharpness(image: Float[np.ndarray, "H W"]) -> float:
    """Mean gradient magnitude of a 2D image, per pixel."""
    return float(np.hypot(*np.gradient(image)).mean())


def restore_sharpness(
    images: Float32[np.ndarray, "M S S"], wanted: Float[np.ndarray, " M"]
) -> Float32[np.ndarray, "M S S"]:
    """Slices (M, S, S) in [-1, 1] with their detail amplified until their `sharpness` is the wanted (M,).

    x + k (x - G * x) with the least k in [0, `MOST`] that does; a slice that is sharp enough stays as it is. Of all
    ways back to a given spectrum, amplifying what is expected costs the least squared error (Freirich et al. 2021).
    """
    return np.stack([_restored(image, float(goal)) for image, goal in zip(images, wanted, strict=True)])


def sharpen_like(
    images: Float32[np.ndarray, "M S S"], slices: Float32[np.ndarray, "N S S"], plan: Plan, share: float
) -> Float32[np.ndarray, "M S S"]:
    """Slices at a plan's positions, brought to this share of the acquired neighbours' sharpness (0: as they are)."""
    own = np.array([sharpness(image) for image in slices], dtype=np.float32)
    return restore_sharpness(images, share * blend(own, plan))


def _restored(image: NDArray[np.float32], wanted: float) -> NDArray[np.float32]:
    if sharpness(image) >= wanted:
        return image
    detail = image - ndimage.gaussian_filter(image, DETAIL_PX)

    def amplified(factor: float) -> NDArray[np.float32]:
        return np.asarray(np.clip(image + factor * detail, -1, 1), dtype=np.float32)

    def missing(factor: float) -> float:
        return sharpness(amplified(factor)) - wanted

    return amplified(MOST if missing(MOST) <= 0 else float(bisect(missing, 0.0, MOST, xtol=TOLERANCE)))
