"""Given labels are followed: exactly at their slices, by half the difference half way."""

from __future__ import annotations

import numpy as np

from dmcvr.fill.given import follow_given
from dmcvr.geometry.plan import Plan
from dmcvr.labels.distances import shares

PLAN = Plan.between(np.array([0.0, 10.0]), np.array([5.0]))


def discs(*radii: float) -> np.ndarray:
    away = np.hypot(*np.mgrid[-24:25, -24:25])
    return np.stack([(away < radius).astype(np.uint8) for radius in radii])


def test_the_difference_is_carried_along() -> None:
    """Ours is 8, given are 8 and 12, and between we see 10: half the difference on top of that is 12."""
    scores = shares(discs(8, 8, 10))
    found = follow_given(scores, discs(8, 12), PLAN).argmax(axis=1)
    np.testing.assert_array_equal(found[:2], discs(8, 12))
    np.testing.assert_array_equal(found[2, 24] == 1, np.abs(np.arange(-24, 25)) < 12)


def test_where_both_agree_nothing_changes() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 16, 16)).astype(np.uint8)
    np.testing.assert_array_equal(follow_given(shares(labels), labels[:2], PLAN).argmax(axis=1), labels)
