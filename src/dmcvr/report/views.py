"""The exam's long-axis views with outlines: the acquired slices' labels on them, and the reconstruction's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.exam.view import View, planes_of
from dmcvr.report.figure import Figure, figure
from dmcvr.report.scene import Scene
from dmcvr.report.window import heart_window

#: Kept around the heart, in mm.
MARGIN_MM = 25.0


@dataclass(frozen=True)
class Pair:
    """A view at one phase: with the slices' labels as they were acquired, and with the reconstruction's."""

    before: Figure
    after: Figure


@dataclass(frozen=True)
class Plane:
    """A long-axis plane and its pictures, phase by phase."""

    name: str
    pairs: list[Pair]


def long_axis(views: Sequence[View], scene: Scene, phases: Sequence[tuple[int, str, str]]) -> list[Plane]:
    """The planes that show the heart at any of these phases: (index, name, as it is called), in their order.

    Before: each slice's labels where the scanner has its heart, as thick as its distance to the next. After: the dense
    labels. Both are cut by the view's plane.
    """
    found = []
    for name, pictures in planes_of(views).items():
        by_phase = {view.phase: view for view in pictures}
        cuts = [
            _cut(by_phase[phase], scene, n, f"{name} view, {spoken}")
            for n, phase, spoken in phases
            if phase in by_phase
        ]
        shown = np.zeros(pictures[0].image.shape, dtype=np.bool_)
        for cut in cuts:
            shown |= (cut.before > 0) | (cut.after > 0)
        if shown.any():
            found.append(Plane(name, [cut.drawn(_box(shown, cut.view)) for cut in cuts]))
    return found


@dataclass(frozen=True)
class _Cut:
    """A view's picture, and (I, J) of the slices and of the reconstruction on it."""

    view: View
    spoken: str
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    completed: NDArray[np.bool_]

    def drawn(self, box: tuple[slice, ...]) -> Pair:
        image, heart = self.view.image[box], (self.before[box] > 0) | (self.after[box] > 0)
        window = heart_window(image[None, :, :, None], heart[None, :, :, None].astype(np.uint8))
        grey = window.bytes(image)[:, ::-1]
        return Pair(
            figure(
                grey,
                f"{self.spoken}, with the outlines of the acquired slices",
                caption=f"{self.spoken}: slices as acquired",
                labels=self.before[box][:, ::-1],
            ),
            figure(
                grey,
                f"{self.spoken}, with the outlines of the reconstruction",
                caption=f"{self.spoken}: reconstructed",
                labels=self.after[box][:, ::-1],
                completed=self.completed[box][:, ::-1],
            ),
        )


def _cut(view: View, scene: Scene, phase: int, spoken: str) -> _Cut:
    points = scene.voxels(_world(view))
    before = _sampled(scene.labels[phase], as_slices(scene, points))
    before[~_within_slabs(scene, points)] = 0
    completed = ndimage.map_coordinates(scene.completed[phase].astype(np.float32), np.moveaxis(points, -1, 0), order=1)
    return _Cut(view, spoken, before, _sampled(scene.labels[phase], points), completed >= 0.5)


def _box(shown: NDArray[np.bool_], view: View) -> tuple[slice, ...]:
    """Around what is shown, with a margin."""
    pixel_mm = float(np.mean(np.linalg.norm(view.affine[:3, :2], axis=0)))
    margin = int(np.ceil(MARGIN_MM / pixel_mm))
    return tuple(slice(max(0, int(at.min()) - margin), int(at.max()) + margin + 1) for at in np.nonzero(shown))


def as_slices(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) voxels to those whose labels the nearest acquired slice has there, out of place as it was."""
    if not len(scene.heights_mm):
        return points
    heights = scene.origin_mm[2] + scene.spacing_mm * points[..., 2]
    nearest = np.abs(heights[..., None] - scene.heights_mm).argmin(axis=-1)
    moved = points.copy()
    moved[..., :2] -= scene.shifts_mm[nearest] / scene.spacing_mm
    moved[..., 2] = (scene.heights_mm[nearest] - scene.origin_mm[2]) / scene.spacing_mm
    return moved


def _within_slabs(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(...) whether a voxel lies between the slabs' ends: half a gap beyond the first and the last slice."""
    if len(scene.heights_mm) < 2:
        return np.ones(points.shape[:-1], dtype=np.bool_)
    heights = scene.origin_mm[2] + scene.spacing_mm * points[..., 2]
    half = float(np.median(np.diff(scene.heights_mm))) / 2
    return np.asarray((heights >= scene.heights_mm[0] - half) & (heights <= scene.heights_mm[-1] + half))


def _world(view: View) -> NDArray[np.float64]:
    """(I, J, 3) where its pixels lie, in mm."""
    i, j = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in view.image.shape), indexing="ij")
    pixels = np.stack([i, j, np.zeros_like(i), np.ones_like(i)], axis=-1)
    return np.asarray((pixels @ view.affine.T)[..., :3])


def _sampled(labels: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(...) labels at (..., 3) voxels: of the linearly weighted shares the largest; 0 outside the grid."""
    where = np.moveaxis(points, -1, 0)
    shares = [ndimage.map_coordinates((labels == k).astype(np.float32), where, order=1) for k in (1, 2, 3)]
    return np.stack([1 - sum(shares), *shares]).argmax(axis=0).astype(np.uint8)
