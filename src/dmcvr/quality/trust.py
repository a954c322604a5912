"""Whether a result can be used: what the Dice of its labels is expected to be, what its flags say, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dmcvr.anatomy.coverage import Coverage
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.slid import Slid
from dmcvr.geometry.locate import Region
from dmcvr.geometry.region import crop_labels
from dmcvr.labels.tidy import tidy_labels
from dmcvr.model.weights import is_bundled
from dmcvr.quality.expected import FAILED, Expected, Remembered
from dmcvr.quality.flags import SPOKEN, Flag, slice_flags
from dmcvr.quality.metrics import dice
from dmcvr.quality.signs import Looked, look_again, signs
from dmcvr.quality.training_range import TrainingRange, exam_features

Verdict = Literal["usable", "look", "do not use"]

#: Of a cine, so many phases are looked at.
PHASES = 4

#: Labels that fail more likely than this are not to be used; more likely than the second, someone should look. Of the
#: development patients' spoiled exams, each foretold by the other patients, the first finds 91 % of the failures at 3 %
#: false alarms, the second 97 % at 9 %.
FAILING, DOUBTFUL = 0.25, 0.1

#: Given labels that agree less with the segmenter's are not of this heart, or lie elsewhere; below the second, someone
#: should look.
APART, UNLIKE = 0.5, 0.7

#: Flags that say that a heart is not what it seems. The others tell of one number beside another, and speak too often.
SERIOUS = (
    "How the heart lies",
    "Base of the heart",
    "Field of view",
    "Anatomy",
    "Order of the slices",
    "Segmenter confidence",
    "Like the training data",
)


@dataclass(frozen=True)
class Trust:
    """What is thought of an exam's labels.

    ========  ============================================================================================
    verdict   "usable", "look" (before you use it), "do not use"
    why       a sentence
    expected  by structure, the Dice that its labels are expected to have with someone's drawn by hand; None
              where that is not known: labels were given, or other weights than the bundled ones found them
    agreed    by structure, the Dice of given labels with the segmenter's; None where none were given
    ========  ============================================================================================
    """

    verdict: Verdict
    why: str
    expected: dict[str, Expected] | None = None
    agreed: dict[str, float] | None = None

    @classmethod
    def of(cls, looked: Looked, flags: Sequence[Flag], *, given: bool, known: bool) -> Trust:
        """By slices as the segmenter sees them, and by the flags of slices; `known`: by the bundled networks."""
        expected = Remembered.read().expected(signs(looked)) if known and not given else None
        agreed = _agreement(looked) if given else None
        serious = [flag for flag in flags if flag.level == "look" and flag.name in SERIOUS]
        if expected is not None:
            worst = max(expected, key=lambda name: expected[name].failing)
            if expected[worst].failing > DOUBTFUL:
                verdict: Verdict = "do not use" if expected[worst].failing > FAILING else "look"
                return cls(verdict, _poor(worst, expected[worst]), expected)
        if agreed:
            least = min(agreed, key=lambda name: agreed[name])
            if agreed[least] < UNLIKE:
                return cls(
                    "do not use" if agreed[least] < APART else "look", _apart(least, agreed[least]), agreed=agreed
                )
        if serious:
            found = "; ".join(flag.title[:1].lower() + flag.title[1:] for flag in serious)
            return cls("look", f"{found[:1].upper()}{found[1:]}.", expected, agreed)
        if not expected and not agreed:
            return cls("look", "These networks' labels were never compared with anyone's.", expected, agreed)
        return cls("usable", "Nothing speaks against it.", expected, agreed)

    def record(self) -> dict[str, Any]:
        """As run.json keeps it."""
        expected = {
            name: {"dice": round(e.dice, 3), "sd": round(e.sd, 3), "failing": round(e.failing, 3)}
            for name, e in (self.expected or {}).items()
        }
        agreed = {name: round(value, 3) for name, value in (self.agreed or {}).items()}
        return {
            "verdict": self.verdict,
            "why": self.why,
            "expected_dice": expected or None,
            "agreed_dice": agreed or None,
        }


def look(stack: SliceStack, region: Region, acquired: Sequence[Acquired], engine: Engine) -> Looked:
    """A few phases as the segmenter sees them, before any slice is slid; twice, where their labels are its own."""
    count = len(acquired)
    chosen = np.unique(np.linspace(0, count - 1, min(PHASES, count)).round().astype(int))
    pixel_mm, positions = region.located.frame.pixel_mm, stack.positions_mm
    images = region.images[chosen]
    found = [
        engine.segment_stack(pictures, positions) if (kept := acquired[p].found) is None else kept
        for p, pictures in zip(chosen, images, strict=True)
    ]
    again = None
    if stack.labels is None:
        again = np.stack([look_again(pictures, positions, engine.segment_stack) for pictures in images])
    labels = np.stack([acquired[p].labels for p in chosen])
    return Looked(images, labels, np.stack(found), again, positions, pixel_mm, region.located)


def flags_of_slices(slid: Slid, engine: Engine, covered: Coverage) -> list[Flag]:
    """The checks that need no more than the acquired slices, in one breath-hold."""
    stack, region, labels = slid.stack, slid.region, slid.labels
    frame = region.located.frame
    return slice_flags(
        labels,
        pictured=crop_labels(stack, np.ones_like(stack.images[:1], np.uint8), frame)[0] > 0,
        positions_mm=stack.positions_mm,
        pixel_mm=frame.pixel_mm,
        located=region.located,
        normal=stack.normal,
        confidence=region.located.confidence if stack.labels is None else None,
        features=exam_features(
            region.images,
            labels,
            crop_pixel_mm=frame.pixel_mm,
            positions_mm=stack.positions_mm,
            pixel_mm=float(np.mean(stack.pixel_mm)),
        ),
        trained_on=TrainingRange.read() if is_bundled(engine.info) else None,
        left_out=() if stack.source is None else stack.source.left_out,
        moved_mm=slid.holds.lengths_mm if slid.holds else None,
        covered=covered,
    )


def _agreement(looked: Looked) -> dict[str, float]:
    """Of the labels that are judged with the segmenter's own, over the phases; of structures that either has."""
    own = np.stack([tidy_labels(p.argmax(axis=1).astype(np.uint8), looked.pixel_mm) for p in looked.found])
    found = {name: dice(looked.labels == c, own == c) for c, name in LABEL_NAMES.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _poor(name: str, expected: Expected) -> str:
    return (
        f"The labels of the {SPOKEN[name]} may have failed: a Dice of about {expected.dice:.2f} is expected, and one "
        f"below {FAILED:g} in {100 * expected.failing:.0f} of 100 exams that look so."
    )


def _apart(name: str, value: float) -> str:
    return f"The given labels of the {SPOKEN[name]} and the segmenter's have little in common (Dice {value:.2f})."
