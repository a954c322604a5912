"""Between and beyond the slices, borders are moved to where long-axis views show them.

A structure's border in the dense scores is a surface. Where a view's plane cuts it, the view says how far along the
surface's normal its own border lies; where a slice was acquired that shows the structure whole, it lies nowhere
else. From both, a Gaussian process over the surface tells how far every part of it is to be moved: smoothly, by little
between slices, by more where the structure ends, and not at all far from any view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from dmcvr.anatomy.seen import LABELS_OF, SeenPlane, Slices
from dmcvr.geometry.long_axis import PIXEL_MM

#: By how much (SD) borders are off between slices that show a structure whole, as a share of the gap, and where it ends
#: (mm); over so many mm that is alike: along the slices' normal (between them, a share of the gap), and across it.
BETWEEN_SHARE, BETWEEN_ALIKE_SHARE = 0.08, 0.5
ENDS_MM, ENDS_ALIKE_MM, ACROSS_ALIKE_MM = 4.0, 14.0, 18.0

#: Ends begin so far (mm) beyond the last whole slice, gradually.
GRADUAL_MM = 5.0

#: What a view says is off by this (mm, SD) at every point, and what a slice says.
VIEW_SD_MM, SLICE_SD_MM, LAST_SLICE_SD_MM, CUT_SLICE_SD_MM = 1.6, 0.5, 1.0, 2.0

#: A border that runs along a view's plane is not where that shows it: sine of the least angle between the two.
LEAST_SINE = 0.5

#: Points of a border are so far apart (mm) in a view and in a slice; the process is worked out on a grid as coarse as
#: that, and only so near (mm) to the surface.
APART_MM, GRID_MM, BAND_MM = 3.0, 4.0, 14.0

#: Borders are moved by at most this (mm) at once, and not by less than this; again, where more than this share of what
#: views show of them lies farther away.
MOST_MM, LEAST_MM, FAR_SHARE = 12.0, 0.05, 0.02

#: What is not near a surface is so far from it.
FAR_MM = 99.0

#: SD (mm) of the blur that makes a surface's normals smooth.
SMOOTH_MM = 2.0

#: Pixels of a view are split so finely when distances are measured.
SPLIT = 2

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Believed:
    """Which slices show one structure whole: between `first_mm` and `last_mm` of depth borders are nearly right.

    ==========  ============  ======================================================
    sd_mm       {n: mm}       by slice, how far the border there may be off
    first_mm                  depth of the first whole one
    last_mm                   and of the last
    sign                      of a depth to its position along the stack's normal
    ==========  ============  ======================================================
    """

    sd_mm: dict[int, float]
    first_mm: float
    last_mm: float
    sign: int

    @classmethod
    def of(cls, first: int, whole: int, last: int, depth_mm: Float64[np.ndarray, " N"], sign: int) -> Believed:
        """Of slices counted from the base: the first that shows the structure, the first that no valve cuts, the last
        that shows it."""
        sd = dict.fromkeys(range(first, whole), CUT_SLICE_SD_MM) | dict.fromkeys(range(whole, last + 1), SLICE_SD_MM)
        sd |= {n: max(sd[n], LAST_SLICE_SD_MM) for n in (first, last)}
        count = len(depth_mm)
        numbered = {n if sign > 0 else count - 1 - n: value for n, value in sd.items()}
        return cls(numbered, float(depth_mm[min(whole, last)]), float(depth_mm[last]), sign)

    @property
    def sure(self) -> list[int]:
        """The slices whose labels stay."""
        return [n for n, sd in self.sd_mm.items() if sd <= SLICE_SD_MM]

    def ends(self, position_mm: Float64[np.ndarray, " M"]) -> Float64[np.ndarray, " M"]:
        """1 where the structure ends, 0 between slices, and in between gradually."""
        depth = self.sign * position_mm
        beyond = np.maximum(self.first_mm - depth, depth - self.last_mm)
        return np.asarray(np.clip(beyond / GRADUAL_MM + 0.5, 0, 1))


@dataclass(frozen=True)
class Lattice:
    """The dense slices' voxels, in mm along their own axes: height (from the first slice on), then a and b."""

    slices: Slices
    heights_mm: Float64[np.ndarray, " K"]

    @property
    def step_mm(self) -> Float64[np.ndarray, " 3"]:
        pixel_mm = self.slices.frame.pixel_mm
        return np.array([self.heights_mm[1] - self.heights_mm[0], pixel_mm, pixel_mm])

    def of_world(self, points: Float64[np.ndarray, "3 M"]) -> Float64[np.ndarray, "M 3"]:
        """RAS+ mm to mm along the axes."""
        to_frame, pixel_mm = np.linalg.inv(self.slices.affine), self.slices.frame.pixel_mm
        a, b, height = to_frame[:3, :3] @ points + to_frame[:3, 3:]
        return np.stack([height - self.heights_mm[0], a * pixel_mm, b * pixel_mm], axis=1)

    def turned(self, direction: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"]:
        """A world direction, along the axes."""
        frame = self.slices.frame
        return np.array([direction @ self.slices.normal, direction @ frame.u, direction @ frame.v])


@dataclass(frozen=True)
class Surface:
    """A structure's border in dense margins (K, S, S), negative inside.

    ========  ============  ===================================================================
    margin    (K, S, S)     0 on the border, in any unit
    distance  (K, S, S)     signed distance in mm, negative inside
    normal    (3, K, S, S)  its gradient, of unit length
    step_mm   (3,)          of the grid
    ========  ============  ===================================================================
    """

    margin: Float32[np.ndarray, "K S S"]
    distance: Float32[np.ndarray, "K S S"]
    normal: Float32[np.ndarray, "3 K S S"]
    step_mm: Float64[np.ndarray, " 3"]

    @classmethod
    def of(
        cls, margin: Float32[np.ndarray, "K S S"], step_mm: Float64[np.ndarray, " 3"], box: tuple[slice, slice]
    ) -> Surface | None:
        """None without an inside; outside a box of the slices, nothing is near."""
        inside = margin[:, *box] < 0
        if not inside.any():
            return None
        outward = ndimage.distance_transform_edt(~inside, sampling=step_mm)
        inward = ndimage.distance_transform_edt(inside, sampling=step_mm)
        near = (outward - inward).astype(np.float32)
        smooth = ndimage.gaussian_filter(near, SMOOTH_MM / step_mm)
        gradient = np.stack(np.gradient(smooth, *step_mm)).astype(np.float32)
        distance, normal = np.full(margin.shape, FAR_MM, np.float32), np.zeros((3, *margin.shape), np.float32)
        distance[:, *box] = near
        normal[:, :, *box] = gradient / np.maximum(np.linalg.norm(gradient, axis=0), 1e-3)
        return cls(margin, distance, normal, step_mm)

    def moved(self, by_mm: Float32[np.ndarray, "K S S"]) -> Float32[np.ndarray, "K S S"]:
        """The margins with their border moved outwards by so much."""
        where = np.abs(by_mm) > LEAST_MM
        index = np.argwhere(where).T.astype(np.float32)
        there = index - self.normal[:, where] * by_mm[where] / self.step_mm[:, None].astype(np.float32)
        out = self.margin.copy()
        out[where] = ndimage.map_coordinates(self.margin, there, order=1, mode="nearest")
        return out


def moved_mm(surface: Surface, lattice: Lattice, told: Told, believed: Believed) -> Float32[np.ndarray, "K S S"]:
    """How far (K, S, S) in mm the border is to be moved outwards, by what views and slices tell."""
    start, pixel_mm = lattice.heights_mm[0], lattice.slices.frame.pixel_mm
    points, values, noise = told.points, told.outwards_mm, np.full(len(told.points), VIEW_SD_MM**2)
    for n, sd in believed.sd_mm.items():
        position = lattice.slices.positions_mm[n]
        k = int(np.abs(lattice.heights_mm - position).argmin())
        border = np.argwhere(np.abs(surface.distance[k]) < pixel_mm)
        border = border[border.sum(axis=1) % max(1, round(2 * APART_MM / pixel_mm)) == 0] * pixel_mm
        points = np.concatenate([points, np.column_stack([np.full(len(border), position - start), border])])
        values, noise = (np.concatenate([v, np.full(len(border), x)]) for v, x in ((values, 0.0), (noise, sd**2)))

    gap_mm = float(np.median(np.diff(lattice.slices.positions_mm)))

    def alike(one: Array, other: Array) -> Array:
        ends = np.outer(believed.ends(one[:, 0] + start), believed.ends(other[:, 0] + start))
        between = (BETWEEN_SHARE * gap_mm) ** 2 * _near(one, other, BETWEEN_ALIKE_SHARE * gap_mm)
        return between + ends * ENDS_MM**2 * _near(one, other, ENDS_ALIKE_MM)

    weights = cho_solve(cho_factor(alike(points, points) + np.diag(noise)), values)
    size = np.array(surface.distance.shape) * surface.step_mm
    axes = [np.arange(0, length + GRID_MM, GRID_MM) for length in size]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    away = ndimage.map_coordinates(np.abs(surface.distance), (nodes / surface.step_mm).T, order=1, mode="nearest")
    chosen = away < 2 * GRID_MM
    coarse = np.zeros(len(nodes))
    coarse[chosen] = alike(nodes[chosen], points) @ weights
    # Every voxel is moved as the nearest part of the surface is.
    where = np.abs(surface.distance) < BAND_MM
    foot = np.argwhere(where).T * surface.step_mm[:, None] - surface.distance[where] * surface.normal[:, where]
    grid = coarse.reshape([len(axis) for axis in axes])
    by = np.zeros(surface.distance.shape, dtype=np.float32)
    by[where] = np.clip(ndimage.map_coordinates(grid, foot / GRID_MM, order=1, mode="nearest"), -MOST_MM, MOST_MM)
    return by


@dataclass(frozen=True)
class Told:
    """What views tell of one border: points (M, 3) of it on a lattice, and by how much (M,) mm it lies farther out."""

    points: Float64[np.ndarray, "M 3"]
    outwards_mm: Float64[np.ndarray, " M"]

    @property
    def far(self) -> bool:
        """Whether some of the border lies farther away than it is moved at once."""
        return bool(np.mean(np.abs(self.outwards_mm) >= MOST_MM) > FAR_SHARE)

    @classmethod
    def of(
        cls, planes: Sequence[SeenPlane], structure: int, phase: int, surface: Surface, lattice: Lattice
    ) -> Told | None:
        """None where no view cuts the structure."""
        parts = [_told(plane, structure, phase, surface, lattice) for plane in planes if phase in plane.probabilities]
        found = [part for part in parts if part is not None]
        return cls(*(np.concatenate(p) for p in zip(*found, strict=True))) if found else None


def _told(
    plane: SeenPlane, structure: int, phase: int, surface: Surface, lattice: Lattice
) -> tuple[Array, Array] | None:
    inside = plane.inside(phase, structure)
    if not inside.any():
        return None
    a, b = (_span(np.asarray(inside.any(axis=axis))) for axis in (1, 0))
    pixels = np.stack(np.meshgrid(a, b, indexing="ij"))
    fine_mm = PIXEL_MM / SPLIT
    at = lattice.of_world(plane.upright.place(pixels).reshape(3, -1))
    index = (at / lattice.step_mm).T
    had = (ndimage.map_coordinates(surface.margin, index, order=1, mode="nearest") < 0).reshape(pixels.shape[1:])
    theirs = np.stack([ndimage.map_coordinates(p, pixels, order=1) for p in plane.probabilities[phase]])
    seen = np.isin(theirs.argmax(axis=0), LABELS_OF[structure])
    known = np.all((index.T >= 0) & (np.array(surface.distance.shape) - 1 >= index.T), axis=1).reshape(had.shape)
    known &= ndimage.map_coordinates(plane.pictured.astype(np.float32), pixels, order=1) > 0.99
    a, b = np.nonzero(had & known & ~ndimage.binary_erosion(had, border_value=1))
    some = (a + b) % max(1, round(APART_MM / fine_mm)) == 0
    a, b = a[some], b[some]
    points = at.reshape(*had.shape, 3)[a, b]
    foot = (points / lattice.step_mm).T
    normal = np.stack([ndimage.map_coordinates(part, foot, order=1, mode="nearest") for part in surface.normal])
    first, second, across = (lattice.turned(axis) @ normal for axis in plane.upright.directions)
    sine = np.sqrt(np.clip(1 - across**2, 0, 1))
    clear = sine > LEAST_SINE
    if not clear.any():
        return None
    way = np.stack([first, second])[:, clear] / sine[clear]
    start = np.stack([a, b])[:, clear].astype(np.float64)
    outwards = (_way_out(seen, start, way, fine_mm) - _way_out(had, start, way, fine_mm)) * sine[clear]
    return points[clear], np.clip(outwards, -MOST_MM, MOST_MM)


def _way_out(inside: Bool[np.ndarray, "A B"], start: Array, way: Array, pixel_mm: float) -> Float64[np.ndarray, " M"]:
    """How far (mm) it is from points (2, M) in pixels along unit vectors (2, M) to the border; negative against them,
    where a point lies outside. Where the border is not met that way, how far it is any way."""
    steps = np.arange(0, MOST_MM + pixel_mm, pixel_mm / 2)
    there = inside.astype(np.float32)
    is_in = ndimage.map_coordinates(there, start, order=1, mode="nearest") > 0.5
    sign = np.where(is_in, 1.0, -1.0)
    track = start[:, None] + steps[None, :, None] * (sign * way)[:, None] / pixel_mm  # (2, T, M)
    other = (ndimage.map_coordinates(there, track, order=1, mode="nearest") > 0.5) != is_in
    met = other.any(axis=0)
    away = np.where(is_in, ndimage.distance_transform_edt(there)[*_rounded(start)], 0.0)
    if not inside.all():
        away = np.where(is_in, away, ndimage.distance_transform_edt(1 - there)[*_rounded(start)])
    return sign * np.where(met, steps[other.argmax(axis=0)] - pixel_mm / 4, away * pixel_mm)


def _rounded(points: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    a, b = np.rint(points).astype(np.intp)
    return a, b


def _span(there: Bool[np.ndarray, " C"]) -> Float64[np.ndarray, " F"]:
    """Split pixels from the first to the last of a structure, and a margin, within the picture."""
    first, last = np.flatnonzero(there)[[0, -1]]
    margin = MOST_MM / PIXEL_MM + 2
    return np.arange(max(first - margin, 0), min(last + margin, len(there) - 1), 1 / SPLIT)


def _near(one: Array, other: Array, along_mm: float) -> Array:
    """1 for the same point, less with distance along the normal and across it."""
    scale = np.array([along_mm, ACROSS_ALIKE_MM, ACROSS_ALIKE_MM])
    return np.asarray(np.exp(-cdist(one / scale, other / scale, "sqeuclidean") / 2))
