"""A heart that moves sideways is found half way: by its grey values, and by its labels too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmcvr.fill.method import Acquired
from dmcvr.fill.plain import Linear, Registration
from dmcvr.geometry.plan import Plan
from dmcvr.registration.demons import FAR, NEAR, register
from dmcvr.registration.paths import _meeting_points, demons, guided_paths


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


@pytest.mark.parametrize("levels", [NEAR, FAR])
def test_ours_points_from_fixed_to_moving(levels: tuple[tuple[int, int], ...]) -> None:
    """Of two items and two channels, one of which is empty; no item sees another."""
    pairs = [(disc((30, 30)), disc((33, 28))), (disc((36, 30)), disc((36, 30)))]
    fixed, moving = (torch.from_numpy(np.stack([np.stack([p[k], 0 * p[k]]) for p in pairs])) for k in (0, 1))
    field = register(fixed, moving, levels)
    rim = np.abs(disc((30, 30))) < 0.5
    assert field.shape == (2, 2, 64, 64)
    np.testing.assert_allclose(field[0, :, rim].mean(dim=1), (3, -2), atol=0.7)
    assert field[1].abs().max() < 1e-4
    torch.testing.assert_close(register(fixed[:1], moving[:1], levels), field[:1], rtol=1e-4, atol=1e-4)


def test_far_hearts_are_found_across_wide_gaps() -> None:
    images = np.stack([disc((24, 30)), disc((40, 34))])
    labels = (images > 0).astype(np.uint8)
    near, far = (
        guided_paths(images, labels, Plan.between(np.array([0.0, gap]), np.array([gap / 2]))) for gap in (8, 20)
    )
    truth = disc((32, 32))
    errors = [np.abs(found.blend(images)[0] - truth).mean() for found in (near, far)]
    assert errors[1] < 0.5 * errors[0]


def test_labels_lead_where_grey_values_show_nothing() -> None:
    images = np.zeros((2, 64, 64), np.float32)
    labels = np.stack([disc((29, 30)) > 0, disc((33, 30)) > 0]).astype(np.uint8)
    plan = Plan.between(np.array([0.0, 8.0]), np.array([4.0]))
    below, above = guided_paths(images, labels, plan).warp(labels.astype(np.float32), order=1)
    apart, before = (np.abs(a - b).sum() for a, b in ((below[0], above[0]), labels.astype(np.float32)))
    assert apart < 0.4 * before
    assert np.array_equal(guided_paths(images, 0 * labels, plan).below[0], np.indices((64, 64)))
