"""How a picture lies, by a segmenter that is always right: what is left is the rules."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.geometry.orient import Axes, Orientation, find_orientation, from_scanner, turn

#: Right, down and normal of an oblique plane; and of one along the coordinate axes, as a header without a scanner has.
OBLIQUE = np.array([[0.6, 0, -0.8], [0, 1, 0], [0.8, 0, 0.6]])
PLACEHOLDER = np.eye(3)


def picture(count: int = 6) -> np.ndarray:
    """(N, 48, 48) a heart as it is shown, base first: cavity 1, wall 0, RV on the left -1 / 3, background -1."""
    a, b = np.mgrid[:48, :48]
    slices = []
    for n in range(count):
        radius = np.hypot(a - 26, b - 24)
        right = np.hypot(a - 12, b - 24) < 7 - n / 2
        slices.append(np.select([radius < 7 - n / 2, radius < 10 - n / 2, right], [1, 2, 3], 0))
    return np.stack(slices).astype(np.float32) / 1.5 - 1


def segment(images: np.ndarray) -> np.ndarray:
    """The labels that `picture` has drawn, whatever way the picture is turned."""
    labels = np.rint((images + 1) * 1.5).astype(int)
    return np.eye(4, dtype=np.float32)[labels].transpose(0, 3, 1, 2)


def axes_of(frame: np.ndarray) -> list[Axes]:
    signed = [frame[0], -frame[0], frame[1], -frame[1]]
    return [(u, v) for u in signed for v in signed if abs(u @ v) < 0.5]


def found(frame: np.ndarray, true: Axes) -> Orientation:
    axes = axes_of(frame)
    return find_orientation(turn(picture(), true, axes[0]), axes, frame[2], segment)


@pytest.mark.parametrize("true", [pair for pair in axes_of(OBLIQUE) if np.cross(*pair) @ OBLIQUE[2] < 0])
def test_a_scanner_s_frame_tells_all_eight_ways_apart(true: Axes) -> None:
    """Seen from the apex, the base lies behind the picture: right x down points to it, here against the normal."""
    orientation = found(OBLIQUE, true)
    np.testing.assert_allclose(orientation.u, true[0])
    np.testing.assert_allclose(orientation.v, true[1])
    assert orientation.mirrored is False
    np.testing.assert_array_equal(orientation.probabilities, segment(picture()))


@pytest.mark.parametrize(("right", "mirrored"), [(1, True), (-1, False)])
def test_without_a_scanner_the_picture_s_down_is_the_usual_one(right: int, mirrored: bool) -> None:
    """The RV says which way is right; which of the two mirror images is true, nothing says: the usual one is taken."""
    orientation = found(PLACEHOLDER, (np.array([right, 0, 0.0]), np.array([0, 1.0, 0])))
    np.testing.assert_allclose(orientation.u, [right, 0, 0])
    np.testing.assert_allclose(orientation.v, [0, -1, 0])
    assert orientation.mirrored is not mirrored


def test_a_stack_without_base_and_apex_cannot_tell() -> None:
    axes = axes_of(OBLIQUE)
    tube = np.repeat(picture(1), 6, axis=0)
    assert find_orientation(tube, axes, OBLIQUE[2], segment).mirrored is None


def test_turned_there_and_back() -> None:
    views, axes = np.random.default_rng(0).random((2, 5, 5), dtype=np.float32), axes_of(OBLIQUE)
    for wanted in axes:
        np.testing.assert_array_equal(turn(turn(views, axes[0], wanted), wanted, axes[0]), views)
    quarter = turn(views, (OBLIQUE[0], OBLIQUE[1]), (OBLIQUE[1], -OBLIQUE[0]))
    np.testing.assert_array_equal(quarter, np.flip(views.swapaxes(1, 2), axis=2))


def test_a_scanner_s_frame_is_oblique() -> None:
    assert from_scanner(OBLIQUE[2])
    assert not from_scanner(np.array([0, 0, 1.0]))
    assert not from_scanner(np.array([0, np.sin(0.02), np.cos(0.02)]))
