"""Brushes: soft-edged painting and smooth noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.phantom.solid import Array


def paint(
    image: Array, distance: Array, value: NDArray[np.floating[Any]] | float, *, step_mm: float, ink: float = 0.0
) -> None:
    """Fill the inside of a solid with a value, in place; edges are as wide as a voxel (partial volume).

    `ink` darkens the outline by this fraction: the black line of bSSFP between fat and water.
    """
    cover = np.clip(0.5 - distance / np.float32(step_mm), 0, 1)
    image += cover * (np.asarray(value, dtype=np.float32) - image)
    if ink:
        image *= 1 - np.float32(ink) * np.exp(-np.square(np.clip(distance / np.float32(step_mm), -4, 4)))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Array:
    """Gaussian noise of unit variance, smooth over about `sigma` voxels."""
    stride = max(1, int(sigma / 1.5))
    coarse = rng.standard_normal([n // stride + 3 for n in shape], dtype=np.float32)
    coarse = ndimage.gaussian_filter(coarse, sigma / stride, mode="wrap")
    fine = coarse if stride == 1 else ndimage.zoom(coarse, stride, order=1)
    fine = fine[tuple(slice(n) for n in shape)]
    return np.asarray((fine - fine.mean()) / fine.std(), dtype=np.float32)
