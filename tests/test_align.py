"""The strongest plain method: a heart that moves sideways is found half way."""

from __future__ import annotations

import numpy as np

from dmcvr.align import _meeting_points, demons
from dmcvr.baselines import Linear, Registration
from dmcvr.interpolate import Plan
from dmcvr.methods import Acquired


def disc(centre: tuple[float, float], radius: float = 12) -> np.ndarray:
    """(64, 64) a smooth disc in [-1, 1]."""
    i, j = np.indices((64, 64))
    return np.tanh((radius - np.hypot(i - centre[0], j - centre[1])) / 2).astype(np.float32)


def test_displacement_points_from_fixed_to_moving() -> None:
    field = demons(disc((30, 30)), disc((34, 27)))
    rim = np.abs(disc((30, 30))) < 0.5
    assert field.shape == (2, 64, 64)
    np.testing.assert_allclose(field[:, rim].mean(axis=1), (4, -3), atol=1)


def test_points_meet() -> None:
    """x + f D(x) = y, for a field that varies."""
    i, j = np.indices((32, 32)).astype(float)
    field = np.stack([2 * np.sin(j / 8), np.cos(i / 9)])
    start, stop = _meeting_points(field, 0.25)
    inner = (slice(None), slice(6, -6), slice(6, -6))
    np.testing.assert_allclose((start + 0.25 * (stop - start))[inner], np.indices((32, 32))[inner], atol=0.02)


def test_a_moving_disc_has_one_edge_half_way() -> None:
    images = np.stack([disc((28, 30)), disc((36, 34))])
    labels = (images > 0).astype(np.uint8)
    plan = Plan.between(np.array([0.0, 10.0]), np.array([5.0]))
    truth = disc((32, 32))

    def segment(x: np.ndarray) -> np.ndarray:
        return np.zeros((len(x), 4, 64, 64), np.float32)

    registered = Registration(segment)(Acquired(images, labels, labels_given=True), plan)
    linear = Linear(segment)(Acquired(images, labels, labels_given=True), plan)
    assert np.abs(registered.images[0] - truth).mean() < 0.3 * np.abs(linear.images[0] - truth).mean()
    found = registered.scores.argmax(axis=1)[0] == 1
    assert 2 * (found & (truth > 0)).sum() / (found.sum() + (truth > 0).sum()) > 0.97
    again = Registration(segment)(Acquired(images, labels, labels_given=True), plan)
    assert np.array_equal(again.images, registered.images)
