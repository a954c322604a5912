"""The template on phantoms, whose shape and shortening are exact."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dmcvr.phantom import Heart, HeartShape, Phantom, Scan, make_phantom
from dmcvr.surface.borders import Borders
from dmcvr.surface.fit import HARMONICS, Fitted, fit_template, fitted_strain, smooth_path
from dmcvr.surface.template import PARTS, template


def borders_of(shape: HeartShape, step_mm: float = 1.5) -> Borders:
    """The exact labels of a shape, in its own frame, mirrored so that the frame is a patient's."""
    grid = shape.box(step_mm)
    labels = shape.labels(*grid.mesh())
    affine = np.diag([step_mm, step_mm, step_mm, 1.0])
    affine[:3, 3] = [axis[0] for axis in (grid.x, grid.y, grid.z)]
    return Borders.of(labels, np.diag([1.0, 1.0, -1.0, 1.0]) @ affine)


def distance(shape: HeartShape, points: np.ndarray, name: str) -> np.ndarray:
    """mm from points (M, 3) to a border of the shape, near it."""
    x, y, z = (points[:, n].astype(np.float32).reshape(-1, 1, 1) for n in range(3))
    return np.abs(np.ravel(getattr(shape.solids(x, y, -z), name)))


@pytest.fixture(scope="module")
def heart() -> Heart:
    return Heart.random(np.random.default_rng(5), "normal")


@pytest.fixture(scope="module")
def beat(heart: Heart) -> tuple[HeartShape, ...]:
    return heart.beat(10)


@pytest.fixture(scope="module")
def fitted(beat: tuple[HeartShape, ...]) -> Fitted:
    found = fit_template([borders_of(shape) for shape in beat])
    assert found is not None
    return found


def test_vertices_lie_on_the_true_borders(beat: tuple[HeartShape, ...], fitted: Fitted) -> None:
    common = template()
    for shape, vertices in zip(beat, fitted.vertices_mm, strict=True):
        for index, name in ((common.endo, "lv_cavity"), (common.epi, "lv_whole")):
            gap = distance(shape, vertices[index[2:].ravel()], name)
            assert gap.mean() < 0.35
            assert np.percentile(gap, 95) < 1.2
        right = np.concatenate([common.septum[2:-2, 3:-3].ravel(), common.free[2:-2, 3:-3].ravel()])
        gap = distance(shape, vertices[right], "rv_cavity")
        assert gap.mean() < 0.8


