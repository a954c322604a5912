"""Find the heart without labels: the segmentation network on the whole slices, then the stack's centroid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8

from dmcvr.exam.stack import SliceStack
from dmcvr.geometry.orient import find_orientation
from dmcvr.geometry.region import (
    Frame,
    IntensityScale,
    crop_images,
    label_centre,
    plane_axes,
    stack_centre,
)
from dmcvr.geometry.roi import ROI_MM
from dmcvr.labels.components import largest_component
from dmcvr.labels.segment import Segment

#: The field of view is looked at up to this side.
MAX_VIEW_MM = 480.0

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

    images: Float32[np.ndarray, "P N S S"]
    scale: IntensityScale
    located: Located

    @classmethod
    def of(cls, stack: SliceStack, located: Located) -> Region:
        """Crop and normalise where the heart was located: one frame and scale for all phases."""
        grey = crop_images(stack, located.frame)
        scale = IntensityScale.of(grey)
        return cls(scale.normalise(grey), scale, located)


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


def locate_heart(
    stack: SliceStack, segment: Segment, size: int, labels: UInt8[np.ndarray, "P N I J"] | None = None
) -> Located:
    """The ROI of an exam, `size` pixels wide, from its first phase.

    The result does not depend on how the file stores its axes. `labels` (P, N, I, J), if given, decide the
    centre.
    """
    extent = max(stack.images.shape[2] * stack.pixel_mm[0], stack.images.shape[3] * stack.pixel_mm[1])
    pixel_mm = ROI_MM / size
    view = 16 * int(np.ceil(np.clip(extent, ROI_MM, MAX_VIEW_MM) / pixel_mm / 16))
    axes = plane_axes(stack)
    first = stack.select_phases([0])
    wide = Frame(stack_centre(stack), *axes[0], view, pixel_mm)
    scale = IntensityScale.of(crop_images(first, replace(wide, size=size)))
    views = scale.normalise(crop_images(first, wide)[0])

    orientation = find_orientation(views, axes, stack.normal, segment)
    probabilities = orientation.probabilities

    heart = largest_component(probabilities.argmax(axis=1) > 0)
    found = bool(heart.sum() * pixel_mm**2 * stack.spacing_mm / 1000 >= MIN_HEART_ML)
    oriented = replace(wide, u=orientation.u, v=orientation.v)
    where = np.argwhere(heart)[:, 1:].mean(axis=0) if found else np.full(2, (view - 1) / 2)
    confidence = float(probabilities[:, 1:].sum(axis=1)[heart].mean()) if found else 0.0
    centre = (oriented.affine_at(0.0, stack.normal) @ [where[0], where[1], 0, 1])[:3]
    if labels is not None:
        centre = label_centre(stack, labels)
    frame = replace(oriented, centre=centre, size=size)
    return Located(frame, confidence, found, orientation.mirrored if found else None)


def prepare(stack: SliceStack, segment: Segment, size: int) -> Region:
    """Find the heart (by the stack's labels, if it has any), crop, normalise: one frame and scale for all phases."""
    return Region.of(stack, locate_heart(stack, segment, size, stack.labels))
