"""The plain interpolations, on slices whose values between are known."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.fill.method import Acquired
from dmcvr.fill.plain import Cubic, Linear, Nearest, Shape
from dmcvr.geometry.plan import Plan
from dmcvr.labels.distances import shares

POSITIONS = np.array([0.0, 4.0, 10.0, 11.0])


def bright(images: np.ndarray) -> np.ndarray:
    """A segmenter that calls what is bright LV cavity."""
    return shares((images > 0).astype(np.uint8))


def constant(*values: float) -> np.ndarray:
    return np.stack([np.full((8, 8), value, np.float32) for value in values])


def discs(*radii: float) -> np.ndarray:
    away = np.hypot(*np.mgrid[-16:17, -16:17])
    return np.stack([(away < radius).astype(np.uint8) for radius in radii])


def acquired(images: np.ndarray, labels: np.ndarray | None = None) -> Acquired:
    given = np.zeros(images.shape, np.uint8) if labels is None else labels
    return Acquired(images, given, labels_given=labels is not None)


@pytest.mark.parametrize("method", [Linear, Cubic])
def test_a_ramp_stays_a_ramp(method: type[Linear | Cubic]) -> None:
    """Linear interpolation and a natural spline reproduce what is linear along the stack, at unequal gaps too."""
    wanted = np.linspace(0, 11, 23)
    dense = method(bright)(acquired(constant(*(POSITIONS / 11 - 0.5))), Plan.between(POSITIONS, wanted))
    np.testing.assert_allclose(dense.images[:, 3, 5], wanted / 11 - 0.5, atol=1e-6)
    np.testing.assert_array_equal(dense.scores.argmax(axis=1)[:, 3, 5], dense.images[:, 3, 5] > 0)
    np.testing.assert_array_equal(dense.round_trip[:, 0, 0], (POSITIONS / 11 - 0.5).astype(np.float32))


def test_a_spline_goes_through_the_slices_and_is_clipped() -> None:
    values = (-1.0, 1.0, 1.0, -0.5)
    dense = Cubic(bright)(acquired(constant(*values)), Plan.between(POSITIONS, np.array([*POSITIONS, 7.0])))
    np.testing.assert_allclose(dense.images[:4, 0, 0], values, atol=1e-6)
    assert dense.images[4, 0, 0] == 1  # the spline itself overshoots


def test_nearest_changes_half_way() -> None:
    plan = Plan.between(np.array([0.0, 10.0]), np.array([4.9, 5.0]))
    labels = np.stack([np.full((8, 8), 2), np.full((8, 8), 3)]).astype(np.uint8)
    dense = Nearest(bright)(acquired(constant(-0.5, 0.5), labels), plan)
    np.testing.assert_array_equal(dense.images[:, 0, 0], [-0.5, 0.5])
    np.testing.assert_array_equal(dense.scores.argmax(axis=1)[:, 0, 0], [2, 3])
    alone = Nearest(bright)(acquired(constant(-0.5, 0.5)), plan)
    np.testing.assert_array_equal(alone.scores.argmax(axis=1)[:, 0, 0], [0, 1])


def test_shapes_meet_at_the_mean_radius() -> None:
    labels = discs(6, 12)
    images = np.zeros(labels.shape, np.float32)
    plan = Plan.between(np.array([0.0, 10.0]), np.array([0.0, 5.0, 10.0]))
    dense = Shape(bright)(acquired(images, labels), plan)
    found = dense.scores.argmax(axis=1)
    np.testing.assert_array_equal(found[[0, 2]], labels)
    np.testing.assert_array_equal(found[1, 16] == 1, np.abs(np.arange(-16, 17)) < 9)


@pytest.mark.parametrize("method", [Linear, Cubic])
def test_given_labels_win_by_their_share(method: type[Linear | Cubic]) -> None:
    """Linearly and along a spline of two slices alike, the majority changes half way."""
    labels = discs(6, 12)
    plan = Plan.between(np.array([0.0, 10.0]), np.array([4.0, 6.0]))
    dense = method(bright)(acquired(np.zeros(labels.shape, np.float32), labels), plan)
    np.testing.assert_array_equal(dense.scores.argmax(axis=1), labels)
    np.testing.assert_allclose(dense.scores[0, :, 16, 26], [0.6, 0.4, 0, 0], atol=1e-6)
