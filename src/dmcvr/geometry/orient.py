"""How a picture lies: found from what is seen, because not every file tells the truth about it.

Short-axis views are shown with the RV on the left and the anterior wall up, as seen from the apex. A file may
store them turned or mirrored in any way, and headers are wrong more often than hearts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from dmcvr.labels.components import largest_component
from dmcvr.labels.segment import Segment

Axes = tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, " 3"]]

#: Slices from the middle of the stack that are looked at in every orientation.
ORIENTING_SLICES = 4

#: The way from RV to LV lies within this of the picture's right.
MAX_TURN_DEG = 60.0

#: The end of a stack whose third has this many times the heart area of the other's is the base.
BASE_RATIO = 1.3

#: Where a header knows no scanner, the picture's down is taken to be posterior and inferior (RAS+).
USUAL_DOWN = np.array([0.0, -1.0, -1.0])


@dataclass(frozen=True)
class Orientation:
    """How the picture lies, and what the network sees in it then.

    ==============  ============  ===========================================================================
    u, v            (3,)          axes of the picture in the world
    mirrored        bool or None  whether the world's geometry mirrors a real heart (None: cannot tell)
    probabilities   (N, 4, S, S)  of the views, drawn on u and v
    ==============  ============  ===========================================================================
    """

    u: Float64[np.ndarray, " 3"]
    v: Float64[np.ndarray, " 3"]
    mirrored: bool | None
    probabilities: Float32[np.ndarray, "N 4 S S"]


def find_orientation(
    views: Float32[np.ndarray, "N S S"], axes: list[Axes], normal: Float64[np.ndarray, " 3"], segment: Segment
) -> Orientation:
    """Choose among eight pairs of axes; `views` (N, S, S) are drawn on the first, sorted along `normal`.

    1. The network looks at every orientation; where it sees the most heart, it is believed about RV, LV and base.
    2. The RV has to be on the left.
    3. Of the two mirror images left, the one seen from the apex is right, if the header comes from a scanner
       (a short-axis plane is oblique: axes along the coordinate axes are a placeholder); else the usual one.

    Where the network sees no RV or no base, its preference decides.
    """
    low = max(0, (len(views) - ORIENTING_SLICES) // 2)
    few = views[low : low + ORIENTING_SLICES]
    evidence = [_evidence(segment(turn(few, axes[0], pair))) for pair in axes]
    seen = int(np.argmax(evidence))
    probabilities = segment(turn(views, axes[0], axes[seen]))
    labels = probabilities.argmax(axis=1)
    labels = np.where(largest_component(labels > 0), labels, 0)
    rightwards, to_base = _right_to_left_ventricle(labels, axes[seen]), _to_base(labels, normal)

    allowed = np.ones(len(axes), dtype=bool)
    if rightwards is not None:
        allowed &= np.array([rightwards @ u > np.cos(np.radians(MAX_TURN_DEG)) for u, _ in axes])
        if not from_scanner(normal):
            allowed &= np.array([v @ USUAL_DOWN > 0 for _, v in axes])
        elif to_base is not None:
            allowed &= np.array([np.cross(u, v) @ to_base > 0 for u, v in axes])
    best = int(np.argmax(np.where(allowed | ~allowed.any(), evidence, -1.0)))
    u, v = axes[best]
    if best != seen:
        probabilities = segment(turn(views, axes[0], axes[best]))
    mirrored = None if to_base is None else bool(np.cross(u, v) @ to_base < 0)
    return Orientation(u, v, mirrored, probabilities)


def from_scanner(normal: Float64[np.ndarray, " 3"]) -> bool:
    """Whether a stack's frame comes from a scanner: a short-axis plane is oblique, a placeholder is not."""
    return bool(np.abs(normal).max() < 0.999)


def turn(views: Float32[np.ndarray, "N S S"], drawn: Axes, wanted: Axes) -> Float32[np.ndarray, "N S S"]:
    """(N, S, S) views drawn on one pair of axes, as they look on another pair along the same lines."""
    if abs(drawn[0] @ wanted[0]) < 0.5:
        views, drawn = views.swapaxes(1, 2), (drawn[1], drawn[0])
    for axis in (0, 1):
        if drawn[axis] @ wanted[axis] < 0:
            views = np.flip(views, axis=axis + 1)
    return np.ascontiguousarray(views)


def _evidence(probabilities: Float32[np.ndarray, "N 4 S S"]) -> float:
    """How much heart the network sees: the geometric mean of the three structures' confident areas."""
    confident = np.where(probabilities[:, 1:] > 0.5, probabilities[:, 1:], 0).sum(axis=(0, 2, 3))
    return float(np.prod(confident + 1.0) ** (1 / 3))


def _right_to_left_ventricle(labels: Int[np.ndarray, "N S S"], axes: Axes) -> Float64[np.ndarray, " 3"] | None:
    """(3,) unit vector from the RV's to the LV's centroid, over the slices that show both."""
    ways = []
    for slice_ in labels:
        right, left = np.argwhere(slice_ == 3), np.argwhere((slice_ == 1) | (slice_ == 2))
        if len(right) and len(left):
            ways.append(left.mean(axis=0) - right.mean(axis=0))
    if not ways:
        return None
    a, b = np.mean(ways, axis=0)
    way = a * axes[0] + b * axes[1]
    return np.asarray(way / max(float(np.linalg.norm(way)), 1e-9))


def _to_base(labels: Int[np.ndarray, "N S S"], normal: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, " 3"] | None:
    """(3,) unit vector to the base: the end where the heart is larger; None where both are alike."""
    areas = (labels > 0).sum(axis=(1, 2))
    areas = areas[areas > 0]
    if len(areas) < 3:
        return None
    third = max(1, len(areas) // 3)
    first, last = areas[:third].mean(), areas[-third:].mean()
    if max(first, last) < BASE_RATIO * min(first, last):
        return None
    return -normal if first > last else normal
