"""Long-axis pictures: their names, the heartbeat, and whether they are of this heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dmcvr.exam.view import View, misplaced, nearest_in_beat, numbered, planes_of

#: Slices 8 mm apart along z, 32 x 30 pixels of 2 mm from the origin on.
SIZE = (32, 30)
SLICES = np.stack([np.diag([2.0, 2.0, 1.0, 1.0]) + 8 * n * np.eye(4)[[2]].T @ np.eye(4)[[3]] for n in range(5)])


def upright(x_mm: float = 30.0, *, tilt_deg: float = 90.0) -> np.ndarray:
    """A plane through y and an axis at this angle to the slices; 40 x 40 pixels of 2 mm around their middle."""
    up = np.array([np.cos(np.radians(tilt_deg)), 0, np.sin(np.radians(tilt_deg))])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (0, 2, 0), 2 * up, np.cross((0, 1, 0), up)
    affine[:3, 3] = np.array([x_mm, 30.0, 16.0]) - affine[:3, :2] @ [19.5, 19.5]
    return affine


def test_the_nearest_picture_goes_round_the_beat() -> None:
    own = np.arange(8) / 8
    np.testing.assert_array_equal(nearest_in_beat(np.array([0, 0.13, 0.49, 0.95, 1.0]), own), [0, 1, 4, 0, 0])
    np.testing.assert_array_equal(nearest_in_beat(np.array([0.1, 0.5]), np.array([0.0, 0.3])), [0, -1])
    assert nearest_in_beat(np.array([]), own).shape == (0,)


def test_names_are_once_each_and_plain() -> None:
    assert numbered(["a", "a", "a-2", "a"]) == ["a", "a-2", "a-2-2", "a-3"]
    image = np.zeros((4, 4), np.float32)
    one = View("4-chamber", "0", image, upright())
    views = [one, replace(one, affine=upright(31)), replace(one, phase="1"), replace(one, name="../Smith, J")]
    planes = planes_of(views)
    assert list(planes) == ["4-chamber", "4-chamber-2", "Smith-J"]
    assert [view.phase for view in planes["4-chamber"]] == ["0", "1"]


@pytest.mark.parametrize(
    ("affine", "why"),
    [
        (upright(), ""),
        (upright(tilt_deg=60), ""),
        (upright(x_mm=-20), "beside"),
        (upright(x_mm=90), "beside"),
        (upright(tilt_deg=20), "20 degrees to the short axis"),
        (np.array([[0, 0, 1.0, 30], [2, 0, 0, 0], [0, 2, 0, 45], [0, 0, 0, 1]]), "beside"),  # above the last gap
        (np.array([[0, 0, 1.0, 30], [2, 0, 0, 0], [0, 2, 0, 37], [0, 0, 0, 1]]), ""),  # within it
    ],
)
def test_a_plane_beside_or_along_the_stack_is_none(affine: np.ndarray, why: str) -> None:
    said = misplaced(affine, (40, 40), SLICES, SIZE)
    assert why in said
    assert bool(why) == bool(said)


def test_carried_and_negative() -> None:
    view = View("4-chamber", "0", np.array([[0, 3], [1, 2]], np.float32), upright())
    world = np.diag([1.0, 1.0, -1.0, 1.0])
    point = np.array([1.0, 2.0, 0, 1])
    np.testing.assert_allclose(view.carried(world).affine @ point, world @ view.affine @ point)
    np.testing.assert_array_equal(view.negative().image, [[3, 0], [2, 1]])
    np.testing.assert_allclose(np.abs(view.normal), [1, 0, 0], atol=1e-12)
