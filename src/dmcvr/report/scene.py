"""The heart as the report shows it: upright, cropped, beside the slices as they were acquired.

Display axes, in mm: x from LV to RV (the picture's left), y up (to the anterior wall), z from apex to base. They are
right-handed: seen as radiologists see (x to the left), x-y is the usual short-axis view, x-z a four-chamber-like and
y-z a two-chamber-like cut with the base on top. The axes are those of the stack, so nothing is turned. Where the
header's frame mirrors the heart (as in ACDC), z is chosen so that the display does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.exam.stack import SliceStack
from dmcvr.exam.volume import Volume
from dmcvr.report.window import Window, heart_window
from dmcvr.result import OBSERVED, Result
from dmcvr.threads import each

#: Kept around the heart in plane, in mm.
MARGIN_MM = 18.0

#: Voxels of one phase are merged until they are no more than this.
MAX_VOXELS = 6_000_000


@dataclass(frozen=True)
class Scene:
    """All phases on the display grid: voxel (x, y, z) lies at `origin_mm + spacing_mm * (x, y, z)`.

    ===========  ================  =================================================================================
    image        (P, X, Y, Z)      float32, grey values
    labels       (P, X, Y, Z)      uint8
    completed    (P, X, Y, Z)      bool, labels that no slice shows: anatomy completed them
    acquired     (P, N, X, Y)      float32, the slices on the same in-plane grid, from apex to base; None if unknown
    heights_mm   (N,)              z of each acquired slice, ascending
    shifts_mm    (N, 2)            x and y by which each slice's heart was out of place, before it was moved back
    spacing_mm   scalar            isotropic
    origin_mm    (3,)              of voxel (0, 0, 0)
    axes         (3, 3)            x, y and z in the world (RAS+), by rows
    base_first                     whether the input's slices begin at the base
    window                         grey values shown as black and white, by the heart
    uncertainty  (P, X, Y, Z)      how likely each label is to be another, in percent; None if that is not known
    ===========  ================  =================================================================================
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    completed: NDArray[np.bool_]
    acquired: NDArray[np.float32] | None
    heights_mm: NDArray[np.float64]
    shifts_mm: NDArray[np.float64]
    spacing_mm: float
    origin_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    base_first: bool
    window: Window
    uncertainty: NDArray[np.uint8] | None = None

    @property
    def voxel_heights_mm(self) -> NDArray[np.float64]:
        """(Z,) z of each dense slice."""
        return np.asarray(self.origin_mm[2] + self.spacing_mm * np.arange(self.image.shape[3]))

    @property
    def nearest(self) -> NDArray[np.intp]:
        """(Z,) the acquired slice that each dense slice is nearest to."""
        return np.asarray(np.abs(self.voxel_heights_mm[:, None] - self.heights_mm).argmin(axis=1))

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(Z,) whether a dense slice lies at an acquired one: within half a voxel of its centre."""
        if not len(self.heights_mm):
            return np.zeros(self.image.shape[3], dtype=np.bool_)
        away = np.abs(self.voxel_heights_mm[:, None] - self.heights_mm).min(axis=1)
        return np.asarray(away <= self.spacing_mm / 2 + 1e-6)

    def as_acquired(self, phase: int) -> NDArray[np.float32] | None:
        """(X, Y, Z) one phase's acquired slices as slabs, on the dense grid."""
        return None if self.acquired is None else np.moveaxis(self.acquired[phase, self.nearest], 0, 2)

    @property
    def middle(self) -> tuple[int, int, int]:
        """The voxel where the crosshair starts: the LV's centroid, else the centre; at an acquired slice."""
        where = np.argwhere((self.labels[0] == 1) | (self.labels[0] == 2))
        x, y, z = where.mean(axis=0) if len(where) else (np.array(self.image.shape[1:]) - 1) / 2
        planes = np.flatnonzero(self.measured) if self.measured.any() else np.arange(self.image.shape[3])
        return round(float(x)), round(float(y)), int(planes[np.abs(planes - z).argmin()])

    def grey(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Grey values as bytes, black to white."""
        return self.window.bytes(images)

    @property
    def numbers(self) -> list[int]:
        """(N,) what the exam calls each slice, from apex to base: its place along the stack, counted from 1."""
        count = len(self.heights_mm)
        return list(range(count, 0, -1)) if self.base_first else list(range(1, count + 1))

    def voxels(self, world_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) points in the world to indices of voxels, with fractions."""
        return np.asarray((world_mm @ self.axes.T - self.origin_mm) / self.spacing_mm)

    def phases(self, indices: list[int]) -> Scene:
        """These phases only."""
        return replace(
            self,
            image=self.image[indices],
            labels=self.labels[indices],
            completed=self.completed[indices],
            uncertainty=None if self.uncertainty is None else self.uncertainty[indices],
            acquired=None if self.acquired is None else self.acquired[indices],
        )

    def coarser(self, spacing_mm: float) -> Scene:
        """Sampled with larger voxels over the same extent (linearly; of labels, the largest share)."""
        factor = spacing_mm / self.spacing_mm
        size = [max(1, round(n / factor)) for n in self.image.shape[1:]]
        start = [(n - (m - 1) * factor - 1) / 2 for n, m in zip(self.image.shape[1:], size, strict=True)]

        def sampled(data: NDArray[Any]) -> NDArray[np.float32]:
            axes = data.ndim
            matrix, offset, shape = np.full(axes, factor), start[:axes], tuple(size[:axes])
            return np.asarray(
                ndimage.affine_transform(data, matrix, offset, shape, np.float32, order=1, mode="nearest")
            )

        def largest(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
            found = np.stack([sampled((labels == label).astype(np.float32)) for label in range(4)])
            return found.argmax(axis=0).astype(np.uint8)

        def percent(uncertainty: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return np.rint(sampled(uncertainty.astype(np.float32))).astype(np.uint8)

        return replace(
            self,
            image=np.stack(each(sampled, self.image)),
            labels=np.stack(each(largest, self.labels)),
            completed=np.stack(each(lambda phase: sampled(phase.astype(np.float32)) >= 0.5, self.completed)),
            uncertainty=None if self.uncertainty is None else np.stack(each(percent, self.uncertainty)),
            acquired=None
            if self.acquired is None
            else np.stack(each(lambda phase: np.stack([sampled(image) for image in phase]), self.acquired)),
            spacing_mm=spacing_mm,
            origin_mm=self.origin_mm + self.spacing_mm * np.array(start),
        )

    def within(self, voxels: int) -> Scene:
        """The same, with voxels merged where one phase has more than this many."""
        count = int(np.prod(self.image.shape[1:]))
        return self if count <= voxels else self.coarser(self.spacing_mm * (count / voxels) ** (1 / 3))


def make_scene(result: Result) -> Scene:
    """The display of a result, cropped to the heart of all phases."""
    axes = display_axes(result)
    image, affine = _laid(result.image, axes)
    labels, _ = _laid(result.labels, axes)
    origin = axes @ affine[:3, 3]
    spacing = float(np.mean(result.image.spacing_mm))
    low, high = _crop_bounds(labels, spacing)
    box = (slice(None), *(slice(a, b) for a, b in zip(low, high, strict=True)), slice(None))
    image, labels = image[box].astype(np.float32, copy=False), labels[box].astype(np.uint8, copy=False)
    completed = np.zeros(labels.shape, dtype=np.bool_)
    if result.observed is not None:
        completed = (_laid(result.observed, axes)[0][box] == OBSERVED["completed"]) & (labels > 0)
    unsure = (
        None if result.uncertainty is None else _laid(result.uncertainty, axes)[0][box].astype(np.uint8, copy=False)
    )
    origin[:2] += spacing * np.array(low)
    heights, shifts = np.array([]), np.zeros((0, 2))
    base_first = "normal_ras" in result.run.get("input", {}) and _along(result, axes) < 0
    acquired = None
    if result.acquired is not None:
        acquired, heights = _resliced(result.acquired, axes, origin, spacing, image.shape[1:3])
    elif "positions_mm" in result.run.get("input", {}):
        heights = np.sort(_along(result, axes) * np.array(result.run["input"]["positions_mm"], dtype=float))
    if len(heights):
        shifts = _shifts(result, axes, len(heights))
    window = heart_window(image, labels)
    return Scene(image, labels, completed, acquired, heights, shifts, spacing, origin, axes, base_first, window, unsure)


def display_axes(result: Result) -> NDArray[np.float64]:
    """(3, 3) the display's x, y and z in the world, by rows: from the record, else the grid's own axes."""
    affine = result.image.affine[:3, :3] / np.linalg.norm(result.image.affine[:3, :3], axis=0)
    heart = result.run.get("heart", {})
    right = np.array(heart.get("picture_right_ras", affine[:, 0]), dtype=np.float64)
    down = np.array(heart.get("picture_down_ras", affine[:, 1]), dtype=np.float64)
    base = np.cross(right, down)
    return np.stack([-right, -down, -base if heart.get("mirrored_geometry") else base])


def _along(result: Result, axes: NDArray[np.float64]) -> float:
    """1 where the display's z runs as the slices' positions do, else -1."""
    return float(np.sign(axes[2] @ np.array(result.run["input"]["normal_ras"])))


def _shifts(result: Result, axes: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(N, 2) shifts of the slices from apex to base, by the record of breath-holds; none where it has none."""
    slices = (result.run.get("breath_holds") or {}).get("slices") or []
    if len(slices) != count:
        return np.zeros((count, 2))
    shifts = np.array([entry["ras_mm"] for entry in slices], dtype=np.float64) @ axes[:2].T
    return shifts if _along(result, axes) > 0 else shifts[::-1]


def _laid(volume: Volume, axes: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(P, X, Y, Z) voxels in the order of the display axes, and the affine of that array."""
    along = axes @ (volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0))
    order = np.abs(along).argmax(axis=1)
    data = volume.data.transpose(0, *(1 + order))
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, order]
    for axis, voxel_axis in enumerate(order):
        if along[axis, voxel_axis] < 0:
            data = np.flip(data, axis + 1)
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis + 1] - 1)
            affine[:3, axis] *= -1
    return data, affine


