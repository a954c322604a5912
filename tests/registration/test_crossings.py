"""Along the line where planes meet: what a view says of slices that were moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.exam.view import View
from dmcvr.geometry.breath_hold import Crossing
from dmcvr.geometry.region import Frame
from dmcvr.registration.crossings import crossings

SIZE, PIXEL_MM = 96, 1.5
FRAME = Frame(np.array([10.0, -5, 30]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), SIZE, PIXEL_MM)
NORMAL = np.array([0, 0, 1.0])
HEIGHTS = np.arange(6) * 10.0
SHIFTS = np.random.default_rng(1).normal(0, 3, (6, 2))


def scene(points: np.ndarray) -> np.ndarray:
    """Grey values at world points (..., 3): a bright ball with a rough inside on a rough ground."""
    rough = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 64, 64)), 1.5)
    at = (points - FRAME.centre * (1, 1, 0) - (0, 0, 25)) / 3 + 32
    ground = ndimage.map_coordinates(rough / rough.std(), np.moveaxis(at, -1, 0), order=1, mode="nearest")
    away = np.linalg.norm((points - FRAME.centre * (1, 1, 0) - (0, 0, 25)) / (1, 1, 1.5), axis=-1)
    return np.asarray(0.15 * ground + np.tanh((28 - away) / 3), dtype=np.float32)


def view(name: str, angle_deg: float, *, moved_mm: float = 0.0, along_stack_mm: float = 0.0) -> View:
    """A plane along the stack through the middle, its heart moved along the plane's two axes."""
    line = np.array([np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg)), 0])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = line, NORMAL, np.cross(line, NORMAL)
    affine[:3, 3] = FRAME.centre * (1, 1, 0) - 80 * line - 30 * NORMAL
    i, j = np.meshgrid(np.arange(161), np.arange(111), indexing="ij")
    points = affine[:3, 3] + i[..., None] * line + j[..., None] * NORMAL
    return View(name, "ED", 5 + 3 * scene(points - moved_mm * line - along_stack_mm * NORMAL), affine)


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    """(1, N, S, S) slices of the scene, each moved by its shift."""
    a, b = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    images = []
    for height, shift in zip(HEIGHTS, SHIFTS, strict=True):
        affine = FRAME.affine_at(height, NORMAL)
        points = affine[:3, 3] + a[..., None] * affine[:3, 0] + b[..., None] * affine[:3, 1]
        images.append(scene(points - np.append(shift, 0)))
    return np.stack(images)[None]


def said(slices: np.ndarray, *views: View, near_mm: np.ndarray | None = None) -> list[Crossing]:
    near = np.zeros((6, 2)) if near_mm is None else near_mm
    return crossings(views, slices, ("ED",), slices[0] > 0, FRAME, HEIGHTS, NORMAL, near)


@pytest.mark.parametrize("angle_deg", [0, 60, 110])
@pytest.mark.parametrize("own", [(0.0, 0.0), (5.0, 0.0), (-3.0, 4.0)])
def test_places_along_the_line_but_for_the_view_s_own(
    slices: np.ndarray, angle_deg: float, own: tuple[float, float]
) -> None:
    seen = view("4-chamber", angle_deg, moved_mm=own[0], along_stack_mm=own[1])
    (crossing,) = said(slices, seen, near_mm=SHIFTS + np.random.default_rng(2).normal(0, 0.7, SHIFTS.shape))
    gap = crossing.place_mm - SHIFTS[crossing.slices] @ crossing.direction
    assert len(crossing.slices) >= 5
    np.testing.assert_allclose(gap - np.median(gap), 0, atol=0.9)
    assert np.abs(gap - np.median(gap)).mean() < 0.4


def test_planes_that_say_nothing(slices: np.ndarray) -> None:
    good = view("4-chamber", 0)
    flat = good.affine.copy()
    flat[:3, 1] = (0, 1, 0)  # parallel to the slices
    beside = good.affine.copy()
    beside[:3, 3] += (0, 200, 0)  # far from the heart
    assert said(slices, replace(good, affine=flat)) == []
    assert said(slices, replace(good, affine=beside)) == []
    assert said(slices, replace(good, phase="ES")) == []
    assert said(slices) == []


def test_phases_of_one_plane_speak_together(slices: np.ndarray) -> None:
    one = view("4-chamber", 0)
    both = np.concatenate([slices, slices])
    found = crossings(
        (one, replace(one, phase="ES")), both, ("ED", "ES"), slices[0] > 0, FRAME, HEIGHTS, NORMAL, SHIFTS
    )
    assert len(found) == 1
    np.testing.assert_allclose(found[0].place_mm, said(slices, one, near_mm=SHIFTS)[0].place_mm, atol=1e-6)
