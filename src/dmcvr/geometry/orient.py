"""How a picture lies: found from what is seen, because not every file tells the truth about it.

Short-axis views are shown with the RV on the left and the anterior wall up, as seen from the apex. A file may
store them turned or mirrored in any way, and headers are wrong more often than hearts.

1. A small network sees every slice of a few phases in all eight ways, and gives each way its share of one vote.
2. Ways that come near the winner are looked at again: in which of them does the segmenter see more heart, and the RV
   where it usually is; and which is nearer to how a patient lies in a scanner's frame?
3. What is still close then, or has the RV on the wrong side, is in doubt, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Integer

from dmcvr.labels.segment import Segment

Axes = tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, " 3"]]

#: The square that tells how a picture lies, and its pixels a side.
VIEW_MM = 336.0
VIEW_PIXELS = 80

#: Phases of a cine that vote, spread over it.
VOTING_PHASES = 5

#: Slices from the middle of the stack that are segmented in every way that comes near the winner.
ORIENTING_SLICES = 4

#: A way whose vote is less than this below the winner's (nats, mean over the slices) is looked at again.
CLOSE = 2.0

#: What these count then, in nats: twice as much heart in the segmenter's eyes; an RV that it sees a sixth of a circle
#: from where it usually is (twice as far counts four times); and a way a patient lies against its opposite.
HEART_WEIGHT = 1.5
SIDE_WEIGHT = 1.0
PRIOR_WEIGHT = 0.1

#: A winner by less than this, in nats, is in doubt.
SURE = 0.3

#: The way from RV to LV in the picture, in degrees from its right, downwards: ACDC's patients have -55 to 24 as they
#: are stored, but for one in six with 35 to 68, a quarter turn away. Further from it than this is the wrong side.
USUAL_WAY_DEG = -15.0
MAX_TURN_DEG = 75.0

#: The picture's right and down in a scanner's frame (RAS+): to the left and behind; and down, a little to the right.
#: Three scanners' exams agree within 35 degrees.
USUAL_RIGHT = np.array([-0.65, -0.72, -0.24])
USUAL_DOWN = np.array([0.44, -0.23, -0.87])


@runtime_checkable
class Upright(Protocol):
    """(B, S, S) views in any unit to (B,) logits: whether each lies as short-axis views are shown."""

    def __call__(self, views: Float32[np.ndarray, "B S S"]) -> Float32[np.ndarray, " B"]: ...


@dataclass(frozen=True)
class Orientation:
    """How the picture lies.

    ======  ====  =====================================================================================
    u, v    (3,)  axes of the picture in the world
    margin        by how much the picture speaks for it rather than for the next best way, in nats; more
                  than `SURE` is sure
    ======  ====  =====================================================================================
    """

    u: Float64[np.ndarray, " 3"]
    v: Float64[np.ndarray, " 3"]
    margin: float


def find_orientation(
    votes: Float64[np.ndarray, " 8"],
    views: Float32[np.ndarray, "N S S"],
    axes: list[Axes],
    segment: Segment,
) -> Orientation:
    """Choose among eight pairs of axes by their votes; `views` (N, S, S) of one phase are drawn on the first pair.

    A frame that comes from no scanner has nothing to say about it.
    """
    score = votes - votes.max()
    close = np.flatnonzero(score > -CLOSE)
    if len(close) > 1:
        low = max(0, (len(views) - ORIENTING_SLICES) // 2)
        few = views[low : low + ORIENTING_SLICES]
        seen = [segment(turn(few, axes[0], axes[way])) for way in close]
        heart = np.array([heart_seen(probabilities) for probabilities in seen])
        aside = np.array([away_deg(probabilities.argmax(axis=1)) or 0.0 for probabilities in seen])
        score[~np.isin(np.arange(len(axes)), close)] = -np.inf
        score[close] += HEART_WEIGHT * np.log2(heart / heart.max()) - SIDE_WEIGHT * (aside / 60) ** 2
        if from_scanner(np.cross(*axes[0])):
            usual = [(axes[way][0] @ USUAL_RIGHT + axes[way][1] @ USUAL_DOWN) / 2 for way in close]
            score[close] += PRIOR_WEIGHT * np.array(usual)
    order = np.argsort(-score, kind="stable")
    u, v = axes[order[0]]
    return Orientation(u, v, float(score[order[0]] - score[order[1]]))


def count_votes(views: Float32[np.ndarray, "B S S"], axes: list[Axes], upright: Upright) -> Float64[np.ndarray, " 8"]:
    """(8,) mean log probability of each pair of axes over the views (B, S, S), which are drawn on the first pair."""
    logits = np.stack([upright(turn(views, axes[0], pair)) for pair in axes], axis=1).astype(np.float64)
    shares = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return np.asarray(shares.mean(axis=0))


def voting_phases(count: int) -> list[int]:
    """The phases of so many that vote."""
    return sorted({round(n) for n in np.linspace(0, count - 1, min(count, VOTING_PHASES))})


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


def heart_seen(probabilities: Float32[np.ndarray, "N 4 S S"]) -> float:
    """How much heart the segmenter sees: the geometric mean of the three structures' confident areas."""
    confident = np.where(probabilities[:, 1:] > 0.5, probabilities[:, 1:], 0).sum(axis=(0, 2, 3))
    return float(np.prod(confident + 1.0) ** (1 / 3))


def right_to_left_deg(labels: Integer[np.ndarray, "N S S"]) -> float | None:
    """The way from the RV's to the LV's centroid, in degrees from the picture's right, downwards; None: not seen."""
    ways = []
    for slice_ in labels:
        right, left = np.argwhere(slice_ == 3), np.argwhere((slice_ == 1) | (slice_ == 2))
        if len(right) and len(left):
            ways.append(left.mean(axis=0) - right.mean(axis=0))
    if not ways:
        return None
    a, b = np.mean(ways, axis=0)
    return float(np.degrees(np.arctan2(b, a)))


def away_deg(labels: Integer[np.ndarray, "N S S"]) -> float | None:
    """How far, in degrees, the way from RV to LV is from the usual one; None where neither is seen."""
    angle = right_to_left_deg(labels)
    return None if angle is None else float(abs((angle - USUAL_WAY_DEG + 180) % 360 - 180))


def right_ventricle_is_left(labels: Integer[np.ndarray, "N S S"]) -> bool | None:
    """Whether the RV lies where it belongs, on the LV's left in the picture; None where neither is seen."""
    away = away_deg(labels)
    return None if away is None else away < MAX_TURN_DEG
