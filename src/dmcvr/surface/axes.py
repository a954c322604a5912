"""The left ventricle's own coordinates: a long axis from the mitral plane to the apex, and where the septum lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.surface.borders import FAR_VOXELS, Borders

Array = NDArray[np.float64]

#: The base plane leans against the long axis by this slope at most (30 degrees).
STEEPEST = 0.58

#: Share of the cavity's cross-section, around its middle, whose upper end is the base plane.
CENTRAL = 0.6


@dataclass(frozen=True)
class Axes:
    """One phase's coordinates; mm.

    =========  ====  ===============================================================================
    base       (3,)  where the long axis meets the base plane
    apex       (3,)  the endocardial apex
    septal     (3,)  unit vector, square to the axis, to the middle of the septum
    anterior   (3,)  unit vector, square to both, to the anterior wall
    lean       (3,)  square to the axis: by how much the base plane falls towards the apex, per mm this way
    radius_mm        of the cavity where it is widest
    =========  ====  ===============================================================================
    """

    base: Float64[np.ndarray, " 3"]
    apex: Float64[np.ndarray, " 3"]
    septal: Float64[np.ndarray, " 3"]
    anterior: Float64[np.ndarray, " 3"]
    lean: Float64[np.ndarray, " 3"]
    radius_mm: float

    @property
    def length_mm(self) -> float:
        """From the base plane to the endocardial apex."""
        return float(np.linalg.norm(self.apex - self.base))

    @property
    def down(self) -> Array:
        """Unit vector from base to apex."""
        return np.asarray((self.apex - self.base) / self.length_mm)

    def outward(self, radians: Float64[np.ndarray, " *D"]) -> Array:
        """(..., 3) unit vectors around the axis: 0 is septal, a quarter turn anterior."""
        return np.asarray(np.cos(radians)[..., None] * self.septal + np.sin(radians)[..., None] * self.anterior)

    def turned(self, reference: Float64[np.ndarray, " 3"], mirrored: bool) -> Axes:
        """With the septum to this side, as far as it is square to the axis."""
        septal = reference - (reference @ self.down) * self.down
        septal = septal / np.linalg.norm(septal)
        anterior = np.cross(septal, self.down)
        return replace(self, septal=septal, anterior=-anterior if mirrored else anterior)


def sample(field: Float32[np.ndarray, "A B C"], affine: Float64[np.ndarray, "4 4"], points: Array) -> Array:
    """(...) values of a field at world points (..., 3), linearly between voxels; beyond it, nothing is near."""
    voxels = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    flat = voxels.reshape(-1, 3).T
    found = ndimage.map_coordinates(field, flat, order=1, mode="constant", cval=FAR_VOXELS)
    return np.asarray(found.reshape(points.shape[:-1]), dtype=np.float64)


def find_axes(borders: Borders, cavity: Float32[np.ndarray, "A B C"], *, base_first: bool) -> Axes | None:
    """The coordinates of one phase, from its labels and the smoothed distance (A, B, C) to its LV cavity; None without
    an LV or an RV. `base_first`: the last grid axis runs from base to apex."""
    inside, right = np.argwhere(borders.labels == 1), np.argwhere(borders.labels == 3)
    if len(inside) < 30 or len(right) < 30 or np.ptp(inside[:, 2]) < 3:
        return None
    levels, areas = np.unique(inside[:, 2], return_counts=True)
    centres = np.stack([np.bincount(inside[:, 2], inside[:, a])[levels] / areas for a in (0, 1)] + [levels], axis=1)
    world = _world(borders, centres)
    if not base_first:
        world, areas = world[::-1], areas[::-1]
    along = np.linalg.norm(world - world[0], axis=1)
    lines = [np.polynomial.Polynomial.fit(along, c, 1, w=np.sqrt(areas)) for c in world.T]
    top, bottom = (np.array([line(t) for line in lines]) for t in (along[0], along[-1]))
    down = (bottom - top) / np.linalg.norm(bottom - top)
    depth = (_world(borders, inside) - top) @ down
    deepest = _world(borders, inside[depth > depth.max() - 2 * borders.voxel_mm])
    apex = bottom + ((deepest.mean(axis=0) - bottom) / 2)
    apex += down * (depth.max() + borders.voxel_mm / 2 - (apex - top) @ down)
    septal = _world(borders, right).mean(axis=0) - (top + bottom) / 2
    radius_mm = float(np.sqrt(areas.max() / np.pi)) * borders.voxel_mm
    axes = Axes(top, apex, septal, septal, np.zeros(3), radius_mm).turned(septal, mirrored=False)
    return _with_base(borders, cavity, axes)


def _with_base(borders: Borders, cavity: Float32[np.ndarray, "A B C"], axes: Axes) -> Axes:
    """The base plane: fitted to the upper end of the cavity's middle."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = np.linspace(0.1, CENTRAL, 5) * axes.radius_mm
    flat = np.stack([np.outer(radii, f(angles)).ravel() for f in (np.cos, np.sin)], axis=1)  # septal, anterior
    step = borders.voxel_mm / 2
    heights = np.arange(axes.length_mm / 2, -axes.length_mm / 2, -step)  # from the middle upwards
    feet = axes.base + flat @ np.stack([axes.septal, axes.anterior])
    values = sample(cavity, borders.affine, feet[:, None] + heights[:, None] * axes.down)
    last = np.argmax(values >= 0, axis=1)
    ends = last > 0
    if ends.sum() < 10:
        return axes
    rows = np.flatnonzero(ends)
    before, after = values[rows, last[ends] - 1], values[rows, last[ends]]
    top = heights[last[ends] - 1] - step * before / (before - after)
    matrix = np.column_stack([flat[ends], np.ones(ends.sum())])
    weight = np.ones(len(top))
    for _ in range(5):  # least absolute deviations: some columns end at a papillary muscle or in the outflow tract
        found = np.linalg.lstsq(matrix * weight[:, None], top * weight, rcond=None)[0]
        weight = 1 / np.sqrt(np.maximum(np.abs(matrix @ found - top), 0.5))
    steep = float(np.hypot(*found[:2]))
    slope = found[:2] * min(1.0, STEEPEST / max(steep, 1e-9))
    lean = slope @ np.stack([axes.septal, axes.anterior])
    return replace(axes, base=axes.base + found[2] * axes.down, lean=lean).turned(axes.septal, mirrored=False)


def _world(borders: Borders, voxels: NDArray[np.generic]) -> Array:
    return np.asarray(voxels @ borders.affine[:3, :3].T + borders.affine[:3, 3])
