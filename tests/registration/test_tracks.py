"""Breath-holds found in synthetic exams, by labels, grey values and long-axis views."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.evaluate.phantom import shift_error_mm
from dmcvr.exam.stack import SliceStack
from dmcvr.geometry.breath_hold import BreathHolds
from dmcvr.geometry.locate import Located, Region
from dmcvr.geometry.region import Frame, crop_labels, label_centre, plane_axes
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.registration.tracks import find_breath_holds, find_tracks


@pytest.fixture(scope="module")
def disturbed() -> Phantom:
    return make_phantom(2, Scan(shift_mm=2.0, noise=0.04, long_axis=True))


def region_of(stack: SliceStack) -> tuple[Region, np.ndarray]:
    """The region and the labels on its grid; its axes are those of the pixels."""
    assert stack.labels is not None
    i, j = (stack.affines[0, :3, axis] / stack.pixel_mm[axis] for axis in (0, 1))
    frame = Frame(label_centre(stack, stack.labels), i, j, 128, 1.5)
    return Region.of(stack, Located(frame, 1.0, True, None)), crop_labels(stack, stack.labels, frame)


def found_in(exam: Phantom, *, views: bool) -> BreathHolds:
    region, labels = region_of(exam.stack)
    return find_breath_holds(exam.stack, region, labels, exam.views if views else ())


def with_heart(exam: Phantom) -> np.ndarray:
    assert exam.stack.labels is not None
    whole = (exam.stack.labels == 1) | (exam.stack.labels == 2)
    return np.flatnonzero(whole.sum(axis=(2, 3)).max(axis=0) * np.prod(exam.stack.pixel_mm) > 150)


def test_most_of_the_shifts_is_found_without_views(disturbed: Phantom) -> None:
    seen = with_heart(disturbed)
    true = disturbed.shifts_mm[seen]
    found = found_in(disturbed, views=False)
    assert found.evidence > 10
    assert shift_error_mm(found.shifts_mm[seen], true) < 0.65 * shift_error_mm(0 * true, true)


def test_and_nearly_all_with_them(disturbed: Phantom) -> None:
    seen = with_heart(disturbed)
    found = found_in(disturbed, views=True)
    assert shift_error_mm(found.shifts_mm[seen], disturbed.shifts_mm[seen]) < 1.0
    assert found.sources[-1].endswith("long-axis views")


def test_hearts_in_place_stay_there(phantom: Phantom) -> None:
    found = found_in(phantom, views=False)
    assert not found.moved
    assert not found.shifts_mm.any()


def test_one_answer_whatever_way_the_file_is_stored(disturbed: Phantom) -> None:
    """Slices shuffled and axes flipped in the file: the same shifts in the world."""
    stack = disturbed.stack
    region, labels = region_of(stack)
    here = find_breath_holds(stack, region, labels)
    axes = plane_axes(stack)[5]
    frame = Frame(region.located.frame.centre, *axes, 128, 1.5)
    assert stack.labels is not None
    turned = Region.of(stack, Located(frame, 1.0, True, None))
    there = find_breath_holds(stack, turned, crop_labels(stack, stack.labels, frame))
    np.testing.assert_allclose(there.world_mm, here.world_mm, atol=0.25)


def test_too_little_heart_gives_no_track() -> None:
    images = np.random.default_rng(0).normal(size=(1, 6, 32, 32)).astype(np.float32)
    labels = np.zeros((1, 6, 32, 32), np.uint8)
    assert find_tracks(images, labels, 1.5) == []
    labels[0, 2, 8:20, 8:20] = 1
    assert find_tracks(images, labels, 1.5) == []  # in one slice alone


def test_a_phase_without_heart_does_not_matter() -> None:
    grid = np.indices((64, 64))
    images = np.zeros((2, 5, 64, 64), np.float32)
    labels = np.zeros((2, 5, 64, 64), np.uint8)
    for n in range(5):
        away = np.hypot(grid[0] - 30 - n, grid[1] - 32)
        images[0, n] = np.tanh((12 - away) / 2)
        labels[0, n] = np.select([away < 8, away < 12], [1, 2], 0)
    for track in find_tracks(images, labels, 1.5):
        np.testing.assert_allclose(np.diff(track.place_mm, axis=0), [[1.5, 0]] * 4, atol=0.1)