def _crop_bounds(labels: NDArray[np.uint8], spacing_mm: float) -> tuple[list[int], list[int]]:
    """In-plane bounds around the heart of all phases; everything where there is none."""
    low, high = [], []
    for axis in (1, 2):
        seen = np.flatnonzero((labels > 0).any(axis=tuple({0, 1, 2, 3} - {axis})))
        margin, size = int(np.ceil(MARGIN_MM / spacing_mm)), labels.shape[axis]
        low.append(max(0, int(seen[0]) - margin) if len(seen) else 0)
        high.append(min(size, int(seen[-1]) + margin + 1) if len(seen) else size)
    return low, high


def _resliced(
    slices: SliceStack,
    axes: NDArray[np.float64],
    origin: NDArray[np.float64],
    spacing_mm: float,
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(P, N, X, Y) slices on the display's in-plane grid (linear; exact where the grids agree), and their z."""
    centre = np.array([(n - 1) / 2 for n in slices.images.shape[2:]] + [0, 1])
    heights = np.array([axes[2] @ (affine @ centre)[:3] for affine in slices.affines])
    order = np.argsort(heights)
    out = np.empty((*slices.images.shape[:2], *shape), dtype=np.float32)

    def reslice(place: int) -> None:
        n = order[place]
        grid = np.eye(4)
        grid[:3, :2] = axes[:2].T * spacing_mm
        grid[:3, 2] = axes[2]
        grid[:3, 3] = axes.T @ np.array([origin[0], origin[1], heights[n]])
        to_pixel = np.round(np.linalg.inv(slices.affines[n]) @ grid, 6)
        for p, images in enumerate(slices.images):
            out[p, place] = ndimage.affine_transform(
                images[n], to_pixel[:2, :2], to_pixel[:2, 3], shape, order=1, mode="nearest"
            )

    each(reslice, range(len(order)))
    return out, heights[order]
