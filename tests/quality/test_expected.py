"""The Dice foretold, from exams that looked alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmcvr.quality.expected import SUREST, Remembered
from dmcvr.quality.signs import STEPS

KEYS = ("lv_cavity", "lv_myocardium", "rv_cavity")


def two_kinds() -> Remembered:
    """Good exams around one place, failures around another, far away."""
    rng = np.random.default_rng(0)
    signs = rng.normal(0, 0.3, (60, 3, len(STEPS)))
    signs[30:] += 8
    dice = np.clip(np.where(np.arange(60)[:, None] < 30, 0.92, 0.3) + rng.normal(0, 0.02, (60, 3)), 0, 1)
    return Remembered(signs, dice)


def test_an_exam_is_foretold_what_its_like_reached() -> None:
    memory = two_kinds()
    good, bad, between = (memory.expected(np.full((3, len(STEPS)), place)) for place in (0.0, 8.0, 4.0))
    for name in KEYS:
        assert good[name].dice == pytest.approx(0.92, abs=0.02)
        assert bad[name].dice == pytest.approx(0.3, abs=0.02)
        assert SUREST <= good[name].sd < 0.05
        assert between[name].sd >= good[name].sd


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    two_kinds().write(tmp_path / "m.npz")
    read = Remembered.read(tmp_path / "m.npz")
    np.testing.assert_allclose(read.signs, two_kinds().signs, atol=0.01)
    np.testing.assert_allclose(read.dice, two_kinds().dice, atol=0.001)


def test_the_packages_own_memory_tells_good_from_bad() -> None:
    own = Remembered.read()
    assert own.signs.shape[1:] == (3, len(STEPS))
    assert len(own.dice) > 100
    true, told = [], []
    for n in range(0, len(own.dice), 5):
        others = Remembered(np.delete(own.signs, n, axis=0), np.delete(own.dice, n, axis=0))
        told.append([e.dice for e in others.expected(own.signs[n]).values()])
        true.append(own.dice[n])
    assert np.corrcoef(np.ravel(true), np.ravel(told))[0, 1] > 0.7
