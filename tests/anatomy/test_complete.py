"""Whole hearts from slices: closed, in one piece, true to the slices, nearer to the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.anatomy.complete import Anatomy
from dmcvr.anatomy.coverage import Coverage
from dmcvr.fill.method import Acquired
from dmcvr.fill.plain import Shape
from dmcvr.geometry.plan import Plan
from dmcvr.phantom import Phantom
from dmcvr.quality.metrics import dice


def cropped(phantom: Phantom) -> np.ndarray:
    """(P, N, I, J) labels on the stack's own pixels."""
    assert phantom.stack.labels is not None
    return phantom.stack.labels


def filled(phantom: Phantom, labels: np.ndarray, positions: np.ndarray, wanted: np.ndarray, phase: int) -> np.ndarray:
    images = np.zeros(labels.shape[1:], np.float32)
    method = Shape(lambda image: image)
    return method(Acquired(images, labels[phase], labels_given=True), Plan.between(positions, wanted)).scores


def labels_at(phantom: Phantom, wanted: np.ndarray, phase: int) -> np.ndarray:
    stack = phantom.stack
    affine = stack.affines[0].copy()
    affine[:3, 2] = stack.normal * (wanted[1] - wanted[0])
    affine[:3, 3] += stack.normal * (wanted[0] - affine[:3, 3] @ stack.normal)
    return np.moveaxis(phantom.labels_on(affine, (*stack.images.shape[2:], len(wanted)), phase), 2, 0)


@pytest.mark.parametrize("missing", [0, 3])
def test_a_heart_is_whole_and_nearer_to_the_truth(phantom: Phantom, missing: int) -> None:
    """With all slices, and without those of the apex."""
    stack = phantom.stack
    pixel = float(stack.pixel_mm[0])
    everywhere = cropped(phantom)
    anatomy = Anatomy.of(everywhere, stack.positions_mm, pixel)
    keep = slice(None, len(stack.positions_mm) - missing) if anatomy.sign > 0 else slice(missing, None)
    labels, positions = everywhere[:, keep], stack.positions_mm[keep]
    anatomy = Anatomy.of(labels, positions, pixel)
    assert anatomy.reach_mm is not None
    low, high = min(anatomy.reach_mm[0], positions[0] - 5), max(anatomy.reach_mm[1], positions[-1] + 5)
    wanted = np.arange(low - 2, high + 4, 2.0)
    for phase in range(2):
        scores = filled(phantom, labels, positions, wanted, phase)
        done = anatomy.complete(scores, wanted, phase)
        before, after = (part.argmax(axis=1) for part in (scores, done.scores))
        truth = labels_at(phantom, wanted, phase)
        if missing == 0:
            for label in (1, 2, 3):
                assert dice(after == label, truth == label) >= dice(before == label, truth == label) - 1e-3
        assert dice(after == 1, truth == 1) > 0.955
        true_ml = phantom.shapes[phase].lv_cavity_volume_ml()
        assert (after == 1).sum() * 2 * pixel**2 / 1000 == pytest.approx(true_ml, rel=0.04)
        for part in (after == 1, np.isin(after, (1, 2)), after == 3):
            pieces, count = ndimage.label(part)
            assert np.bincount(pieces.ravel())[1:].max() > 0.995 * part.sum(), count
        apical = wanted * anatomy.sign > np.median(wanted * anatomy.sign)
        grown = ndimage.binary_dilation(after == 1)
        assert not (grown & ~np.isin(after, (1, 2)))[apical].any()  # muscle all around, under a cap
        assert not np.isin(after[[0, -1]], (1, 2)).any()
        assert done.completed.any()
        assert not done.completed[:, :4].any()


def test_acquired_slices_and_what_lies_between_whole_ones_stay(phantom: Phantom) -> None:
    stack, labels = phantom.stack, cropped(phantom)
    anatomy = Anatomy.of(labels, stack.positions_mm, float(stack.pixel_mm[0]))
    scores = filled(phantom, labels, stack.positions_mm, stack.positions_mm, 0)
    done = anatomy.complete(scores, stack.positions_mm, 0)
    np.testing.assert_array_equal(done.scores, scores)
    assert not done.completed.any()
    middle = stack.positions_mm[len(stack.positions_mm) // 2] + np.array([2.0, 4.0])
    scores = filled(phantom, labels, stack.positions_mm, middle, 0)
    np.testing.assert_array_equal(anatomy.complete(scores, middle, 0).scores, scores)


def test_a_flipped_stack_gives_the_same_heart(phantom: Phantom) -> None:
    stack, labels = phantom.stack, cropped(phantom)
    pixel, wanted = float(stack.pixel_mm[0]), np.linspace(stack.positions_mm[0], stack.positions_mm[-1], 30)
    scores = filled(phantom, labels, stack.positions_mm, wanted, 0)
    one = Anatomy.of(labels, stack.positions_mm, pixel).complete(scores, wanted, 0)
    back = Anatomy.of(labels[:, ::-1], -stack.positions_mm[::-1], pixel).complete(scores[::-1], -wanted[::-1], 0)
    np.testing.assert_allclose(back.scores[::-1], one.scores, atol=1e-4)


def test_no_heart_is_not_completed() -> None:
    positions = 10 * np.arange(4.0)
    anatomy = Anatomy.of(np.zeros((1, 4, 16, 16), np.uint8), positions, 1.5)
    assert anatomy.reach_mm is None
    scores = np.zeros((4, 4, 16, 16), np.float32)
    scores[:, 0] = 1
    np.testing.assert_array_equal(anatomy.complete(scores, positions + 3, 0).scores, scores)
    assert Coverage.of(anatomy, completed=True).cavity_ml == 0


def test_what_is_missing_is_told(phantom: Phantom) -> None:
    stack, labels = phantom.stack, cropped(phantom)
    pixel = float(stack.pixel_mm[0])
    whole = Anatomy.of(labels, stack.positions_mm, pixel)
    assert Coverage.of(whole, completed=True) == Coverage(completed=True)
    keep = slice(None, -4) if whole.sign > 0 else slice(4, None)
    cut = Coverage.of(Anatomy.of(labels[:, keep], stack.positions_mm[keep], pixel), completed=False)
    end = stack.positions_mm[keep][-1 if whole.sign > 0 else 0]
    fine = end + whole.sign * np.arange(0.5, 60, 1.0)
    truth = labels_at(phantom, fine, 0)
    cavity_ml, muscle_ml = ((truth == label).sum() * pixel**2 / 1000 for label in (1, 2))
    assert cut.cavity_ml == pytest.approx(cavity_ml, rel=0.25)
    assert cut.muscle_ml == pytest.approx(muscle_ml, rel=0.35)
    assert cut.open_mm > 15
