"""Hearts in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dmcvr.phantom import HeartShape, random_shapes
from dmcvr.phantom.frame import Grid, axis_samples


def _shapes(seed: int) -> tuple[HeartShape, HeartShape]:
    return random_shapes(np.random.default_rng(seed))


def test_deformations_keep_volume_on_a_fine_grid() -> None:
    shape = replace(_shapes(0)[0], ovality=0.3, triangularity=0.15, tilt_x=0.5, bend_y_mm=8.0)
    grid = Grid(axis_samples(0, 150, 1.2), axis_samples(0, 150, 1.2), axis_samples(50, 225, 0.5))
    labels = shape.labels(*grid.mesh())
    voxel_ml = 1.2**2 * 0.5 / 1000
    assert (labels == 1).sum() * voxel_ml == pytest.approx(shape.lv_cavity_volume_ml(), rel=0.01)
    assert np.isin(labels, (1, 2)).sum() * voxel_ml == pytest.approx(shape.lv_epicardial_volume_ml(), rel=0.01)


def test_half_an_ellipsoid_has_the_volume_of_the_textbook() -> None:
    shape = replace(_shapes(0)[0], lv_equator_mm=0.0, lv_length_mm=80.0, lv_radius_mm=25.0)
    assert shape.lv_cavity_volume_ml() == pytest.approx(2 / 3 * np.pi * 25**2 * 80 / 1000)


def test_twenty_hearts_are_physiological() -> None:
    for seed in range(20):
        ed, es = _shapes(seed)
        assert 90 <= ed.lv_cavity_volume_ml() <= 220
        assert 80 <= ed.lv_mass_g() <= 200
        assert 100 <= ed.rv_cavity_volume_ml() <= 250
        assert 0.45 <= 1 - es.lv_cavity_volume_ml() / ed.lv_cavity_volume_ml() <= 0.70
        assert 0.35 <= 1 - es.rv_cavity_volume_ml() / ed.rv_cavity_volume_ml() <= 0.80
        assert es.lv_mass_g() == pytest.approx(ed.lv_mass_g(), rel=0.03)
        assert 5 <= ed.wall_mm < es.wall_mm <= 20
        assert 8 <= es.base_mm - ed.base_mm <= 15
        assert es.apex_z_mm == pytest.approx(ed.apex_z_mm)
        assert ed.rv_length_mm < ed.lv_length_mm
