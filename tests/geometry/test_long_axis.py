"""A long-axis plane, turned upright."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.geometry.long_axis import PIXEL_MM, Upright, normalised, sampled

AXIS = np.array([0.6, 0.64, -0.48])
MIDDLE = np.array([10.0, -20.0, 30.0])
RIGHT = np.array([-1.0, 0.4, 0.0])


def plane(turn_deg: float, flip: int = 1, off_mm: float = 3.0) -> np.ndarray:
    """A picture's place, along the axis, its own axes turned in its plane."""
    across = np.cross(AXIS, RIGHT)
    across /= np.linalg.norm(across)
    first = np.cross(across, AXIS)
    turn = np.deg2rad(turn_deg)
    affine = np.eye(4)
    affine[:3, 0] = 1.2 * (np.cos(turn) * AXIS + np.sin(turn) * first)
    affine[:3, 1] = flip * 1.2 * (-np.sin(turn) * AXIS + np.cos(turn) * first)
    affine[:3, 2] = across
    affine[:3, 3] = MIDDLE + off_mm * across - 40 * affine[:3, 0] - 50 * affine[:3, 1]
    return affine


@pytest.mark.parametrize(("turn", "flip"), [(0, 1), (77, 1), (200, -1)])
def test_however_it_is_stored_it_is_the_same_upright(turn: float, flip: int) -> None:
    upright, usual = (Upright.of(plane(*how), AXIS, MIDDLE, RIGHT) for how in ((turn, flip), (0, 1)))
    assert upright is not None
    assert usual is not None
    np.testing.assert_allclose(upright.affine, usual.affine, atol=1e-9)
    right, down, across = upright.affine[:3, :3].T
    np.testing.assert_allclose(down, AXIS * PIXEL_MM, atol=1e-9)
    assert right @ RIGHT < 0
    assert np.linalg.norm(across) == pytest.approx(1)
    centre = upright.points()[:, 63:65, 63:65].mean(axis=(1, 2))
    assert np.linalg.norm(centre - MIDDLE) == pytest.approx(3.0)


def test_a_short_axis_plane_is_no_view() -> None:
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = np.cross(AXIS, [1, 0, 0]), np.cross(AXIS, np.cross(AXIS, [1, 0, 0]))
    assert Upright.of(affine, AXIS, MIDDLE, RIGHT) is None


def test_a_moved_picture_has_its_values_elsewhere() -> None:
    upright = Upright.of(plane(0), AXIS, MIDDLE, RIGHT)
    assert upright is not None
    rng = np.random.default_rng(0)
    picture = rng.random((90, 110)).astype(np.float32)
    here = sampled(picture, plane(0), upright.points())
    there = sampled(picture, plane(0), upright.moved(np.array([3.0, -4.5])).points())
    np.testing.assert_allclose(there[:-2, 3:], here[2:, :-3], atol=1e-5)
    flat = plane(0)
    flat[:3, 2] = flat[:3, 0]  # a picture's third axis may be anything
    np.testing.assert_allclose(sampled(picture, flat, upright.points()), here, atol=1e-5)


def test_greys_by_percentiles() -> None:
    greys = np.linspace(100, 300, 2001, dtype=np.float32)
    found = normalised(greys)
    assert (found.min(), found.max()) == (-1, 1)
    assert found[1000] == pytest.approx(0, abs=1e-4)
    assert np.isfinite(normalised(np.zeros(4, np.float32))).all()
