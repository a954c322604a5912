"""Ends over a heartbeat: smooth, periodic, within what the slices allow."""

from __future__ import annotations

import numpy as np

from dmcvr.anatomy.heartbeat import smooth, steady


def test_what_lies_still_is_one_place() -> None:
    estimate = 50 + np.random.default_rng(0).normal(0, 2, 20)
    found = steady(estimate, np.full(20, 2.0), np.full(20, 40.0), np.full(20, 60.0), step_mm=0.5)
    assert np.ptp(found) < 1.5
    assert abs(found.mean() - estimate.mean()) < 0.1


def test_bounds_win() -> None:
    low = np.array([40.0, 52.0])
    found = steady(np.full(2, 45.0), np.full(2, 1.0), low, np.full(2, 60.0), step_mm=0.5)
    assert (found >= low - 1e-5).all()
    assert found[0] > 49
    assert np.array_equal(smooth(np.full(2, 45.0), np.ones(2), low, np.full(2, 60.0), excursion_mm=12), [45, 52])


def test_the_base_crosses_slices_smoothly() -> None:
    """Each phase tells no more than between which slices the base lies."""
    true = 8 - 7 * np.cos(2 * np.pi * np.arange(24) / 24)
    low = 10 * np.floor(true / 10)
    found = smooth(low + 5, np.full(24, 2.9), low, low + 10, excursion_mm=12)
    steps = low + 5  # all that one phase alone can say
    assert np.sqrt(np.mean((found - true) ** 2)) < 0.7 * np.sqrt(np.mean((steps - true) ** 2))
    assert np.abs(np.diff(found)).max() < 3 < np.abs(np.diff(steps)).max()
    turned = smooth(np.roll(low, 5) + 5, np.full(24, 2.9), np.roll(low, 5), np.roll(low, 5) + 10, excursion_mm=12)
    np.testing.assert_allclose(turned, np.roll(found, 5), atol=1e-3)  # no phase is the first
