"""Hearts in closed form: volumes, planes, and what a beat does to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.phantom import Heart, HeartShape
from dmcvr.phantom.heart import GROUPS, IN_TURN, SYSTOLE, Kind


def _heart(seed: int, kind: Kind) -> Heart:
    return Heart.random(np.random.default_rng(seed), kind)


@pytest.fixture(scope="module")
def normal() -> tuple[HeartShape, HeartShape]:
    ed, es = _heart(0, "normal").beat(2)
    return ed, es


def test_an_ellipsoid_cut_by_a_level_plane_has_the_volume_of_the_textbook(
    normal: tuple[HeartShape, HeartShape],
) -> None:
    shape = replace(normal[0], mitral_tilt_deg=0.0, aortic_tilt_deg=0.0, septal_excess=0.0, lv_equator_mm=0.0)
    shape = replace(
        shape, lv_length_mm=80.0, lv_radius_mm=25.0, ovality=0.3, triangularity=0.1, tilt_x=0.3, bend_y_mm=5.0
    )
    assert shape.lv_cavity_volume_ml() == pytest.approx(2 / 3 * np.pi * 25**2 * 80 / 1000, rel=0.01)


def test_volumes_are_those_of_finer_voxels(normal: tuple[HeartShape, HeartShape]) -> None:
    for shape in normal:
        labels = shape.labels(*shape.box(0.8).mesh())
        voxels = [float((labels == c).sum()) * 0.8**3 / 1000 for c in (1, 2, 3)]
        exact = (shape.lv_cavity_volume_ml(), shape.lv_myocardial_volume_ml(), shape.rv_cavity_volume_ml())
        np.testing.assert_allclose(voxels, exact, rtol=0.02)


@pytest.mark.parametrize("kind", GROUPS)
def test_hearts_of_every_kind_are_physiological(kind: Kind) -> None:
    group = GROUPS[kind]
    for seed in range(3):
        heart = _heart(seed, kind)
        ed, es = heart.beat(2)
        fraction = 1 - es.lv_cavity_volume_ml() / ed.lv_cavity_volume_ml()
        assert 0.96 * group.edv_ml[0] <= ed.lv_cavity_volume_ml() <= 1.04 * group.edv_ml[1]
        assert group.ejection_fraction[0] - 0.02 <= fraction <= group.ejection_fraction[1] + 0.02
        assert 0.15 <= 1 - es.rv_cavity_volume_ml() / ed.rv_cavity_volume_ml() <= 0.75
        assert es.lv_mass_g() == pytest.approx(ed.lv_mass_g(), rel=0.04)
        assert 4 <= ed.wall_mm < es.wall_mm <= 26
        assert es.base_mm - ed.base_mm == pytest.approx(heart.descent_mm)
        assert es.apex_z_mm == pytest.approx(ed.apex_z_mm)
        assert ed.rv_length_mm < ed.lv_length_mm


def test_kinds_differ_as_they_should() -> None:
    of = {kind: _heart(1, kind).relaxed for kind in GROUPS}
    assert of["dilated"].lv_cavity_volume_ml() > of["normal"].lv_cavity_volume_ml()
    assert of["hypertrophic"].wall_mm > of["normal"].wall_mm
    right_to_left = {kind: shape.rv_cavity_volume_ml() / shape.lv_cavity_volume_ml() for kind, shape in of.items()}
    assert max(right_to_left, key=lambda kind: right_to_left[kind]) == "right"
    assert set(IN_TURN) == set(GROUPS)


def test_a_cavity_ends_at_its_valves_and_its_apex_is_closed(normal: tuple[HeartShape, HeartShape]) -> None:
    for shape in normal:
        grid = shape.box(1.0)
        x, y, z = grid.mesh()
        labels = shape.labels(x, y, z)
        beyond = {name: plane.beyond(x, y, z) for name, plane in shape.planes.items()}
        left = np.isin(labels, (1, 2))
        assert max(beyond["mitral"][left].max(), beyond["aortic"][left].max()) <= 0
        assert np.minimum(beyond["tricuspid"], beyond["pulmonary"])[labels == 3].max() <= 2.1  # rounded where they join
        for cavity in (labels == 1, left, labels == 3):
            assert ndimage.label(cavity, np.ones((3, 3, 3)))[1] == 1  # voxels of a sharp edge touch by their corners
        # Below the valves the left cavity meets muscle alone: the wall has no hole, and the apex a cap.
        rim = ndimage.binary_dilation(labels == 1) & (labels != 1)
        below = np.maximum(beyond["mitral"], beyond["aortic"]) < -1
        assert (labels[rim & below] == 2).all()
        tip = np.argwhere(labels == 1)[:, 2].max()
        assert (labels[:, :, tip + 3] == 2).any()
        assert not (labels[:, :, tip + 3] == 1).any()


def test_planes_and_apices_are_where_the_labels_end(normal: tuple[HeartShape, HeartShape]) -> None:
    for shape in normal:
        for name, inside in (("mitral", 1), ("aortic", 1), ("tricuspid", 3), ("pulmonary", 3)):
            plane = shape.planes[name]
            for depth, label in ((-2.0, inside), (2.0, 0)):
                point = np.array(plane.point) + depth * np.array(plane.normal)
                x, y, z = (np.full((1, 1, 1), c, dtype=np.float32) for c in point)
                assert shape.labels(x, y, z)[0, 0, 0] == label, (name, depth)
        for name, label, lengthwise in (("lv_cavity", 1, 0.5), ("lv_epicardium", 2, 0.5), ("rv_cavity", 3, 9.0)):
            x, y, apex = shape.apices[name]
            grid = shape.box(0.8)
            deepest = grid.z[np.argwhere(shape.labels(*grid.mesh()) == label)[:, 2].max()]
            assert apex - lengthwise - 0.8 <= deepest <= apex + 0.8


def test_a_beat_contracts_and_relaxes() -> None:
    shapes = _heart(3, "normal").beat(8)
    volumes = [shape.lv_cavity_volume_ml() for shape in shapes]
    bases = [shape.base_mm for shape in shapes]
    assert volumes[0] == max(volumes)
    assert int(np.argmin(volumes)) == round(8 * SYSTOLE)
    assert bases[0] == 0 == min(bases)
    assert max(abs(a - b) for a, b in zip(volumes, volumes[1:] + volumes[:1], strict=True)) < 60
    assert 0 <= min(shape.opening for shape in shapes) < max(shape.opening for shape in shapes) <= 1
    assert len({shape.apex_z_mm for shape in shapes}) == 1
