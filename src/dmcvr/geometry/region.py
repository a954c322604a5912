"""From a stack to normalised square slices around the heart, and the exact way back.

The networks see a region of interest (ROI) of `roi.ROI_MM` squared: the same world square for every slice
and phase, oriented as short-axis views are shown (RV on the left, anterior wall up). Nothing depends on how the
file stores its axes: the ROI's axes are found from the picture (`locate.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.threads import each

#: Grey values between these percentiles of the ROI become [-1, 1]; the rest is clipped.
PERCENTILES = (0.5, 99.5)

#: Slices whose pixels lie on the grid as the first one's do, but for so much rounding, are resampled alike.
SAME_PX = 1e-8


@dataclass(frozen=True)
class Frame:
    """A square grid in every slice plane: world point of its centre, and its unit axes.

    ======  ====  =================================================================================
    centre  (3,)  world point (RAS+ mm) of the grid's centre; its height along the stack is ignored
    u       (3,)  unit vector of the first grid axis (columns of a picture, to its right)
    v       (3,)  unit vector of the second grid axis (rows of a picture, downwards)
    ======  ====  =================================================================================
    """

    centre: Float64[np.ndarray, " 3"]
    u: Float64[np.ndarray, " 3"]
    v: Float64[np.ndarray, " 3"]
    size: int
    pixel_mm: float

    def affine_at(self, position_mm: float, normal: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "4 4"]:
        """(4, 4) grid (a, b, 0, 1) to world, in the plane at this position along the stack's normal."""
        affine = np.eye(4)
        affine[:3, 0] = self.u * self.pixel_mm
        affine[:3, 1] = self.v * self.pixel_mm
        affine[:3, 2] = normal
        in_plane = self.centre - normal * (self.centre @ normal)
        half = (self.size - 1) / 2 * self.pixel_mm
        affine[:3, 3] = in_plane + normal * position_mm - half * (self.u + self.v)
        return affine


@dataclass(frozen=True)
class IntensityScale:
    """The linear map between the exam's grey values and [-1, 1]."""

    low: float
    high: float

    @classmethod
    def of(cls, images: Float32[np.ndarray, ...]) -> IntensityScale:
        low, high = (float(v) for v in np.percentile(images, PERCENTILES))
        if high <= low:
            low, high = float(images.min()), float(images.max())
        return cls(low, high if high > low else low + 1.0)

    def normalise(self, images: Float32[np.ndarray, " *D"]) -> Float32[np.ndarray, " *D"]:
        unit = (images - self.low) / (self.high - self.low) * 2 - 1
        return np.clip(unit, -1, 1).astype(np.float32)

    def restore(self, images: Float32[np.ndarray, " *D"]) -> Float32[np.ndarray, " *D"]:
        return ((images + 1) / 2 * (self.high - self.low) + self.low).astype(np.float32)


def crop_images(stack: SliceStack, frame: Frame) -> Float32[np.ndarray, "P N S S"]:
    """(P, N, S, S) grey values of every slice on the frame's grid (cubic spline, edge value outside)."""
    return _crop(stack, stack.images, frame, order=3, mode="nearest")


def crop_labels(stack: SliceStack, labels: UInt8[np.ndarray, "P N I J"], frame: Frame) -> UInt8[np.ndarray, "P N S S"]:
    """(P, N, S, S) labels on the frame's grid: each structure resampled linearly, the largest share wins."""
    shares = np.stack([_crop(stack, (labels == c).astype(np.float32), frame, order=1) for c in range(1, 4)])
    shares = np.concatenate([1 - shares.sum(axis=0, keepdims=True), shares])
    return np.asarray(shares.argmax(axis=0), dtype=np.uint8)


def labels_at_slices(
    stack: SliceStack, labels: UInt8[np.ndarray, "P N S S"], frame: Frame
) -> UInt8[np.ndarray, "P N I J"]:
    """`crop_labels` the other way: (P, N, S, S) on the frame's grid to the stack's pixels, background outside."""
    out = np.zeros((*labels.shape[:2], *stack.images.shape[2:]), dtype=np.uint8)
    for n, position in enumerate(stack.positions_mm):
        to_grid = np.linalg.inv(frame.affine_at(position, stack.normal)) @ stack.affines[n]
        matrix, offset = _snap(to_grid[:2, :2]), _snap(to_grid[:2, 3])
        for p, of_phase in enumerate(labels[:, n]):
            parts = [
                ndimage.affine_transform((of_phase == c).astype(np.float32), matrix, offset, out.shape[2:], order=1)
                for c in (1, 2, 3)
            ]
            out[p, n] = np.stack([1 - sum(parts), *parts]).argmax(axis=0)
    return out


