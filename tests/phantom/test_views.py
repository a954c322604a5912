"""Long-axis views: where they lie, and that they are the same heart as the slices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.phantom.views import VIEWS


@pytest.fixture(scope="module")
def exam() -> Phantom:
    return make_phantom(3, Scan(long_axis=True, noise=0.0, bias=0.0, spacing_mm=12))


def test_every_plane_is_seen_in_every_phase(exam: Phantom) -> None:
    assert [(view.name, view.phase) for view in exam.views] == [(n, p) for p in ("ED", "ES") for n in VIEWS]
    for view in exam.views:
        assert np.linalg.norm(view.affine[:3, 0]) == pytest.approx(1.4)
        angle = abs(view.affine[:3, 2] @ exam.stack.normal) / np.linalg.norm(view.affine[:3, 2])
        assert angle < (0.75 if view.name == "RVOT" else 0.25)  # along the long axis


def test_a_view_shows_what_it_is_named_after(exam: Phantom) -> None:
    of = {
        view.name: np.bincount(view.labels.ravel(), minlength=4) for view in exam.views[:4] if view.labels is not None
    }
    for name in VIEWS[:3]:
        assert min(of[name][1:3]) * 1.4**2 > 800  # mm2
    assert of["4-chamber"][3] > of["2-chamber"][3]
    assert of["RVOT"][3] > of["RVOT"][1]
    planes = exam.valve_planes(0)
    for name, valve in (("4-chamber", "tricuspid"), ("3-chamber", "aortic"), ("RVOT", "pulmonary")):
        view = next(view for view in exam.views if view.name == name)
        assert abs((np.linalg.inv(view.affine) @ [*planes[valve][0], 1])[2]) < 12  # mm off the plane


def test_views_and_truth_are_one_heart(exam: Phantom) -> None:
    """Labels of a view are those of the truth there, and blood is bright in it."""
    for view in exam.views:
        assert view.labels is not None
        phase = exam.stack.phases.index(view.phase)
        np.testing.assert_array_equal(view.labels, exam.labels_on(view.affine, (*view.image.shape, 1), phase)[..., 0])
        inner = ndimage.binary_erosion(view.labels == (3 if view.name == "RVOT" else 1), iterations=3)
        assert np.median(view.image[inner]) > 0.65
        wall = ndimage.binary_erosion(view.labels == 2, iterations=2)
        assert not wall.any() or np.median(view.image[wall]) < 0.45


def test_a_view_s_breath_hold_moves_its_heart(exam: Phantom) -> None:
    scan = Scan(long_axis=True, noise=0.0, bias=0.0, spacing_mm=12, shift_mm=4.0)
    moved = make_phantom(3, scan)
    for still, shifted in zip(exam.views, moved.views, strict=True):
        assert still.labels is not None
        assert shifted.labels is not None
        np.testing.assert_array_equal(still.affine, shifted.affine)
        centres = [np.argwhere(view.labels > 0).mean(axis=0) for view in (still, shifted) if view.labels is not None]
        np.testing.assert_allclose((centres[1] - centres[0]) * 1.4, moved.view_shifts_mm[still.name], atol=0.3)
        follows = ndimage.shift(still.image, moved.view_shifts_mm[still.name] / 1.4, order=1, mode="nearest")
        inside = slice(15, -15), slice(15, -15)
        assert np.abs(shifted.image - follows)[inside].mean() < 0.02


def test_views_do_not_change_the_slices() -> None:
    scan = Scan(spacing_mm=14, shift_mm=2.0, size_px=100, pixel_mm=2.0)
    with_views, without = make_phantom(3, Scan(**{**vars(scan), "long_axis": True})), make_phantom(3, scan)
    assert without.views == ()
    assert with_views.shapes == without.shapes
    np.testing.assert_array_equal(with_views.stack.labels, without.stack.labels)
    np.testing.assert_array_equal(with_views.shifts_mm, without.shifts_mm)
