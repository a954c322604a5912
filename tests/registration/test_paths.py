"""Along a deformation: closed forms of known fields, and a disc that is found half way."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.exams import disc
from scipy import ndimage

from dmcvr.geometry.plan import Plan
from dmcvr.registration.itk import paths_by_grey
from dmcvr.registration.paths import Paths, _linear, _meeting_points, paths_by_labels

PIXELS = np.indices((32, 32)).astype(float)


def test_a_constant_displacement_by_hand() -> None:
    """y comes from y - f D in the lower slice and from y + (1 - f) D in the upper one."""
    away = np.array([2.0, -3.0])[:, None, None]
    plan = Plan.between(np.array([0.0, 10.0]), np.array([0.0, 2.5, 10.0]))
    paths = Paths.along({np.intp(0): np.broadcast_to(away, (2, 32, 32))}, plan)
    for n, fraction in enumerate((0, 0.25, 1)):
        np.testing.assert_allclose(paths.below[n], PIXELS - fraction * away, atol=1e-12)
        np.testing.assert_allclose(paths.above[n], PIXELS + (1 - fraction) * away, atol=1e-12)
    ramp = (PIXELS[0] + 2 * PIXELS[1]).astype(np.float32)
    below, above = paths.warp(np.stack([ramp, 3 * ramp]), order=1)
    inner = (slice(4, -4), slice(4, -4))
    moved = ramp - 0.25 * (2 - 6)
    np.testing.assert_allclose(below[1][inner], moved[inner], atol=1e-4)
    np.testing.assert_allclose(above[1][inner], 3 * (moved + 2 - 6)[inner], atol=1e-4)
    blended = paths.blend(np.stack([ramp, 3 * ramp]), order=1)
    np.testing.assert_allclose(blended[1], 0.75 * below[1] + 0.25 * above[1], atol=1e-4)


def test_points_meet() -> None:
    """x + f D(x) = y, for a field that varies."""
    i, j = PIXELS
    field = np.stack([2 * np.sin(j / 8), np.cos(i / 9)])
    start, stop = (found[0] for found in _meeting_points(field[None], np.array([0]), np.array([0.25])))
    inner = (slice(None), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose((start + 0.25 * (stop - start))[inner], PIXELS[inner], atol=1e-3)
    there = [ndimage.map_coordinates(part, start, order=1, mode="nearest") for part in field]
    np.testing.assert_allclose(stop, start + there, atol=1e-6)  # pixels


def test_sampling_beyond_the_border_is_the_border_s() -> None:
    ramp = np.broadcast_to(np.arange(8.0, dtype=np.float32)[:, None], (2, 3, 8, 8))
    points = np.stack([np.linspace(-3, 10, 8)[:, None].repeat(8, axis=1), np.full((8, 8), 2.0)])
    found = _linear(ramp, np.array([1]), points[None])
    assert found.shape == (1, 3, 8, 8)
    np.testing.assert_allclose(found[0, 2, :, 0], np.clip(np.linspace(-3, 10, 8), 0, 7), rtol=1e-6)


def test_warping_is_scipy_s_sampling() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 2, 32, 32)).astype(np.float32)
    plan = Plan.between(np.arange(3.0), np.array([0.3, 1.5, 1.7]))
    paths = Paths(plan, *(PIXELS + rng.normal(scale=4, size=(3, 2, 32, 32)) for _ in range(2)))
    for order in (1, 3):
        sides = ((plan.lower, paths.below), (plan.upper, paths.above))
        for found, (slices, points) in zip(paths.warp(values, order=order), sides, strict=True):
            wanted = [
                [ndimage.map_coordinates(part, at, order=order, mode="nearest") for part in values[n]]
                for n, at in zip(slices, points, strict=True)
            ]
            np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("by_labels", [False, True])
def test_paths_end_at_the_slices(by_labels: bool) -> None:
    images = np.stack([disc((28, 30)), disc((34, 33)), disc((30, 30), 9)])
    plan = Plan.between(np.arange(3.0), np.array([0.0, 1.0, 2.0]))
    paths = paths_by_labels(images, (images > 0).astype(np.uint8), plan) if by_labels else paths_by_grey(images, plan)
    below, above = paths.warp(images)
    np.testing.assert_allclose(below[:2], images[:2], atol=1e-5)
    np.testing.assert_allclose(above[2], images[2], atol=1e-5)


def centre(image: np.ndarray) -> np.ndarray:
    return np.argwhere(image > 0).mean(axis=0)


@pytest.mark.parametrize("by_labels", [False, True])
def test_a_moving_disc_is_half_way_and_as_large(by_labels: bool) -> None:
    images = np.stack([disc((29, 30)), disc((35, 33))])
    plan = Plan.between(np.array([0.0, 8.0]), np.array([4.0]))
    paths = paths_by_labels(images, (images > 0).astype(np.uint8), plan) if by_labels else paths_by_grey(images, plan)
    between = paths.blend(images)[0]
    np.testing.assert_allclose(centre(between), (32, 31.5), atol=0.2)
    assert np.count_nonzero(between > 0) == pytest.approx(np.pi * 12**2, rel=0.03)


def test_far_hearts_are_found_across_wide_gaps() -> None:
    """16 pixels away: across 20 mm the search goes that far, across 8 mm it does not force what may not be."""
    images = np.stack([disc((24, 30)), disc((40, 34))])
    labels = (images > 0).astype(np.uint8)
    near, far = (
        paths_by_labels(images, labels, Plan.between(np.array([0.0, gap]), np.array([gap / 2]))).blend(images)[0]
        for gap in (8, 20)
    )
    np.testing.assert_allclose(centre(far), (32, 32), atol=0.3)
    assert np.count_nonzero(far > 0) == pytest.approx(np.pi * 12**2, rel=0.05)
    assert np.count_nonzero(near > 0) < 0.9 * np.pi * 12**2  # two ghosts that overlap


def test_labels_lead_where_grey_values_show_nothing() -> None:
    images = np.zeros((2, 64, 64), np.float32)
    labels = np.stack([disc((29, 30)) > 0, disc((33, 30)) > 0]).astype(np.uint8)
    plan = Plan.between(np.array([0.0, 8.0]), np.array([4.0]))
    below, above = paths_by_labels(images, labels, plan).warp(labels.astype(np.float32), order=1)
    for warped in (below[0], above[0]):
        np.testing.assert_allclose(centre(warped - 0.5), (31, 30), atol=0.5)
    nothing = paths_by_labels(images, 0 * labels, plan)
    np.testing.assert_allclose(nothing.below[0], np.indices((64, 64)), atol=1e-6)
