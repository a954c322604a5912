"""One breath-hold: what long-axis views add, who the others are moved to, and how slices slide."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.exams import make_stack

from dmcvr.geometry.breath_hold import BreathHolds, Crossing
from dmcvr.geometry.region import Frame, crop_images
from dmcvr.geometry.smooth_axis import Track

FRAME = Frame(np.array([23.25, 23.25, 0.0]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), 32, 1.5)
HEIGHTS = np.arange(8) * 10.0
TRUE = np.random.default_rng(3).normal(0, 2, (8, 2))


def structures(shifts: np.ndarray) -> list[Track]:
    rng = np.random.default_rng(0)
    lean = np.linspace(-1, 1, len(shifts))[:, None]
    return [
        Track(name, np.arange(len(shifts)), shifts + rng.uniform(-5, 5, 2) * lean + rng.normal(0, 0.2, shifts.shape),
              np.ones(len(shifts)))
        for name in ("cavity", "whole", "grey")
    ]  # fmt: skip


def lines(shifts: np.ndarray, *angles_deg: float) -> list[Crossing]:
    """Views in these directions, each with its own place; lines that show something else where a shift is nan."""
    found = []
    for n, angle in enumerate(np.deg2rad(angles_deg)):
        direction = np.array([np.cos(angle), np.sin(angle)])
        found.append(
            Crossing(np.arange(len(shifts)), direction, shifts @ direction + 7.0 * n, np.full(len(shifts), 0.5))
        )
    return found


def left_over(holds: BreathHolds, true: np.ndarray) -> float:
    gap = true - holds.shifts_mm
    return float(np.linalg.norm(gap - gap.mean(axis=0), axis=1).mean())


def test_views_tell_the_tilt_that_slices_do_not() -> None:
    tilted = TRUE + np.linspace(-4, 4, 8)[:, None] * (1.0, -0.5)
    alone = BreathHolds.of(structures(tilted), (), HEIGHTS, FRAME)
    both = BreathHolds.of(structures(tilted), lines(tilted, 10, 100), HEIGHTS, FRAME)
    assert left_over(both, tilted) < 0.6 < 1.0 < left_over(alone, tilted)
    assert both.sd_mm.mean() < alone.sd_mm.mean()
    assert both.sources[-1] == "2 long-axis views"


def test_one_view_tells_one_direction() -> None:
    one = BreathHolds.of(structures(TRUE), lines(TRUE, 0), HEIGHTS, FRAME)
    gap = np.abs((TRUE - one.shifts_mm) - (TRUE - one.shifts_mm).mean(axis=0)).mean(axis=0)
    assert gap[0] < 0.5
    assert one.sd_mm[:, 0].mean() < one.sd_mm[:, 1].mean()


def test_a_line_that_shows_something_else_does_not_count() -> None:
    views = lines(TRUE, 0, 90)
    wrong = views[0].place_mm.copy()
    wrong[3] += 11
    views[0] = replace(views[0], place_mm=wrong)
    assert left_over(BreathHolds.of(structures(TRUE), views, HEIGHTS, FRAME), TRUE) < 0.7


def test_views_do_not_move_what_lies_right() -> None:
    still = BreathHolds.of(structures(np.zeros((8, 2))), lines(np.zeros((8, 2)), 0, 90), HEIGHTS, FRAME)
    assert not still.moved
    assert not still.shifts_mm.any()
    assert "none was moved" in still.why


def test_the_larger_block_is_the_reference() -> None:
    jumped = np.where(np.arange(8)[:, None] < 5, 0.0, (14.0, 9.0))
    holds = BreathHolds.of(structures(jumped), (), HEIGHTS, FRAME)
    assert holds.reference == "the mean place of slices 1 to 5"
    np.testing.assert_allclose(holds.shifts_mm, jumped, atol=1.5)


def test_nothing_seen_nothing_moved() -> None:
    holds = BreathHolds.of([], (), HEIGHTS, FRAME)
    assert not holds.moved
    assert "No heart was found" in holds.why


@pytest.fixture
def holds() -> BreathHolds:
    found = np.array([[3.0, 0], [0, -1.5], [0, 0], [0, 0], [-3, 1.5]])
    return BreathHolds(
        found, np.ones((5, 2)), np.stack([FRAME.u, FRAME.v]), 9.0, "the mean place of all slices", ("x",)
    )


def test_a_slice_slides_in_its_plane_and_keeps_its_pixels(holds: BreathHolds) -> None:
    stack = make_stack()
    slid = holds.slide(stack)
    np.testing.assert_array_equal(slid.images, stack.images)
    np.testing.assert_allclose(slid.positions_mm, stack.positions_mm)
    np.testing.assert_allclose(stack.affines[0, :3, 3] - slid.affines[0, :3, 3], (3, 0, 0))
    before, after = (crop_images(part, FRAME)[0, 0] for part in (stack, slid))
    np.testing.assert_allclose(after[2:-4], before[4:-2], atol=1e-5)  # two pixels of 1.5 mm


def test_labels_slide_with_their_slices(holds: BreathHolds) -> None:
    away = np.hypot(*(np.indices((32, 32)) - 15.0))
    labels = np.repeat(np.select([away < 6, away < 10], [1, 2], 0).astype(np.uint8)[None], 5, axis=0)
    slid = holds.slide_labels(labels, 1.5)
    assert (slid[0, :-2] == labels[0, 2:]).mean() > 0.99
    assert (slid[1, :, 1:] == labels[1, :, :-1]).mean() > 0.99
    np.testing.assert_array_equal(slid[2], labels[2])
    assert slid.dtype == np.uint8
    part = replace(holds, found_mm=np.full((5, 2), 0.6))
    for c in (1, 2):
        moved = np.argwhere(part.slide_labels(labels, 1.5)[0] == c).mean(axis=0) - 15
        np.testing.assert_allclose(1.5 * moved, (-0.6, -0.6), atol=0.3)  # a part of a pixel


def test_without_evidence_nothing_slides(holds: BreathHolds) -> None:
    unsure = replace(holds, evidence=1.0)
    stack = make_stack()
    assert unsure.slide(stack) is stack
    assert not unsure.shifts_mm.any()
    assert unsure.found_mm.any()


def test_the_record(holds: BreathHolds) -> None:
    record = holds.record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["moved"]
    assert "up to 3.4 mm" in record["why"]
    assert record["slices"][0] == {
        "right_mm": 3.0,
        "down_mm": 0.0,
        "ras_mm": [3.0, 0.0, 0.0],
        "length_mm": 3.0,
        "sd_mm": 1.0,
    }
