"""A heart in closed form: its labels in slices, and pictures of its long axis from which a pretended segmenter reads
exact labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from dmcvr.anatomy.seen import Slices
from dmcvr.exam.view import View
from dmcvr.geometry.region import Frame
from dmcvr.phantom.heart import Heart
from dmcvr.phantom.shape import HeartShape

PHASE = "ED"
#: Greys of the labels: background and cavity, which every view has, are the ends.
GREYS = np.array([0.0, 3.0, 1.0, 2.0], np.float32)

#: Fine: between two labels that are greys a third one would show.
SIDE, PIXEL_MM = 400, 0.56


@dataclass(frozen=True)
class ClosedHeart:
    """World and heart frame are the same; slices so far apart, from below the base to about so far past the apex."""

    shape: HeartShape
    spacing_mm: float = 12.0
    first_mm: float = -7.0
    past_apex_mm: float = 12.0

    @classmethod
    def random(cls, seed: int = 3, **stack: float) -> ClosedHeart:
        return cls(Heart.random(np.random.default_rng(seed)).at(0.0), **stack)

    @cached_property
    def slices(self) -> Slices:
        positions = np.arange(self.first_mm, self.shape.apex_z_mm + self.past_apex_mm, self.spacing_mm)
        frame = Frame(np.array([-10.0, 0.0, 0.0]), np.eye(3)[0], np.eye(3)[1], 112, 1.5)
        slices = Slices(np.zeros((1, 1, 1, 1), np.uint8), positions, frame, np.eye(3)[2])
        return Slices(self.at(slices, positions)[None], positions, frame, slices.normal)

    def at(self, slices: Slices, heights: np.ndarray) -> np.ndarray:
        """(K, S, S) exact labels at these heights."""
        a = (np.arange(slices.frame.size) - (slices.frame.size - 1) / 2) * slices.frame.pixel_mm
        x, y = (np.float32(a + c) for c in slices.frame.centre[:2])
        return self.shape.labels(x[None, :, None], y[None, None, :], np.float32(heights)[:, None, None])

    def view(self, angle_deg: float, shift_mm: tuple[float, float] = (0.0, 0.0), name: str = "") -> View:
        """A plane along z through the left ventricle's middle, moved along the picture's axes by its breath-hold."""
        angle = np.deg2rad(angle_deg)
        affine = np.eye(4)
        affine[:3, 0] = np.array([np.cos(angle), np.sin(angle), 0]) * PIXEL_MM
        affine[:3, 1] = 0, 0, PIXEL_MM
        middle = np.array([*(float(c[0]) for c in self.shape.centre(np.float32([40]))), 30.0])
        affine[:3, 3] = middle - (affine[:3, 0] + affine[:3, 1]) * (SIDE - 1) / 2
        i, j = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
        index = np.stack([i - shift_mm[0] / PIXEL_MM, j - shift_mm[1] / PIXEL_MM, 0 * i, 1 + 0 * i])
        x, y, z = np.einsum("ab,bij->aij", affine[:3], index)[..., None].astype(np.float32)
        labels = self.shape.labels(x, y, z)[..., 0]
        return View(name or f"{angle_deg:.0f}", PHASE, GREYS[labels], affine)


def read(images: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """(B, 4, S, S) the labels that the pictures are made of, with soft borders."""
    labels = GREYS.argsort()[np.rint((images + 1) * 1.5).astype(int)]
    soft = np.moveaxis(np.eye(4, dtype=np.float32)[labels], 3, 1)
    return ndimage.gaussian_filter(soft, (0, 0, 0.7, 0.7))
