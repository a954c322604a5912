"""Slices of one stack that were planned a little differently, on the planes and pixels of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage

from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.runs import PARALLEL_DEG, angle_deg

#: A heart reaches about so far from the long axis.
HEART_RADIUS_MM = 50.0

#: Thickness that is assumed where no header tells.
USUAL_THICKNESS_MM = 8.0

#: Planes that differ by less are the same.
SAME_DEG = 0.1


@dataclass(frozen=True, eq=False)
class Grid:
    """The planes that a stack's slices stand in, and their pixels.

    ======  ========  ======================================================================
    frame             one picture of most slices: its axes and pixels are the stack's
    origin  (3,)      a point of the line along which the slices are stacked, RAS+ mm
    ======  ========  ======================================================================
    """

    frame: DicomFrame
    origin: Float64[np.ndarray, " 3"]

    @property
    def normal(self) -> Float64[np.ndarray, " 3"]:
        """(3,) unit vector along which the slices are stacked; its largest component is positive."""
        normal = self.frame.normal
        return np.asarray(normal * np.sign(normal[np.argmax(np.abs(normal))]))

    def place_mm(self, frame: DicomFrame) -> float:
        """Where the stack's line meets a picture's plane."""
        across = float(frame.normal @ self.normal)
        return float((frame.centre - self.origin) @ frame.normal) / across + float(self.origin @ self.normal)

    def tilt_deg(self, frame: DicomFrame) -> float:
        """Of a picture's plane against the stack's."""
        return angle_deg(frame.normal, self.normal)

    def fits(self, frame: DicomFrame) -> bool:
        """Whether a picture has the stack's pixels and lies as its planes do, but for a tilt."""
        return same_pixels(frame, self.frame) and _are_turned_alike(frame, self.frame)

    def affine(self, frame: DicomFrame) -> Float64[np.ndarray, "4 4"]:
        """(4, 4) pixel of the slice in the stack to RAS+ mm, for a picture of it.

        The picture's own where it lies in the stack's planes. A tilted one is laid flat where the stack's line meets
        it, pixel by pixel; one with other pixels gets the stack's.
        """
        if self.fits(frame) and self.tilt_deg(frame) < SAME_DEG:
            return frame.affine
        place = self.place_mm(frame) - float(self.origin @ self.normal)
        meeting = self.origin + place * self.normal
        affine = np.eye(4)
        affine[:3, 2] = self.normal
        if not self.fits(frame):
            affine[:3, :2] = self.frame.affine[:3, :2]
            corner = self.frame.affine[:3, 3]
            affine[:3, 3] = corner + ((meeting - corner) @ self.normal) * self.normal
            return affine
        row = frame.affine[:3, 0] - (frame.affine[:3, 0] @ self.normal) * self.normal
        row /= np.linalg.norm(row)
        column = np.cross(self.normal, row)
        column *= np.sign(column @ frame.affine[:3, 1])
        affine[:3, 0], affine[:3, 1] = row * frame.pixel_mm[0], column * frame.pixel_mm[1]
        pixel = np.linalg.inv(frame.affine) @ [*meeting, 1]
        affine[:3, 3] = meeting - affine[:3, :2] @ pixel[:2]
        return affine

    def picture(self, frame: DicomFrame, image: Float32[np.ndarray, "A B"]) -> Float32[np.ndarray, "I J"]:
        """(I, J) grey values on the stack's pixels of a picture (A, B); the picture itself where it fits.

        Cubic splines within the range of the picture, after a blur where its pixels are the finer; outside, its least
        value.
        """
        if self.fits(frame):
            return image
        target = self.affine(frame)
        corners = np.array([[0, 0, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1]]) @ target.T
        reach = ((frame.affine[:3, 3] - corners[:, :3]) @ frame.normal) / (self.normal @ frame.normal)
        on_plane = corners[:, :3] + reach[:, None] * self.normal  # along the stack's line onto the picture's plane
        pixels = (np.concatenate([on_plane, np.ones((3, 1))], axis=1) @ np.linalg.inv(frame.affine).T)[:, :2]
        ratios = np.array(self.frame.pixel_mm) / np.array(frame.pixel_mm)
        blurred = ndimage.gaussian_filter(image, np.maximum(0, (ratios - 1) / 2))
        drawn = ndimage.affine_transform(
            blurred,
            np.stack([pixels[1] - pixels[0], pixels[2] - pixels[0]], axis=1),
            pixels[0],
            output_shape=self.frame.shape,
            order=3,
            mode="constant",
            cval=float(image.min()),
        )
        return np.clip(drawn, image.min(), image.max()).astype(np.float32)


def most_tilt_deg(thickness_mm: float | None) -> float:
    """How far a slice may be tilted: over the whole heart it then stays within half its own thickness."""
    half = (thickness_mm or USUAL_THICKNESS_MM) / 2
    return float(np.degrees(np.arcsin(min(1.0, half / HEART_RADIUS_MM))))


def same_pixels(a: DicomFrame, b: DicomFrame) -> bool:
    """Whether both pictures have as many pixels of the same size."""
    return a.shape == b.shape and bool(np.allclose(a.pixel_mm, b.pixel_mm, rtol=1e-3))


def _are_turned_alike(a: DicomFrame, b: DicomFrame) -> bool:
    """Whether rows and columns of both run the same way, but for what a tilt of the plane does."""
    for k in (0, 1):
        along = a.affine[:3, k] - (a.affine[:3, k] @ b.normal) * b.normal
        cosine = along @ b.affine[:3, k] / np.linalg.norm(along) / b.pixel_mm[k]
        if cosine < np.cos(np.radians(PARALLEL_DEG)):
            return False
    return True
