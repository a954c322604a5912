"""Find the heart without labels: the segmentation network on the whole slices, then the stack's centroid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dmcvr.methods import Segment
from dmcvr.postprocess import largest_component
from dmcvr.preprocess import (
    Frame,
    IntensityScale,
    crop_images,
    label_centre,
    plane_axes,
    stack_centre,
)
from dmcvr.presets import ROI_MM
from dmcvr.stack import SliceStack

#: The field of view is looked at up to this side.
MAX_VIEW_MM = 480.0

#: Slices from the middle of the stack that decide how the exam is turned.
ORIENTING_SLICES = 4

#: Less heart than this in the whole stack counts as none (a small apex alone has more).
MIN_HEART_ML = 20.0


@dataclass(frozen=True)
class Region:
    """The heart's slices as the networks see them.

    ========  ============  ===================================================
    images    (P, N, S, S)  float32 in [-1, 1]
    scale                   the way back to the exam's grey values
    located                 the frame they lie on, and how sure that is
    ========  ============  ===================================================
    """

    images: NDArray[np.float32]
    scale: IntensityScale
    located: Located


@dataclass(frozen=True)
class Located:
    """Where the heart is, and how it lies.

    `confidence` is the mean probability of the structures where they were found. `mirrored` says whether the
    file's geometry shows a heart that mirrors a real one (None: the stack does not tell base from apex).
    """

    frame: Frame
    confidence: float
    found: bool
    mirrored: bool | None


def locate_heart(stack: SliceStack, segment: Segment, size: int, labels: NDArray[np.uint8] | None = None) -> Located:
    """The ROI of an exam, `size` pixels wide, from its first phase.

    Files store slices turned and mirrored in every way, and not all carry the truth about it. So each of the
    eight ways to lay a picture on the stack's axes is tried, and the one in which the network sees the most
    heart is taken: the result does not depend on the storage order. `labels` (P, N, I, J), if given, decide
    the centre.
    """
    extent = max(stack.images.shape[2] * stack.pixel_mm[0], stack.images.shape[3] * stack.pixel_mm[1])
    pixel_mm = ROI_MM / size
    view = 16 * int(np.ceil(np.clip(extent, ROI_MM, MAX_VIEW_MM) / pixel_mm / 16))
    axes = plane_axes(stack)
    first = stack.select_phases([0])
    wide = Frame(stack_centre(stack), *axes[0], view, pixel_mm)
    scale = IntensityScale.of(crop_images(first, replace(wide, size=size)))
    views = scale.normalise(crop_images(first, wide)[0])

    middle = len(views) // 2
    low = max(0, middle - ORIENTING_SLICES // 2)
    few = views[low : low + ORIENTING_SLICES]
    evidence = [_evidence(segment(_turn(few, axes[0], pair))) for pair in axes]
    u, v = axes[int(np.argmax(evidence))]
    probabilities = segment(_turn(views, axes[0], (u, v)))

    heart = largest_component(probabilities.argmax(axis=1) > 0)
    found = bool(heart.sum() * pixel_mm**2 * stack.spacing_mm / 1000 >= MIN_HEART_ML)
    oriented = replace(wide, u=u, v=v)
    where = np.argwhere(heart)[:, 1:].mean(axis=0) if found else np.full(2, (view - 1) / 2)
    confidence = float(probabilities[:, 1:].sum(axis=1)[heart].mean()) if found else 0.0
    centre = (oriented.affine_at(0.0, stack.normal) @ [where[0], where[1], 0, 1])[:3]
    if labels is not None:
        centre = label_centre(stack, labels)
    frame = replace(oriented, centre=centre, size=size)
    return Located(frame, confidence, found, _is_mirrored(heart, frame, stack.normal) if found else None)


def prepare(stack: SliceStack, segment: Segment, size: int) -> Region:
    """Find the heart (by the stack's labels, if it has any), crop, normalise: one frame and scale for all phases."""
    located = locate_heart(stack, segment, size, stack.labels)
    grey = crop_images(stack, located.frame)
    scale = IntensityScale.of(grey)
    return Region(scale.normalise(grey), scale, located)


def _turn(
    views: NDArray[np.float32],
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]],
    wanted: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float32]:
    """(N, S, S) views drawn on one pair of axes, as they look on another pair along the same lines."""
    if abs(drawn[0] @ wanted[0]) < 0.5:
        views, drawn = views.swapaxes(1, 2), (drawn[1], drawn[0])
    for axis in (0, 1):
        if drawn[axis] @ wanted[axis] < 0:
            views = np.flip(views, axis=axis + 1)
    return np.ascontiguousarray(views)


def _evidence(probabilities: NDArray[np.float32]) -> float:
    """How much heart the network sees: the geometric mean of the three structures' confident areas."""
    confident = np.where(probabilities[:, 1:] > 0.5, probabilities[:, 1:], 0).sum(axis=(0, 2, 3))
    return float(np.prod(confident + 1.0) ** (1 / 3))


def _is_mirrored(heart: NDArray[np.bool_], frame: Frame, normal: NDArray[np.float64]) -> bool | None:
    """Shown with the RV on the left, a short-axis slice is seen from the apex: u x v points to the base."""
    areas = heart.sum(axis=(1, 2))
    areas = areas[areas > 0]
    third = max(1, len(areas) // 3)
    first, last = areas[:third].mean(), areas[-third:].mean()
    if max(first, last) < 1.3 * min(first, last):
        return None
    to_base = -normal if first > last else normal
    return bool(np.cross(frame.u, frame.v) @ to_base < 0)
