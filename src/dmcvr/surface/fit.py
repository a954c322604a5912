"""The template on a heart's phases: its vertices where rays from the long axis meet the borders.

Rows and columns are places in the left ventricle's own coordinates (`axes`), the same in every phase: what moves is how
far the borders are. In a cine of `CINE_PHASES` or more, every vertex's path over the heartbeat is its Fourier series of
low order, so motion is smooth and periodic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.clinical.strain import measure_strain
from dmcvr.labels.base import leaning
from dmcvr.surface.axes import Axes, find_axes, sample
from dmcvr.surface.borders import Borders
from dmcvr.surface.template import LV_COLUMNS, LV_ROWS, LV_STRAIGHT, RV_COLUMNS, RV_ROWS, Template, template

Array = NDArray[np.float64]

#: A cine has at least so many phases; their paths keep harmonics up to this one (and a third of the phases).
CINE_PHASES, HARMONICS = 8, 5

#: Standard deviation, in voxels, of the smoothing before borders are looked for.
SMOOTH_VOXELS = 1.0

#: How far rays go, and between samples of the RV around the axis, in degrees.
REACH_MM, STEP_DEG = 130.0, 2.0

#: Where the first row looks for the border, below the rim that smoothing has rounded, in voxels.
BELOW_RIM_VOXELS = 1.5

#: An LV that touches the RV: so far beyond the epicardium there is RV cavity.
TOUCH_MM = 4.0

#: The RV's base is the highest level whose cross-section has this share of the largest: what rises above it is
#: the outflow tract.
RV_BASE_SHARE = 0.4

#: Rows whose rings and wall make up circumferential and radial strain: the lower half of the basal level (above
#: lies the outflow tract, without muscle on its side), and the mid one.
RINGS = slice(4, LV_STRAIGHT)


#: A wall that the labels do not show is this thick: at none, faces of the mesh would have no area.
THINNEST_MM = 0.1


@dataclass(frozen=True)
class Fitted:
    """The template on every phase.

    ============  =========  ==================================================================================
    vertices_mm   (P, V, 3)  RAS+ mm
    thickness_mm  (P, V)     of the LV wall, square to it; nan at the RV
    reference                index of the phase that displacements are measured from: end-diastole where known
    ============  =========  ==================================================================================
    """

    vertices_mm: Float64[np.ndarray, "P V 3"]
    thickness_mm: Float64[np.ndarray, "P V"]
    reference: int

    @property
    def faces(self) -> Int[np.ndarray, "F 3"]:
        """(F, 3) the template's faces; in a world that mirrors the heart they turn the other way, to face outward."""
        common = template()
        cavity = common.faces[common.part == 0]
        corners = self.vertices_mm[0][cavity] - self.vertices_mm[0][cavity].mean(axis=(0, 1))
        return common.faces if np.linalg.det(corners).sum() > 0 else common.faces[:, ::-1]

    @property
    def displacement_mm(self) -> Float64[np.ndarray, "P V 3"]:
        """(P, V, 3) from the reference phase."""
        return self.vertices_mm - self.vertices_mm[self.reference]


def fit_template(
    borders: Sequence[Borders], *, reference: int = 0, anterior: Float64[np.ndarray, " 3"] | None = None
) -> Fitted | None:
    """Fit the template to every phase; None where one lacks the LV or the RV, or has them as in no heart.

    `anterior` (3,) is roughly where the anterior wall lies from the septum's middle: it tells a mirrored world.
    """
    fields = [_Fields.of(phase) for phase in borders]
    first = sum(leaning(np.moveaxis(phase.labels, 2, 0)[None]) for phase in borders) >= 0
    found = [find_axes(phase, field.cavity, base_first=first) for phase, field in zip(borders, fields, strict=True)]
    known = [axes for axes in found if axes is not None]
    if not known or len(known) < len(found):
        return None
    axes = _common(known, anterior)
    at = [_insertion(phase, field, one) for phase, field, one in zip(borders, fields, axes, strict=True)]
    insertion = float(np.angle(np.mean(np.exp(1j * np.array(at)))))
    of_phases = []
    for phase, field, one in zip(borders, fields, axes, strict=True):
        right = _right(phase, field, one)
        if right is None:
            return None
        of_phases.append(np.concatenate([_left(phase, field, one, insertion), right]))
    vertices = smooth_path(np.stack(of_phases))
    if not np.isfinite(vertices).all():
        return None
    return Fitted(vertices, np.stack([_thickness(phase) for phase in vertices]), reference)


