"""Find the heart without labels: the segmentation network on the whole slices, then the stack's centroid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from dmcvr.exam.stack import SliceStack
from dmcvr.geometry.orient import (
    VIEW_MM,
    VIEW_PIXELS,
    Upright,
    count_votes,
    find_orientation,
    from_scanner,
    right_ventricle_is_left,
    turn,
    voting_phases,
)
from dmcvr.geometry.region import (
    Frame,
    IntensityScale,
    crop_images,
    label_centre,
    plane_axes,
    stack_centre,
)
from dmcvr.geometry.roi import ROI_MM
from dmcvr.labels.base import CLEAR, leaning
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
    def of(cls, stack: SliceStack, located: Located, scale: IntensityScale | None = None) -> Region:
        """Crop and normalise where the heart was located: one frame and scale for all phases.

        Default: the scale that the heart's own grey values give.
        """
        grey = crop_images(stack, located.frame)
        scale = scale or IntensityScale.of(grey)
        return cls(scale.normalise(grey), scale, located)


@dataclass(frozen=True)
class Located:
    """Where the heart is, and how it lies.

    ===========  ========================================================================================
    confidence   the mean probability of the structures where they were found
    mirrored     whether the file's geometry shows a heart that mirrors a real one (None: the stack does not
                 tell base from apex)
    margin       by how much the picture speaks for this way to lie, in nats (`orient.Orientation`)
    rv_left      whether the RV is seen on the left, where it belongs (None: it is not seen)
    unmirrored   whether a mirrored geometry was turned into a real one (`unmirrored`)
    ===========  ========================================================================================
    """

    frame: Frame
    confidence: float
    found: bool
    mirrored: bool | None
    margin: float = float("inf")
    rv_left: bool | None = None
    unmirrored: bool = False


def locate_heart(
    stack: SliceStack,
    segment: Segment,
    size: int,
    upright: Upright,
    labels: UInt8[np.ndarray, "P N I J"] | None = None,
    scale: IntensityScale | None = None,
) -> Located:
    """The ROI of an exam, `size` pixels wide: how it lies by several of its phases, where it is by the first.

    The result does not depend on how the file stores its axes. `labels` (P, N, I, J), if given, decide the
    centre. `scale` is that of networks which were trained on a fixed window.
    """
    extent = max(stack.images.shape[2] * stack.pixel_mm[0], stack.images.shape[3] * stack.pixel_mm[1])
    pixel_mm = ROI_MM / size
    view = 16 * int(np.ceil(np.clip(extent, ROI_MM, MAX_VIEW_MM) / pixel_mm / 16))
    axes = plane_axes(stack)
    first = stack.select_phases([0])
    wide = Frame(stack_centre(stack), *axes[0], view, pixel_mm)
    scale = scale or IntensityScale.of(crop_images(first, replace(wide, size=size)))
    views = scale.normalise(crop_images(first, wide)[0])

    orientation = find_orientation(count_votes(voting_views(stack), axes, upright), views, axes, segment)
    oriented = replace(wide, u=orientation.u, v=orientation.v)
    probabilities = segment(turn(views, axes[0], (oriented.u, oriented.v)))
    labels_seen = probabilities.argmax(axis=1).astype(np.uint8)
    heart = largest_component(labels_seen > 0)
    labels_seen = np.where(heart, labels_seen, np.uint8(0))
    found = bool(heart.sum() * pixel_mm**2 * stack.spacing_mm / 1000 >= MIN_HEART_ML)
    where = np.argwhere(heart)[:, 1:].mean(axis=0) if found else np.full(2, (view - 1) / 2)
    confidence = float(probabilities[:, 1:].sum(axis=1)[heart].mean()) if found else 0.0
    centre = (oriented.affine_at(0.0, stack.normal) @ [where[0], where[1], 0, 1])[:3]
    if labels is not None:
        centre = label_centre(stack, labels)
    return Located(
        replace(oriented, centre=centre, size=size),
        confidence,
        found,
        _is_mirrored(labels_seen, oriented, stack.normal) if found else None,
        orientation.margin,
        right_ventricle_is_left(labels_seen) if found else None,
    )


def voting_views(stack: SliceStack) -> Float32[np.ndarray, "B S S"]:
    """(B, S, S) the whole slices of a few phases in [-1, 1], drawn on the first pair of axes."""
    voting = stack.select_phases(voting_phases(len(stack.phases)))
    frame = Frame(stack_centre(stack), *plane_axes(stack)[0], VIEW_PIXELS, VIEW_MM / VIEW_PIXELS)
    views = crop_images(voting, frame).reshape(-1, VIEW_PIXELS, VIEW_PIXELS)
    edge = round((VIEW_PIXELS - ROI_MM / frame.pixel_mm) / 2)
    return IntensityScale.of(views[:, edge:-edge, edge:-edge]).normalise(views)


def _is_mirrored(labels: UInt8[np.ndarray, "N S S"], frame: Frame, normal: Float64[np.ndarray, " 3"]) -> bool | None:
    """Seen from the apex, the base lies behind the picture. Where the stack does not tell, a scanner's frame does."""
    from_base = leaning(labels[None])
    if abs(from_base) < CLEAR:
        return False if from_scanner(normal) else None
    return bool(np.cross(frame.u, frame.v) @ normal * from_base > 0)


def prepare(
    stack: SliceStack, segment: Segment, size: int, upright: Upright, scale: IntensityScale | None = None
) -> Region:
    """Find the heart (by the stack's labels, if it has any), crop, normalise: one frame and scale for all phases."""
    return Region.of(stack, locate_heart(stack, segment, size, upright, stack.labels, scale), scale)


def unmirrored(stack: SliceStack, region: Region) -> tuple[SliceStack, Region]:
    """The same where the world shows a heart as it is; a mirrored world is reflected along the slices' normal."""
    if not region.located.mirrored:
        return stack, region
    stack = stack.reflected()
    return stack, Region.of(stack, replace(region.located, mirrored=False, unmirrored=True), region.scale)
