"""The translation between two slices points from fixed to moving, whatever their brightness."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.exams import disc
from scipy import ndimage

from dmcvr.registration.translation import translations


@pytest.mark.parametrize("shift", [(2.5, -1.5), (-0.3, 0.2), (6.0, 4.0)])
def test_a_shift_is_found_through_brightness_and_contrast(shift: tuple[float, float]) -> None:
    fixed = disc((30, 33), 9) - 0.5 * disc((36, 27), 5)
    moving = 0.4 * ndimage.shift(fixed, shift, order=3, mode="nearest") + 0.3
    found = translations(fixed[None], moving[None], np.ones((1, 64, 64), np.float32), np.zeros((1, 2)))
    np.testing.assert_allclose(found[0], shift, atol=0.1)


def test_what_lies_outside_the_weights_does_not_count() -> None:
    heart, chest = disc((30, 30), 8), disc((55, 30), 6)
    fixed, moving = heart + chest, disc((33, 28), 8) + chest
    weights = (np.indices((64, 64))[0] < 44).astype(np.float32)
    found = translations(fixed[None], moving[None], weights[None], np.zeros((1, 2)))
    np.testing.assert_allclose(found[0], (3, -2), atol=0.15)


def test_no_item_of_a_batch_sees_another_and_nothing_moves_by_itself() -> None:
    fixed = np.stack([disc((30, 30)), disc((34, 30)), np.zeros((64, 64), np.float32)])
    moving = np.stack([disc((31, 30)), disc((34, 30)), np.zeros((64, 64), np.float32)])
    weights, start = np.ones_like(fixed), np.zeros((3, 2))
    found = translations(fixed, moving, weights, start)
    np.testing.assert_allclose(found[1:], 0, atol=1e-3)
    np.testing.assert_allclose(translations(fixed[:1], moving[:1], weights[:1], start[:1]), found[:1], atol=1e-4)
