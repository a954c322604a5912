"""Balls of labels, and where they lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RADIUS_VOXELS = 12
CENTRE = np.array([15.0, 16.0, 17.0])


def sphere(radius: float = RADIUS_VOXELS, shape: tuple[int, int, int] = (32, 34, 36)) -> NDArray[np.uint8]:
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return (np.linalg.norm(grid - CENTRE, axis=-1) <= radius).astype(np.uint8)


def affine_of(handedness: int, spacing_mm: float = 1.5) -> NDArray[np.float64]:
    """Oblique: turned about z by 30 degrees, then about x by 40; the first axis flipped if left-handed."""
    a, b = np.radians([30, 40])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag([handedness * spacing_mm, spacing_mm, spacing_mm])
    affine[:3, 3] = [-40.0, 25.0, 110.0]
    return affine