def _crop(
    stack: SliceStack, images: Float32[np.ndarray, "P N I J"], frame: Frame, *, order: int, mode: str = "constant"
) -> Float32[np.ndarray, "P N S S"]:
    shape = (frame.size, frame.size)
    out = np.empty((*images.shape[:2], *shape), dtype=np.float32)
    for n, position in enumerate(stack.positions_mm):
        to_pixel = np.linalg.inv(stack.affines[n]) @ frame.affine_at(position, stack.normal)
        matrix, offset = _snap(to_pixel[:2, :2]), _snap(to_pixel[:2, 3])
        for p in range(images.shape[0]):
            out[p, n] = ndimage.affine_transform(
                images[p, n], matrix, offset, output_shape=shape, order=order, mode=mode, prefilter=order > 1
            )
    return out


def output_grid(
    stack: SliceStack, frame: Frame, spacing_mm: float, reach_mm: tuple[float, float] | None = None
) -> tuple[Float64[np.ndarray, "4 4"], tuple[int, int, int]]:
    """Affine (4, 4) and shape (I, J, K) of the dense grid.

    Its axes are the stack's own. It covers the frame's square in plane and, along the stack, the slabs that
    the acquired slices stand for: from half a gap before the first centre to half a gap behind the last; by whole
    voxels farther, and one more, where something reaches farther: `reach_mm` along the stack's normal.
    At the input's own pixel size, its voxel centres fall on the input's pixel centres.
    """
    first = stack.affines[0]
    pixel = np.array(stack.pixel_mm)
    axes = first[:3, :2] / pixel
    positions = stack.positions_mm
    start, stop = stack.extent_mm
    count = max(1, int(np.ceil((stop - start) / spacing_mm - 1e-6)))
    bottom = (start + stop) / 2 - (count - 1) / 2 * spacing_mm
    if reach_mm is not None:
        top = bottom + (count - 1) * spacing_mm
        ways = (bottom - reach_mm[0], reach_mm[1] - top)
        before, behind = (int(np.ceil(way / spacing_mm)) + 1 if way > 0.51 * spacing_mm else 0 for way in ways)
        bottom, count = bottom - before * spacing_mm, count + before + behind
    centre = frame.affine_at(positions[0], stack.normal) @ [(frame.size - 1) / 2, (frame.size - 1) / 2, 0, 1]
    half = frame.size * frame.pixel_mm / 2
    middle = (np.linalg.inv(first) @ centre)[:2]
    low = np.ceil(middle - half / pixel - 1e-6)
    shape = tuple(int(n) for n in np.floor(2 * half / spacing_mm + 1e-6) * np.ones(2))
    affine = np.eye(4)
    affine[:3, :2] = axes * spacing_mm
    affine[:3, 2] = stack.normal * spacing_mm
    corner = first @ [low[0], low[1], 0, 1]
    affine[:3, 3] = corner[:3] + stack.normal * (bottom - corner[:3] @ stack.normal)
    return affine, (shape[0], shape[1], count)


def uncrop(
    slices: Float32[np.ndarray, "K S S"],
    frame: Frame,
    affines: Float64[np.ndarray, "K 4 4"],
    shape: tuple[int, int],
    normal: Float64[np.ndarray, " 3"],
    *,
    order: int = 3,
) -> Float32[np.ndarray, "K I J"]:
    """(K, S, S) slices on the frame's grid to (K, I, J) pixels of the slices at these affines (K, 4, 4).

    Splines of this order; outside the frame, its edge value.
    """
    to_grid = np.stack([np.linalg.inv(frame.affine_at(float(a[:3, 3] @ normal), normal)) @ a for a in affines])
    matrices, offsets = _snap(to_grid[:, :2, :2]), _snap(to_grid[:, :2, 3])
    alike = all(np.abs(part - part[0]).max() < SAME_PX for part in (matrices, offsets))
    along = _along_axes(matrices[0]) if alike else None
    if along is not None:
        return _resampled(slices, matrices[0], offsets[0], along, shape, order)
    out = np.empty((len(slices), *shape), dtype=np.float32)

    def resample(k: int) -> None:
        ndimage.affine_transform(
            slices[k], matrices[k], offsets[k], shape, out[k], order=order, mode="nearest", prefilter=order > 1
        )

    each(resample, range(len(slices)))
    return out


