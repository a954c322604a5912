"""Exams made bad on purpose, and the protocols that ask whether that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dmcvr.evaluate.case import Case
from dmcvr.evaluate.intervals import coverage, scores_of
from dmcvr.evaluate.spoil import FAULTS, VARIANTS
from dmcvr.evaluate.trust import seen, spoiled, true_dice, trust_tables
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom
from dmcvr.quality.intervals import Calibration


@pytest.mark.parametrize("fault", [*FAULTS, *VARIANTS])
def test_a_fault_changes_the_exam_and_is_always_the_same(fault: str, phantom: Phantom) -> None:
    case = Case("p", phantom.stack)
    once, again = spoiled(case, fault), spoiled(case, fault)
    assert isinstance(once, SliceStack)
    assert isinstance(again, SliceStack)
    np.testing.assert_array_equal(once.images, again.images)
    assert once.labels is not None
    assert once.labels.shape == once.images.shape
    before = phantom.stack
    same = once.images.shape == before.images.shape and np.array_equal(once.images, before.images)
    assert not same or not np.array_equal(once.affines, before.affines)


def test_labels_move_with_their_slices(phantom: Phantom) -> None:
    """Blood is bright: where a fault moved the picture, the labels still say where it is."""
    stack = phantom.stack
    assert stack.labels is not None
    for fault in ("shifted", "mirrored", "shuffled", "cut"):
        bad = spoiled(Case("p", stack), fault)
        assert bad is not None
        assert bad.labels is not None
        blood, rest = bad.images[bad.labels == 1].mean(), bad.images[bad.labels == 2].mean()
        assert blood > 1.5 * rest, fault


def test_the_true_dice_is_one_for_the_true_labels_and_misses_what_is_not_looked_at(
    phantom: Phantom, engine: Engine
) -> None:
    from dataclasses import replace

    from dmcvr.geometry.region import crop_labels

    stack = phantom.stack.select_phases([0])
    _, region, found = seen(stack, engine)
    assert stack.labels is not None
    manual = crop_labels(stack, stack.labels, region.located.frame)
    perfect = tuple(replace(phase, labels=labels) for phase, labels in zip(found, manual, strict=True))
    assert min(true_dice(stack, region, perfect, tuple(LABEL_NAMES)).values()) > 0.98
    nothing = tuple(replace(phase, labels=np.zeros_like(labels)) for phase, labels in zip(found, manual, strict=True))
    assert set(true_dice(stack, region, nothing, tuple(LABEL_NAMES)).values()) == {0.0}


def test_tables_count_failures_and_alarms() -> None:
    rows = pd.DataFrame(
        {
            "fault": ["none", "none", "bad", "bad"],
            "verdict": ["usable", "look", "do not use", "no heart"],
            "flags": ["", "Anatomy", "Anatomy|Coverage", ""],
            **{f"dice_{name}": [0.95, 0.9, 0.2, 0.0] for name in LABEL_NAMES.values()},
            **{f"expected_{name}": [0.94, 0.6, 0.3, 0.0] for name in LABEL_NAMES.values()},
            **{f"failing_{name}": [0.0, 0.6, 0.9, 1.0] for name in LABEL_NAMES.values()},
        }
    )
    foretold, verdicts, flags = trust_tables(rows, ())
    lv = foretold.numbers.iloc[0]
    assert (lv["failures"], lv["failures found"], lv["false alarms"]) == (2, 1.0, 0.5)
    assert lv["mean error"] == pytest.approx((0.01 + 0.3 + 0.1 + 0) / 4)
    usable = foretold.numbers.iloc[3]
    assert (usable["failures found"], usable["false alarms"]) == (1.0, 0.0)
    assert verdicts.numbers.set_index("fault").loc["bad", "no heart"] == 0.5
    assert flags.numbers.set_index("fault").loc["bad", "Coverage"] == 1.0
    assert "| fault |" in verdicts.markdown()


def test_coverage_leaves_out_the_one_that_is_judged() -> None:
    """Nineteen exams with errors of 1 to 19 SD: all but the worst lie inside what the others reach."""
    rows = pd.DataFrame(
        {
            "patient": [f"p{n}" for n in range(19)],
            "group": "",
            "task": "patients, labels found",
            "measure": "lv_edv_ml",
            "value": 100.0,
            "true": 100.0 - np.arange(1, 20),
            "sd_segmentation": 1.0,
            "sd_geometry": 0.0,
        }
    )
    (table,) = coverage(rows, ())
    line = table.numbers.iloc[0]
    assert line["inside_part"] == pytest.approx(18 / 19)
    reach = Calibration.read().reach("segmentation", "lv_edv_ml")
    assert line["half"] == pytest.approx(reach)
    assert line["inside"] == pytest.approx(min(int(reach), 19) / 19)
    assert scores_of(rows, "segmentation")["lv_edv_ml"] == list(np.arange(1.0, 20.0))
    assert "95 %" in table.markdown()
