"""A long-axis plane as the networks see it: upright, base above and apex below, RV to the left, around the heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Shaped
from numpy.typing import NDArray
from scipy import ndimage

#: Pixels of a view that a network sees: as many, and as large, as those of a slice.
PIXEL_MM = 1.5
SIDE = 128

#: A plane that meets the long axis at more than this angle is no long-axis view.
MOST_ANGLE_DEG = 40.0

#: Grey values between these percentiles of a view become [-1, 1]; the rest is clipped.
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Upright:
    """A square grid in a long-axis plane.

    ======  ======  ======================================================================================
    affine  (4, 4)  index (a, b, c, 1) to RAS+ mm: a to the picture's right, b towards the apex, c across
    side    scalar  pixels along a and b
    ======  ======  ======================================================================================
    """

    affine: Float64[np.ndarray, "4 4"]
    side: int

    @classmethod
    def of(
        cls,
        plane: Float64[np.ndarray, "4 4"],
        axis: Float64[np.ndarray, " 3"],
        middle: Float64[np.ndarray, " 3"],
        to_right: Float64[np.ndarray, " 3"],
        *,
        side: int = SIDE,
    ) -> Upright | None:
        """In the plane of a picture (pixel (i, j, 0, 1) to mm), around what of it is nearest to the heart's middle.

        `axis` (3,) points from base to apex, `to_right` (3,) from the left to the right ventricle. None for a plane
        that cuts across the long axis.
        """
        across = np.cross(plane[:3, 0], plane[:3, 1])
        across /= np.linalg.norm(across)
        down = axis - (axis @ across) * across
        if np.linalg.norm(down) < np.cos(np.deg2rad(MOST_ANGLE_DEG)):
            return None
        down /= np.linalg.norm(down)
        right = np.cross(down, across)
        if right @ to_right > 0:
            right, across = -right, -across
        affine = np.eye(4)
        affine[:3, :3] = np.stack([right * PIXEL_MM, down * PIXEL_MM, across], axis=1)
        centre = middle - ((middle - plane[:3, 3]) @ across) * across
        affine[:3, 3] = centre - (right + down) * PIXEL_MM * (side - 1) / 2
        return cls(affine, side)

    @property
    def directions(self) -> Float64[np.ndarray, "3 3"]:
        """Unit vectors to the picture's right, to the apex, and across the plane; one a row."""
        return np.asarray((self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)).T)

    def points(self, off_mm: float = 0.0) -> Float64[np.ndarray, "3 S S"]:
        """RAS+ mm (3, S, S) of the pixels, or of those so far across the plane."""
        a, b = np.meshgrid(np.arange(self.side), np.arange(self.side), indexing="ij")
        return self.place(np.stack([a, b]).astype(np.float64), off_mm)

    def place(self, pixels: Float64[np.ndarray, "2 ..."], off_mm: float = 0.0) -> Float64[np.ndarray, "3 ..."]:
        """RAS+ mm of pixels (2, ...)."""
        index = np.stack([*pixels, np.full(pixels.shape[1:], off_mm)])
        start = self.affine[:3, 3].reshape(3, *[1] * (pixels.ndim - 1))
        return np.asarray(np.tensordot(self.affine[:3, :3], index, 1) + start)

    def moved(self, by_mm: Float64[np.ndarray, " 2"]) -> Upright:
        """The same picture where the heart lies so far along a and b from where it was."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :2] @ (by_mm / PIXEL_MM)
        return Upright(affine, self.side)


def sampled(
    values: Shaped[np.ndarray, "I J ..."],
    affine: Float64[np.ndarray, "4 4"],
    points: Float64[np.ndarray, "3 ..."],
    *,
    order: int = 1,
    mode: str = "constant",
) -> NDArray[np.float32]:
    """(M...) values of a picture (I, J) or a volume (I, J, K), index to RAS+ mm, at points (3, M...)."""
    whole = affine.copy()
    if values.ndim == 2:  # a picture's third axis is anything
        whole[:3, 2] = np.cross(whole[:3, 0], whole[:3, 1])
    to_index = np.linalg.inv(whole)
    start = to_index[:3, 3].reshape(3, *[1] * (points.ndim - 1))
    index = (np.tensordot(to_index[:3, :3], points, 1) + start)[: values.ndim]
    return np.asarray(ndimage.map_coordinates(values, index, order=order, mode=mode), dtype=np.float32)


def normalised(view: Float32[np.ndarray, " *D"]) -> Float32[np.ndarray, " *D"]:
    """Grey values to [-1, 1], by percentiles."""
    low, high = np.percentile(view, PERCENTILES)
    unit = (view - low) / max(float(high - low), 1e-6) * 2 - 1
    return np.asarray(np.clip(unit, -1, 1), dtype=np.float32)
