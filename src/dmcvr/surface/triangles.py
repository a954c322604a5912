"""A surface of triangles: what is measured of it and drawn with it, no more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Vectors shorter than this have no direction; angles smaller than the second, in radians, make a triangle a line.
NOTHING, FLAT = 1e-12, 1e-8


@dataclass(frozen=True)
class Triangles:
    """Vertices (V, 3) in mm and faces (F, 3), counter-clockwise as seen from outside."""

    vertices: Float64[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]

    @cached_property
    def corners(self) -> Float64[np.ndarray, "F 3 3"]:
        """(F, 3, 3) in mm."""
        return self.vertices[self.faces]

    @cached_property
    def crosses(self) -> Float64[np.ndarray, "F 3"]:
        """(F, 3) normals of the faces, as long as twice their areas."""
        edges = np.diff(self.corners, axis=1)
        return np.cross(edges[:, 0], edges[:, 1])

    @property
    def volume(self) -> float:
        """In mm3, of what is enclosed; by the divergence of x."""
        return float((self.crosses[:, 0] * self.corners[:, :, 0].sum(axis=1)).sum() / 6)

    @property
    def area(self) -> float:
        """In mm2."""
        return float((np.sqrt((self.crosses**2).sum(axis=1)) / 2).sum())

    @property
    def bounds(self) -> Float64[np.ndarray, "2 3"]:
        """(2, 3) the least and the largest coordinates of the faces' corners."""
        return np.stack([self.corners.min(axis=(0, 1)), self.corners.max(axis=(0, 1))])

    @property
    def face_normals(self) -> Float64[np.ndarray, "F 3"]:
        """(F, 3) of length 1; nothing where a face has no area."""
        return _unit(self.crosses)

    @cached_property
    def vertex_normals(self) -> Float64[np.ndarray, "V 3"]:
        """(V, 3) of length 1: the faces' around it, by their angles there (Thuerrner & Wuethrich 1998)."""
        weighted = self._angles[:, :, None] * self.face_normals[:, None]
        index = self.faces.ravel()
        sums = [np.bincount(index, part, minlength=len(self.vertices)) for part in weighted.reshape(-1, 3).T]
        return _unit(np.stack(sums, axis=1))

    @property
    def _angles(self) -> Array:
        """(F, 3) at the corners, in radians; nothing in a triangle that is a line."""
        a, b, c = np.moveaxis(self.corners, 1, 0)
        ab, ac, bc = _unit(b - a), _unit(c - a), _unit(c - b)
        first = np.arccos(np.clip((ab * ac).sum(axis=1), -1, 1))
        second = np.arccos(np.clip((-ab * bc).sum(axis=1), -1, 1))
        angles = np.stack([first, second, np.pi - first - second], axis=1)
        return np.where((angles < FLAT).any(axis=1, keepdims=True), 0.0, angles)


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > NOTHING, vectors / np.where(length > NOTHING, length, 1.0), 0.0)
