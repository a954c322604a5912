"""Grey values that mean what they should: inverted pictures are turned, slices without a picture are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View, planes_of
from dmcvr.geometry.locate import Region, prepare
from dmcvr.geometry.orient import Upright
from dmcvr.geometry.region import IntensityScale
from dmcvr.labels.heart import HeartSeen
from dmcvr.labels.segment import Segment
from dmcvr.labels.tidy import tidy_labels

#: A heart seen this clearly needs no second look. Of ACDC's patients' negatives the likest to a heart has three rings
#: and a confidence of .94.
SURE_CONFIDENCE = 0.95
SURE_RINGS = 5

#: The negative is believed from this confidence on.
CLEAR_CONFIDENCE = 0.9

#: A slice whose grey values differ by less than this share of the exam's is blank.
BLANK_SHARE = 0.02

TURNED = (
    "The grey values are inverted (blood darker than muscle, as in a negative) and were turned: a heart is seen "
    "clearly in the turned pictures alone."
)


def prepare_upright(
    stack: SliceStack, segment: Segment, size: int, upright: Upright, scale: IntensityScale | None = None
) -> tuple[SliceStack, Region]:
    """Find the heart, as `prepare` does; where it is not clear, in the pictures' negative too.

    The stack that comes back is the one that was given, or its negative, with a warning, where that alone shows a heart
    in more slices.
    """
    region = prepare(stack, segment, size, upright, scale)
    if scale is not None:  # grey values with a unit mean what they say
        return stack, region
    here = _seen(stack, region, segment)
    if here.missing is None and here.rings >= SURE_RINGS and region.located.confidence >= SURE_CONFIDENCE:
        return stack, region
    turned = replace(stack, images=stack.images.max() - stack.images, warnings=(*stack.warnings, TURNED))
    negative = prepare(turned, segment, size, upright)
    there = _seen(turned, negative, segment)
    sure = there.missing is None and negative.located.confidence >= CLEAR_CONFIDENCE
    return (turned, negative) if sure and there.rings > here.rings else (stack, region)


def views_as(stack: SliceStack, views: Iterable[View]) -> tuple[View, ...]:
    """Those views that are of the stack's phases, by plane and phase; turned as its grey values were."""
    known = [view for view in views if view.phase in stack.phases]
    named = [replace(view, name=name) for name, pictures in planes_of(known).items() for view in pictures]
    return tuple(view.negative() for view in named) if TURNED in stack.warnings else tuple(named)


def without_blank_slices(stack: SliceStack) -> SliceStack:
    """The stack without slices that hold no picture in any phase, as a warning says; as it is where fewer than two do.

    Such slices pad a stack to a number: they would be taken for a place where the heart ends.
    """
    low, high = np.stack([np.percentile(phase, (0.5, 99.5), axis=(1, 2)) for phase in stack.images], axis=1)
    range_ = (high - low).max(axis=0)
    blank = range_ < BLANK_SHARE * range_.max()
    kept = np.flatnonzero(~blank)
    if not blank.any() or len(kept) < 2:
        return stack
    which = ", ".join(str(n + 1) for n in np.flatnonzero(blank))
    count = np.count_nonzero(blank)
    words = "slice holds no picture and was" if count == 1 else "slices hold no picture and were"
    said = f"{count} {words} left out: number {which} of {len(blank)}."
    return replace(stack.select_slices(kept.tolist()), warnings=(*stack.warnings, said))


def _seen(stack: SliceStack, region: Region, segment: Segment) -> HeartSeen:
    """What the first phase shows, whatever labels were given."""
    found = segment(region.images[0]).argmax(axis=1).astype(np.uint8)
    return HeartSeen.of(tidy_labels(found, region.located.frame.pixel_mm)[None], stack.positions_mm)