def test_no_face_is_without_area_where_the_wall_is_not_seen(beat: tuple[HeartShape, ...]) -> None:
    """Labels whose wall is torn: where the cavity meets the background, both surfaces run there."""
    whole = borders_of(beat[0])
    torn = whole.labels.copy()
    half = torn.shape[0] // 2
    torn[:half][torn[:half] == 2] = 0
    found = fit_template([Borders.of(torn, whole.affine)])
    assert found is not None
    corners = found.vertices_mm[0][found.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert areas.min() > 1e-4


def test_parts_face_outward_and_thickness_is_the_wall_s(beat: tuple[HeartShape, ...], fitted: Fitted) -> None:
    common = template()
    for vertices in fitted.vertices_mm:
        for parts in (("lv_endocardium",), ("lv_epicardium",), ("rv_septum", "rv_free_wall")):
            faces = common.faces[np.isin(common.part, [PARTS.index(part) for part in parts])]
            assert trimesh.Trimesh(vertices - vertices.mean(axis=0), faces, process=False).volume > 0
    lateral = common.endo[8:14][common.aha[common.endo[8:14]] == 11]
    np.testing.assert_allclose(fitted.thickness_mm[0, lateral].mean(), beat[0].wall_mm, atol=0.8)
    assert np.isnan(fitted.thickness_mm[:, common.septum]).all()
    assert not fitted.displacement_mm[0].any()


def test_in_a_mirrored_world_faces_still_face_outward(phantom: Phantom) -> None:
    labels, affine = phantom.truth_labels.data[0], phantom.truth_labels.affine
    here = fit_template([Borders.of(labels, affine)])
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    anterior = mirror[:3, :3] @ -phantom.frame.v
    there = fit_template([Borders.of(labels, mirror @ affine)], anterior=anterior)
    assert here is not None
    assert there is not None
    np.testing.assert_allclose(there.vertices_mm[0] * [-1, 1, 1], here.vertices_mm[0], atol=0.05)
    for found in (here, there):
        cavity = found.faces[template().part == 0]
        assert trimesh.Trimesh(found.vertices_mm[0] - found.vertices_mm[0].mean(axis=0), cavity).volume > 0


def test_septal_segments_face_the_rv(fitted: Fitted) -> None:
    common, vertices = template(), fitted.vertices_mm[0]
    middle = vertices[common.endo[4:14]].mean(axis=(0, 1))
    toward = vertices[common.septum].mean(axis=(0, 1)) - middle
    side = {n: (vertices[common.aha == n].mean(axis=0) - middle) @ toward for n in range(7, 13)}
    assert min(side[8], side[9]) > 0 > max(side[11], side[12])


def test_strain_is_the_phantom_s_shortening(heart: Heart, beat: tuple[HeartShape, ...], fitted: Fitted) -> None:
    found = fitted_strain(fitted, [str(n) for n in range(10)])
    systole = int(np.argmin([shape.lv_cavity_volume_ml() for shape in beat]))
    rest, small = beat[0], beat[systole]
    radius, wall = (getattr(small, name) / getattr(rest, name) for name in ("lv_radius_mm", "wall_mm"))
    middle = (small.lv_radius_mm + small.wall_mm / 2) / (rest.lv_radius_mm + rest.wall_mm / 2)
    assert found["gcs_endocardial_percent"][systole] == pytest.approx(100 * (radius - 1), abs=1.5)
    assert found["gcs_midwall_percent"][systole] == pytest.approx(100 * (middle - 1), abs=1.5)
    assert found["grs_percent"][systole] == pytest.approx(100 * (wall - 1), abs=5)
    assert found["gls_endocardial_percent"][systole] == pytest.approx(100 * (arc(small) / arc(rest) - 1), abs=2)
    assert found["gls_endocardial_percent"][0] == found["grs_percent"][0] == 0


def arc(shape: HeartShape) -> float:
    """Mean length in mm of the endocardium's lines from the valve planes' height to the apex, from its closed form."""
    z = np.linspace(0, 1, 4001)
    lengths = []
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        start = shape.base_mm + 0.12 * shape.lv_length_mm
        heights = (start + z * (shape.base_mm + shape.lv_length_mm - start)).astype(np.float32)
        radius = shape.endo_radius(heights) * shape.stretch(np.full_like(heights, angle), heights)
        lengths.append(np.hypot(np.diff(radius), np.diff(heights)).sum())
    return float(np.mean(lengths))


def test_paths_are_smooth_and_periodic() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(25) / 25
    path = np.stack([np.cos(2 * np.pi * time), np.sin(4 * np.pi * time)], axis=1)
    np.testing.assert_allclose(smooth_path(path), path, atol=1e-12)
    noisy = path + rng.normal(0, 0.3, path.shape)
    smooth = smooth_path(noisy)
    assert np.abs(np.fft.rfft(smooth, axis=0)[HARMONICS + 1 :]).max() < 1e-9
    assert np.sqrt(np.mean((smooth - path) ** 2)) < 0.75 * 0.3
    np.testing.assert_array_equal(smooth_path(noisy[:2]), noisy[:2])


def test_one_patient_s_vertex_is_another_s(phantom: Phantom) -> None:
    other = make_phantom(2, Scan())
    for exam in (phantom, other):
        volume = exam.truth_labels
        found = fit_template([Borders.of(labels, volume.affine) for labels in volume.data])
        assert found is not None
        assert found.vertices_mm.shape == (2, template().count, 3)
        mitral = found.vertices_mm[0][template().sets["mitral_ring"]].mean(axis=0)
        assert np.linalg.norm(mitral - exam.frame.to_world((0, 0, exam.shapes[0].base_mm))) < 12
        tip = found.vertices_mm[0][template().sets["lv_endocardial_apex"][0]]
        assert np.linalg.norm(tip - exam.apices(0)["lv_cavity"]) < 4


def test_without_a_ventricle_there_is_no_template(phantom: Phantom) -> None:
    labels, affine = phantom.truth_labels.data, phantom.truth_labels.affine
    for missing in (1, 3):
        part = np.where(labels == missing, 0, labels).astype(np.uint8)
        assert fit_template([Borders.of(labels[0], affine), Borders.of(part[1], affine)]) is None
    assert fit_template([Borders.of(np.zeros((8, 8, 8), np.uint8), affine)]) is None
