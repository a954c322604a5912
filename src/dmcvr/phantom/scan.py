"""The scanner: thick, distant slices of a fine image, with noise, a coil's shading and breath-hold shifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.phantom.frame import Grid, axis_samples
from dmcvr.phantom.shape import Array, HeartShape


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How the short-axis stack is acquired."""

    spacing_mm: float = 10.0  # between slice centres
    thickness_mm: float = 8.0  # box blur through the slice
    pixel_mm: float = 1.5
    size_px: int = 176  # square field of view
    noise: float = 0.02  # sigma of the Rician noise; blood is about 0.85
    bias: float = 0.15  # shading: half of the range of the log intensity
    shift_mm: float = 0.0  # standard deviation, along each axis, of a slice's breath-hold shift

    def __post_init__(self) -> None:
        lengths = (self.spacing_mm, self.thickness_mm, self.pixel_mm)
        if not all(np.isfinite(v) and v > 0 for v in lengths) or self.size_px < 16:
            raise InputError("A scan needs a positive spacing, thickness and pixel size, and 16 pixels or more.")
        if not all(np.isfinite(v) and v >= 0 for v in (self.noise, self.bias, self.shift_mm)):
            raise InputError("A scan's noise, bias and shift are finite and not negative.")


def slice_positions(shape: HeartShape, scan: Scan, fraction: float) -> Array:
    """(N,) z of the slices: the first lies `fraction` of a spacing above the base, the last past the apex."""
    first = shape.base_mm - fraction * scan.spacing_mm
    count = int(np.ceil((shape.apex_z_mm - first) / scan.spacing_mm)) + 1
    return (first + np.arange(count) * scan.spacing_mm).astype(np.float32)


def slice_grid(scan: Scan, centre_mm: tuple[float, float], positions_mm: Array) -> Grid:
    """The pixels of the stack in the heart frame."""
    x, y = (axis_samples(c, scan.size_px, scan.pixel_mm) for c in centre_mm)
    return Grid(x, y, positions_mm)


def draw_shifts(rng: np.random.Generator, scan: Scan, count: int) -> NDArray[np.float64]:
    """(N, 2) in-plane shift of each slice in mm."""
    return rng.standard_normal((count, 2)) * scan.shift_mm


def acquire(
    fine: Array, grid: Grid, pixels: Grid, scan: Scan, shifts_mm: NDArray[np.float64], rng: np.random.Generator
) -> Array:
    """(N, I, J) slices of a fine image (I', J', K') on `grid`, at `pixels`; noise comes from `rng`."""
    through = _box_weights(pixels.z, grid.z, scan.thickness_mm)
    across_x, across_y = _tent_weights(pixels.x, grid.x), _tent_weights(pixels.y, grid.y)
    slabs = np.moveaxis(fine @ through.T, 2, 0)
    slices = across_x @ slabs @ across_y.T
    if shifts_mm.any():
        slices = np.stack(
            [
                ndimage.shift(image, shift / scan.pixel_mm, order=3, mode="nearest")
                for image, shift in zip(slices, shifts_mm, strict=True)
            ]
        )
    real, imaginary = rng.standard_normal((2, *slices.shape), dtype=np.float32) * np.float32(scan.noise)
    return np.asarray(np.hypot(slices + real, imaginary), dtype=np.float32)


def shading(rng: np.random.Generator, pixels: Grid, scan: Scan) -> Array:
    """(N, I, J) multiplicative field of a surface coil: brighter towards the chest wall, smooth."""
    x, y, z = (((p - p.mean()) / np.ptp(p) * 2).astype(np.float32) for p in (pixels.x, pixels.y, pixels.z))
    a, b, c = rng.uniform((-0.8, -1.0, -0.3), (0.0, -0.4, 0.3)).astype(np.float32)
    d, e = rng.uniform(-0.5, 0.3, 2).astype(np.float32)
    x, y, z = x[None, :, None], y[None, None, :], z[:, None, None]
    field = a * x + b * y + c * z + d * x**2 + e * y**2
    field = (field - (field.max() + field.min()) / 2) / (np.ptp(field) / 2)
    return np.asarray(np.exp(np.float32(scan.bias) * field), dtype=np.float32)


def slice_labels(shape: HeartShape, pixels: Grid, shifts_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(N, I, J) labels at the centre plane of each slice, shifted as its image is."""
    dx, dy = shifts_mm.astype(np.float32).T
    x = pixels.x[None, :, None] - dx[:, None, None]
    y = pixels.y[None, None, :] - dy[:, None, None]
    return shape.labels(x, y, pixels.z[:, None, None])


def _box_weights(to: Array, source: Array, width_mm: float) -> Array:
    """(N, K) share of each fine sample in a box of this width around each position."""
    half = (source[1] - source[0]) / 2
    low = np.maximum(to[:, None] - width_mm / 2, source - half)
    high = np.minimum(to[:, None] + width_mm / 2, source + half)
    return _normalised(np.clip(high - low, 0, None))


def _tent_weights(to: Array, source: Array) -> Array:
    """(I, I') linear interpolation, widened to the coarser of the two spacings so that nothing aliases."""
    width = max(to[1] - to[0], source[1] - source[0])
    return _normalised(np.clip(1 - np.abs(to[:, None] - source) / width, 0, None))


def _normalised(weights: Array) -> Array:
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