def _along_axes(matrix: Float64[np.ndarray, "2 2"]) -> tuple[int, int] | None:
    """The axis of the pixels that each axis of the grid runs along, in its sense or against it; None where they are
    turned against each other."""
    if not matrix[0, 1] and not matrix[1, 0]:
        return 0, 1
    return (1, 0) if not matrix[0, 0] and not matrix[1, 1] else None


def _resampled(
    slices: Float32[np.ndarray, "K S S"],
    matrix: Float64[np.ndarray, "2 2"],
    offset: Float64[np.ndarray, " 2"],
    along: tuple[int, int],
    shape: tuple[int, int],
    order: int,
) -> Float32[np.ndarray, "K I J"]:
    """Slices on a grid that runs along the pixels' axes: a spline in the plane is then one along each axis, and that is
    a matrix."""
    size = slices.shape[1:]
    a, b = (_spline(matrix[n, along[n]], offset[n], size[n], shape[along[n]], order) for n in (0, 1))
    if along == (0, 1):
        return np.matmul(a, slices @ b.T)
    return np.matmul(b, slices.transpose(0, 2, 1) @ a.T)


def _spline(step: float, start: float, size: int, count: int, order: int) -> Float32[np.ndarray, "C S"]:
    """(C, S) what each of S samples weighs in a spline through them, at `start`, a `step` on, and so on."""
    whole = np.array([[step, 0.0], [0.0, 1.0]])
    found = ndimage.affine_transform(np.eye(size), whole, (start, 0.0), (count, size), order=order, mode="nearest")
    return np.asarray(found, dtype=np.float32)


def uncrop_scores(
    scores: Float32[np.ndarray, "K 4 S S"],
    frame: Frame,
    affines: Float64[np.ndarray, "K 4 4"],
    shape: tuple[int, int],
    normal: Float64[np.ndarray, " 3"],
) -> Float32[np.ndarray, "4 K I J"]:
    """(K, 4, S, S) class scores on the frame's grid to (4, K, I, J), resampled linearly; the largest is the label."""
    return np.stack([uncrop(scores[:, c], frame, affines, shape, normal, order=1) for c in range(4)])


def uncrop_labels(
    scores: Float32[np.ndarray, "K 4 S S"],
    frame: Frame,
    affines: Float64[np.ndarray, "K 4 4"],
    shape: tuple[int, int],
    normal: Float64[np.ndarray, " 3"],
) -> UInt8[np.ndarray, "K I J"]:
    """(K, 4, S, S) class scores on the frame's grid to (K, I, J) labels: linear resampling, then the largest."""
    return np.asarray(uncrop_scores(scores, frame, affines, shape, normal).argmax(axis=0), dtype=np.uint8)


def plane_axes(stack: SliceStack) -> list[tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, " 3"]]]:
    """The eight ways to lay u and v along the stack's in-plane axes, in an order that the world decides."""
    i, j = (stack.affines[0, :3, axis] / stack.pixel_mm[axis] for axis in (0, 1))
    signed = [i, -i, j, -j]
    pairs = [(u, v) for u in signed for v in signed if abs(u @ v) < 0.5]
    return sorted(pairs, key=lambda pair: tuple(np.round(np.concatenate(pair), 4)))


def stack_centre(stack: SliceStack) -> Float64[np.ndarray, " 3"]:
    """(3,) world point in the middle of the field of view."""
    _, _, i, j = stack.images.shape
    return np.asarray((stack.affines @ [(i - 1) / 2, (j - 1) / 2, 0, 1]).mean(axis=0)[:3])


def label_centre(stack: SliceStack, labels: UInt8[np.ndarray, "P N I J"]) -> Float64[np.ndarray, " 3"]:
    """(3,) world point at the centroid of everything labelled in (P, N, I, J); raises `InputError` if nothing is."""
    where = np.argwhere(labels > 0)
    if len(where) == 0:
        raise InputError("The labels hold no heart: every voxel is background.")
    _, n, i, j = where.mean(axis=0)
    return np.asarray((stack.affines[round(n)] @ [i, j, 0, 1])[:3])


def _snap(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole numbers that rounding has moved by less than 1e-6 are put back: the identity stays exact."""
    rounded = np.round(values)
    return np.where(np.abs(values - rounded) < 1e-6, rounded, values)
