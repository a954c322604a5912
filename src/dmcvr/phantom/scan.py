"""The scanner: thick, distant slices of a fine image, with noise, a coil's shading and breath-hold shifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.phantom.frame import Grid, axis_samples
from dmcvr.phantom.shape import HeartShape
from dmcvr.phantom.solid import Array
from dmcvr.phantom.tissue import TISSUES, Modality


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How an exam is acquired: the short-axis stack, and long-axis views if asked for."""

    spacing_mm: float = 10.0  # between slice centres
    thickness_mm: float = 8.0  # box blur through the slice
    pixel_mm: float = 1.5
    size_px: int = 176  # square field of view
    noise: float = 0.02  # sigma of the Rician noise; blood is about 0.85
    bias: float = 0.15  # shading: half of the range of the log intensity
    shift_mm: float = 0.0  # standard deviation, along each axis, of the breath-hold shift of a slice or view
    phases: int = 2  # ED and ES; more are equally spaced over the cycle, the first one at ED
    modality: Modality = "mri"  # balanced SSFP, or CT with contrast agent (in Hounsfield units, without shading)
    long_axis: bool = False  # whether 2-, 3- and 4-chamber and outflow views are taken as well

    def __post_init__(self) -> None:
        lengths = (self.spacing_mm, self.thickness_mm, self.pixel_mm)
        if not all(np.isfinite(v) and v > 0 for v in lengths) or self.size_px < 16:
            raise InputError("A scan needs a positive spacing, thickness and pixel size, and 16 pixels or more.")
        if not all(np.isfinite(v) and v >= 0 for v in (self.noise, self.bias, self.shift_mm)):
            raise InputError("A scan's noise, bias and shift are finite and not negative.")
        if self.modality not in TISSUES:
            raise InputError(f"A scan's modality is one of {', '.join(TISSUES)}; got {self.modality}.")
        if self.phases < 2:
            raise InputError(f"A scan has two phases (ED and ES) or more; got {self.phases}.")


@dataclass(frozen=True)
class Coil:
    """A surface coil: brighter towards the chest wall, smooth over the heart frame (mm)."""

    middle: NDArray[np.float32]  # (3,) of the stack
    half: NDArray[np.float32]  # (3,) of its extent
    slope: NDArray[np.float32]  # (3,)
    bend: NDArray[np.float32]  # (2,)
    bias: float

    @classmethod
    def random(cls, rng: np.random.Generator, pixels: Grid, scan: Scan) -> Coil:
        axes = (pixels.x, pixels.y, pixels.z)
        middle = np.array([axis.mean() for axis in axes], dtype=np.float32)
        half = np.array([np.ptp(axis) / 2 for axis in axes], dtype=np.float32)
        slope = rng.uniform((-0.8, -1.0, -0.3), (0.0, -0.4, 0.3)).astype(np.float32)
        return cls(
            middle, half, slope, rng.uniform(-0.5, 0.3, 2).astype(np.float32), scan.bias * (scan.modality == "mri")
        )

    def gain(self, x: Array, y: Array, z: Array) -> Array:
        """The factor of the intensity at broadcast points, about `bias` (log) up or down at the stack's corners."""
        x, y, z = ((p - m) / h for p, m, h in zip((x, y, z), self.middle, self.half, strict=True))
        log = self.slope[0] * x + self.slope[1] * y + self.slope[2] * z
        log = log + self.bend[0] * np.square(x) + self.bend[1] * np.square(y)
        most = np.float32(np.abs(self.slope).sum())
        return np.asarray(np.exp(np.float32(self.bias) * np.clip(log / most, -1.5, 1.5)), dtype=np.float32)


def slice_positions(shape: HeartShape, scan: Scan, fraction: float) -> Array:
    """(N,) z of the slices: the first lies `fraction` of a spacing above the base, the last past the apex."""
    first = shape.base_mm - fraction * scan.spacing_mm
    count = int(np.ceil((shape.apex_z_mm - first) / scan.spacing_mm)) + 1
    return (first + np.arange(count) * scan.spacing_mm).astype(np.float32)


def slice_grid(scan: Scan, centre_mm: tuple[float, float], positions_mm: Array) -> Grid:
    """The pixels of the stack in the heart frame."""
    x, y = (axis_samples(c, scan.size_px, scan.pixel_mm) for c in centre_mm)
    return Grid(x, y, positions_mm)


def slices_with_heart(shape: HeartShape, positions_mm: Array) -> NDArray[np.bool_]:
    """(N,) which slices cut the ventricles."""
    return np.asarray((positions_mm > shape.base_mm) & (positions_mm < shape.apex_z_mm))


def draw_shifts(rng: np.random.Generator, scan: Scan, held: NDArray[np.bool_], views: int) -> NDArray[np.float64]:
    """(N + views, 2) in-plane shifts in mm of the slices, then of the views; of those that hold heart the mean is 0."""
    shifts = rng.standard_normal((len(held) + views, 2))
    count = int(held.sum())
    shifts[: len(held)] -= shifts[: len(held)][held].mean(axis=0)
    shifts[: len(held)] *= np.sqrt(count / (count - 1))  # without the mean they spread less
    return shifts * scan.shift_mm


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
    return with_noise(np.asarray(slices, dtype=np.float32), scan.noise, rng)


def with_noise(image: Array, sigma: float, rng: np.random.Generator) -> Array:
    """The magnitude of an image with complex Gaussian noise: Rician."""
    real, imaginary = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(sigma)
    return np.asarray(np.hypot(image + real, imaginary), dtype=np.float32)


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
