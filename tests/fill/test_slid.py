"""The exam as it is filled: moved alike in picture and labels, or left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dmcvr.exam.stack import SliceStack
from dmcvr.fill.method import Acquired
from dmcvr.fill.slid import Slid
from dmcvr.geometry.locate import Located, Region
from dmcvr.geometry.region import Frame, crop_labels, label_centre
from dmcvr.phantom import Phantom, Scan, make_phantom


def prepared(stack: SliceStack, *, given: bool) -> Slid:
    assert stack.labels is not None
    i, j = (stack.affines[0, :3, axis] / stack.pixel_mm[axis] for axis in (0, 1))
    frame = Frame(label_centre(stack, stack.labels), i, j, 128, 1.5)
    region = Region.of(stack, Located(frame, 1.0, True, None))
    labels = crop_labels(stack, stack.labels, frame)
    acquired = tuple(Acquired(*phase, labels_given=given) for phase in zip(region.images, labels, strict=True))
    return Slid(stack if given else stack.without_labels(), region, acquired)


@pytest.fixture(scope="module")
def disturbed() -> Phantom:
    return make_phantom(2, Scan(shift_mm=3.0))


@pytest.mark.parametrize("given", [True, False])
def test_picture_and_labels_move_together(disturbed: Phantom, given: bool) -> None:
    before = prepared(disturbed.stack, given=given)
    after = before.slide()
    assert after.holds is not None
    assert after.holds.moved
    assert after.region.located is before.region.located
    assert after.region.scale is before.region.scale
    for p, phase in enumerate(after.acquired):
        assert phase.labels_given is given
        for n in range(len(phase.labels)):
            old, new = before.acquired[p].labels[n] == 2, phase.labels[n] == 2
            if old.sum() > 100:
                assert new.sum() == pytest.approx(old.sum(), rel=0.04)
                moved = (np.argwhere(new).mean(axis=0) - np.argwhere(old).mean(axis=0)) * 1.5
                np.testing.assert_allclose(moved, -after.holds.shifts_mm[n], atol=0.6)
                greys = [part.acquired[p].images[n][mask].mean() for part, mask in ((before, old), (after, new))]
                assert greys[1] == pytest.approx(greys[0], abs=0.06)


def test_what_lies_right_is_not_touched(phantom: Phantom) -> None:
    before = prepared(phantom.stack, given=True)
    after = before.slide()
    assert after.stack is before.stack
    assert after.acquired is before.acquired
    assert after.holds is not None
    assert not after.holds.moved


def test_one_shift_for_all_phases(disturbed: Phantom) -> None:
    """Told by both, or by either alone: nearly the same, and the order of phases does not matter."""
    both = prepared(disturbed.stack, given=True).slide().holds
    turned = prepared(disturbed.stack.select_phases([1, 0]), given=True).slide().holds
    assert both is not None
    assert turned is not None
    np.testing.assert_allclose(turned.shifts_mm, both.shifts_mm, atol=1e-3)
    one = replace(prepared(disturbed.stack.select_phases([0]), given=True)).slide().holds
    assert one is not None
    assert np.abs(one.shifts_mm - both.shifts_mm).mean() < 0.6
