"""What tells, without a truth, how well a heart was labelled: numbers that each structure of an exam is judged by.

The segmenter looks at the same slices twice: as they are, and moved and dimmed. Where the picture is what it knows, it
finds the same heart; where it guesses, it guesses something else (test-time augmentation: Wang et al., Neurocomputing
2019, 338:34). How sure it is, how sure the other network was that found the heart, and whether what was found is shaped
like one tell the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.geometry.locate import Located
from dmcvr.labels.enclosure import enclosed_share
from dmcvr.labels.segment import SegmentStack

#: Shares are compared as logits, between these.
LEAST, MOST = 0.02, 0.99

#: The names of the numbers of each structure, and how much of each counts as one step.
STEPS = {
    "soft": 0.5,
    "steady": 0.5,
    "least soft": 0.5,
    "least steady": 0.5,
    "enclosed": 0.1,
    "rough": 0.15,
    "size": 0.7,
    "contrast": 0.3,
    "confidence": 0.5,
}


#: How far slices are moved, in pixels along both axes, and what share of their range of grey values is left to them.
MOVED, DIMMED = 4, 0.8


def look_again(
    images: Float32[np.ndarray, "N S S"], positions_mm: Float64[np.ndarray, " N"], segment: SegmentStack
) -> UInt8[np.ndarray, "N S S"]:
    """(N, S, S) the labels of a phase's slices, found once these are moved and dimmed, and moved back."""
    moved = np.roll(DIMMED * images - (1 - DIMMED) / 2, (MOVED, MOVED), axis=(1, 2))
    found = segment(moved.astype(np.float32), positions_mm).argmax(axis=1).astype(np.uint8)
    return np.roll(found, (-MOVED, -MOVED), axis=(1, 2))


@dataclass(frozen=True)
class Looked:
    """Slices of a few phases, labelled, as the segmenter sees them.

    ============  ===============  ==========================================
    images        (P, N, S, S)     float32 in [-1, 1]
    labels        (P, N, S, S)     uint8, the labels that are judged
    found         (P, N, 4, S, S)  float32, the segmenter's probabilities
    again         (P, N, S, S)     uint8, what it finds in them once they are moved and dimmed, moved back; None where
                                   the labels that are judged are not the segmenter's
    positions_mm  (N,)
    pixel_mm
    located                        where the heart was found, and how it lies
    ============  ===============  ==========================================
    """

    images: Float32[np.ndarray, "P N S S"]
    labels: UInt8[np.ndarray, "P N S S"]
    found: Float32[np.ndarray, "P N 4 S S"]
    again: UInt8[np.ndarray, "P N S S"] | None
    positions_mm: Float64[np.ndarray, " N"]
    pixel_mm: float
    located: Located


def signs(looked: Looked) -> Float64[np.ndarray, "3 F"]:
    """(3, F) of LV cavity, myocardium and RV cavity, in steps of `STEPS`, in that order; of the segmenter's labels."""
    assert looked.again is not None
    labels, soft, steady = looked.labels, [], []
    for c in LABEL_NAMES:
        mask, probability = labels == c, looked.found[:, :, c]
        soft.append(_logit(_overlap(float(probability[mask].sum()), float(probability.sum() + mask.sum()))))
        again = looked.again == c
        both = np.count_nonzero(mask) + np.count_nonzero(again)
        steady.append(_logit(_overlap(int(np.count_nonzero(mask & again)), int(both))))
    blood, muscle = (float(looked.images[labels == c].mean()) if (labels == c).any() else -1.0 for c in (1, 2))
    shared = {
        "least soft": min(soft),
        "least steady": min(steady),
        "enclosed": enclosed_share(labels, 1, 2),
        "contrast": blood - muscle,
        "confidence": _logit(looked.located.confidence),
    }
    rows = []
    for n, c in enumerate(LABEL_NAMES):
        own = {"soft": soft[n], "steady": steady[n], "rough": roughness(labels == c), "size": _size(looked, c)}
        values = own | shared
        rows.append([values[name] / step for name, step in STEPS.items()])
    return np.array(rows)


def roughness(mask: Bool[np.ndarray, "P N S S"]) -> float:
    """How far sections' areas lie from the line between their neighbours', of all area: slices in a wrong order."""
    area = mask.sum(axis=(2, 3)).astype(float)
    if area.shape[1] < 3 or area.sum() == 0:
        return 0.0
    return float(np.abs(area[:, 1:-1] - (area[:, :-2] + area[:, 2:]) / 2).sum() / area.sum())


def _overlap(twice: float, both: float) -> float:
    """Dice of sums; 0 where there is nothing."""
    return float(2 * twice / both) if both > 0 else 0.0


def _logit(share: float) -> float:
    share = float(np.clip(share, LEAST, MOST))
    return float(np.log(share / (1 - share)))


def _size(looked: Looked, structure: int) -> float:
    """Logarithm of the largest volume of any phase, in mL."""
    slab_ml = looked.pixel_mm**2 * float(np.median(np.diff(looked.positions_mm))) / 1000
    return float(np.log(max(np.count_nonzero(looked.labels == structure, axis=(1, 2, 3)).max() * slab_ml, 1.0)))