def fitted_strain(fitted: Fitted, phases: Sequence[str], *, base_seen: bool = True) -> dict[str, Any]:
    """What `measure_strain` finds on the fitted template."""
    common, vertices = template(), fitted.vertices_mm
    apices = np.concatenate([common.sets["lv_endocardial_apex"], common.sets["lv_epicardial_apex"]])
    return measure_strain(
        vertices[:, common.endo],
        vertices[:, common.epi],
        vertices[:, apices],
        fitted.thickness_mm[:, common.endo],
        rows=RINGS,
        reference=fitted.reference,
        phases=phases,
        base_seen=base_seen,
    )


def smooth_path(values: Float64[np.ndarray, "P ..."]) -> Float64[np.ndarray, "P ..."]:
    """(P, ...) values of a heartbeat's phases, equal times apart: their Fourier series of low order.

    Fewer than `CINE_PHASES` stay as they are.
    """
    count = len(values)
    if count < CINE_PHASES:
        return values
    series = np.fft.rfft(values, axis=0)
    series[min(HARMONICS, count // 3) + 1 :] = 0
    return np.fft.irfft(series, count, axis=0)


@dataclass(frozen=True)
class _Fields:
    """Smoothed signed distances (A, B, C) in voxels."""

    cavity: Float32[np.ndarray, "A B C"]
    whole: Float32[np.ndarray, "A B C"]
    right: Float32[np.ndarray, "A B C"]

    @classmethod
    def of(cls, borders: Borders) -> _Fields:
        names = ("lv_cavity", "lv_epicardium", "rv_cavity")
        return cls(*(ndimage.gaussian_filter(borders.distance(n), SMOOTH_VOXELS, truncate=3.0) for n in names))


def _common(axes: list[Axes], anterior: Float64[np.ndarray, " 3"] | None) -> list[Axes]:
    """One septal side for all phases, and base and apex on smooth paths."""
    septal = np.mean([one.septal for one in axes], axis=0)
    first = axes[0].turned(septal, mirrored=False)
    mirrored = anterior is not None and bool(first.anterior @ anterior < 0)
    paths = smooth_path(np.array([[one.base, one.apex, one.lean] for one in axes]))
    radius_mm = float(np.mean([one.radius_mm for one in axes]))
    return [
        replace(one, base=base, apex=apex, lean=lean, radius_mm=radius_mm).turned(septal, mirrored)
        for one, (base, apex, lean) in zip(axes, paths, strict=True)
    ]


def _rays(axes: Axes, angles: Array, voxel_mm: float) -> tuple[Array, Array, Array]:
    """Of each row and column of the LV: where its ray starts, where it starts to look, and its direction (R, C, 3)."""
    out = axes.outward(angles)
    turn_mm = axes.length_mm * 2 / 3
    share = np.minimum(np.arange(LV_ROWS) / LV_STRAIGHT, 1.0)[:, None]
    rim = axes.radius_mm * (out @ axes.lean)
    height = rim * (1 - share) + turn_mm * share
    look = np.maximum(height, rim + BELOW_RIM_VOXELS * voxel_mm)
    fan = np.pi / 2 * np.clip(np.arange(LV_ROWS) - LV_STRAIGHT, 0, None) / (LV_ROWS - LV_STRAIGHT)
    ways = np.cos(fan)[:, None, None] * out + np.sin(fan)[:, None, None] * axes.down
    starts, looks = (axes.base + h[..., None] * axes.down for h in (height, look))
    return starts, looks, ways


def _left(borders: Borders, fields: _Fields, axes: Axes, insertion: float) -> Array:
    """(2 (R C + 1), 3) vertices: endocardium, its apex, epicardium, its apex."""
    angles = insertion + (np.arange(LV_COLUMNS) + 0.5) * 2 * np.pi / LV_COLUMNS
    starts, looks, ways = _rays(axes, angles, borders.voxel_mm)
    tip = axes.base + axes.down * axes.length_mm * 2 / 3
    looks = np.concatenate([looks.reshape(-1, 3), tip[None]])
    directions = np.concatenate([ways.reshape(-1, 3), axes.down[None]])
    along = np.arange(0, REACH_MM, borders.voxel_mm / 2)
    points = looks[:, None] + along[:, None] * directions[:, None]
    inner = _first_exit(sample(fields.cavity, borders.affine, points), along, np.zeros(len(looks)))
    inner = _tidy(inner)
    outer = _first_exit(sample(fields.whole, borders.affine, points), along, inner)
    outer = np.maximum(_tidy(outer), inner + THINNEST_MM)
    origins = np.concatenate([starts.reshape(-1, 3), tip[None]])
    return np.concatenate([origins + r[:, None] * directions for r in (inner, outer)])


def _first_exit(values: Array, along: Array, beyond: Array) -> Array:
    """(M,) where rays (M, S) leave what is negative inside, from `beyond` (M,) on; nan where they never were inside."""
    inside = (values < 0) & (along >= beyond[:, None] - 2 * (along[1] - along[0]))
    entered = np.maximum.accumulate(inside, axis=1)
    left = entered & (values >= 0)
    at = np.argmax(left, axis=1)
    rows = np.arange(len(values))
    before, after = values[rows, at - 1], values[rows, at]
    exact = along[at] - (along[1] - along[0]) * after / np.where(after > before, after - before, 1.0)
    return np.where(left.any(axis=1), exact, np.nan)


def _tidy(radii: Array) -> Array:
    """(R C + 1,) radii without gaps, which neighbours fill, and without steps from column to column."""
    grid = radii[:-1].reshape(LV_ROWS, LV_COLUMNS)
    known = np.isfinite(grid).astype(float)
    filled = np.where(np.isfinite(grid), grid, 0.0)
    for width in (1.0, 4.0, 16.0):
        share, total = (
            ndimage.gaussian_filter(part, (width / 2, width), mode=("nearest", "wrap")) for part in (known, filled)
        )
        near = total / np.maximum(share, 1e-12)
        new = (known == 0) & (share > 1e-3)
        filled, known = np.where(new, near, filled), np.where(new, 1.0, known)
    grid = ndimage.gaussian_filter1d(filled, 0.7, axis=1, mode="wrap")
    apex = radii[-1] if np.isfinite(radii[-1]) else grid[-1].mean()
    return np.append(grid.ravel(), apex)


def _insertion(borders: Borders, fields: _Fields, axes: Axes) -> float:
    """The angle of the anterior insertion of the RV: the anterior end of where the LV touches it, in radians."""
    angles = np.deg2rad(np.arange(-180, 180, 3.0))
    heights = axes.length_mm * np.linspace(0.15, 0.6, 8)
    starts = axes.base + heights[:, None, None] * axes.down
    along = np.arange(0, REACH_MM, borders.voxel_mm / 2)
    points = starts[:, :, None] + along[:, None] * axes.outward(angles)[:, None]
    whole = sample(fields.whole, borders.affine, points).reshape(-1, len(along))
    edge = _first_exit(whole, along, np.zeros(len(whole))).reshape(len(heights), -1)
    beyond = np.nan_to_num(edge, nan=REACH_MM) + TOUCH_MM
    touching = sample(fields.right, borders.affine, starts + beyond[..., None] * axes.outward(angles)) < 0
    found = []
    for row in touching:
        if row.sum() >= 10:
            middle = float(np.angle(np.exp(1j * angles[row]).mean()))
            away = np.angle(np.exp(1j * (angles[row] - middle)))
            found.append(middle + float(np.percentile(away, 98)))
    return float(np.angle(np.exp(1j * np.array(found)).mean())) if found else np.pi / 3


def _right(borders: Borders, fields: _Fields, axes: Axes) -> Array | None:
    """((2 C - 2) R + 1, 3) vertices of the RV: septal side, free wall without its edges, apex; None where no level
    shows it beside the LV."""
    step = borders.voxel_mm / 2
    inside = np.argwhere(borders.labels == 3) @ borders.affine[:3, :3].T + borders.affine[:3, 3]
    depth = (inside - axes.base) @ axes.down
    areas, edges = np.histogram(depth, bins=max(4, int(np.ptp(depth) / (2 * borders.voxel_mm))))
    top = float(edges[np.argmax(areas >= RV_BASE_SHARE * areas.max())]) + BELOW_RIM_VOXELS * borders.voxel_mm
    bottom = float(depth.max())
    heights = np.linspace(top, bottom - 0.06 * (bottom - top), RV_ROWS)
    angles = np.deg2rad(np.arange(-180, 180, STEP_DEG))
    along = np.arange(0, REACH_MM, step)
    out = axes.outward(angles)
    starts = axes.base + heights[:, None] * axes.down
    points = starts[:, None, None] + along[:, None] * out[:, None]
    within = sample(fields.right, borders.affine, points) < 0
    rows: list[Array | None] = []
    for start, row in zip(starts, within, strict=True):
        seen = _longest_arc(row.any(axis=1))
        if len(seen) < 3:
            rows.append(None)
            continue
        inner = along[np.argmax(row[seen], axis=1)]
        outer = along[len(along) - 1 - np.argmax(row[seen][:, ::-1], axis=1)]
        place = np.linspace(0, len(seen) - 1, RV_COLUMNS)
        even = (len(seen) - 1) * (1 - np.cos(np.pi * np.arange(RV_COLUMNS) / (RV_COLUMNS - 1))) / 2
        place = (place + even) / 2
        turned = np.interp(place, np.arange(len(seen)), np.unwrap(angles[seen]))
        near, far = (
            np.interp(place, np.arange(len(seen)), ndimage.gaussian_filter1d(r, 1.0, mode="nearest"))
            for r in (inner, outer)
        )
        near[[0, -1]] = far[[0, -1]] = (near + far)[[0, -1]] / 2
        rows.append(np.stack([start + r[:, None] * axes.outward(turned) for r in (near, far)]))
    if all(row is None for row in rows):
        return None
    sides = _without_gaps(rows, starts)
    apex = sides[:, -1].mean(axis=(0, 1))
    apex = apex + axes.down * (bottom - (apex - axes.base) @ axes.down)
    return np.concatenate([sides[0].reshape(-1, 3), sides[1][:, 1:-1].reshape(-1, 3), apex[None]])


def _longest_arc(seen: NDArray[np.bool_]) -> Int[np.ndarray, " M"]:
    """Indices, in order around the circle from the anterior end, of the longest run of true values."""
    if seen.all() or not seen.any():
        return np.flatnonzero(seen)[::-1]
    start = int(np.argmin(seen))
    turned = np.roll(seen, -start)
    labels, count = ndimage.label(turned)
    sizes = ndimage.sum_labels(turned, labels, np.arange(1, count + 1))
    run = np.flatnonzero(labels == int(np.argmax(sizes)) + 1)
    return ((run + start) % len(seen))[::-1]


def _without_gaps(rows: list[Array | None], starts: Array) -> Array:
    """(2, R, C, 3) septal side and free wall, smooth from level to level; one without RV takes its neighbour's."""
    known = [n for n, row in enumerate(rows) if row is not None]
    filled = []
    for n in range(len(rows)):
        nearest = min(known, key=lambda other: abs(other - n))
        row = rows[nearest]
        assert row is not None
        filled.append(row - starts[nearest])
    smooth = ndimage.gaussian_filter1d(np.stack(filled, axis=1), 1.0, axis=1, mode="nearest")
    return np.asarray(smooth + starts[:, None])


def _thickness(vertices: Float64[np.ndarray, "V 3"]) -> Float64[np.ndarray, " V"]:
    """(V,) distance between a vertex of the LV and its partner, as far as it is square to both surfaces."""
    common: Template = template()
    out = np.full(common.count, np.nan)
    inner, outer = (np.append(grid.ravel(), grid[-1, -1] + 1) for grid in (common.endo, common.epi))
    across = vertices[outer] - vertices[inner]
    normals = _normals(vertices, common)
    square = (np.abs(np.sum(across * normals[inner], axis=1)) + np.abs(np.sum(across * normals[outer], axis=1))) / 2
    out[inner] = out[outer] = square
    return out


def _normals(vertices: Float64[np.ndarray, "V 3"], common: Template) -> Array:
    """(V, 3) unit normals of endocardium and epicardium, each from its own faces."""
    faces = common.faces[common.part < 2]
    a, b, c = (vertices[faces[:, n]] for n in range(3))
    of_face = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], of_face)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))
