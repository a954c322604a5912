"""Wall thickness against closed forms, and the 17 segments against where the RV lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from dmcvr.clinical.wall import wall_thickness
from dmcvr.io.acdc import read_acdc
from dmcvr.phantom import HeartShape, Phantom

#: Segments of each wall, all levels.
SEPTAL, LATERAL, ANTERIOR, INFERIOR = (2, 3, 8, 9, 14), (5, 6, 11, 12, 16), (1, 7, 13), (4, 10, 15)


def grid(half_mm: float, spacing_mm: float) -> NDArray[np.float64]:
    axis = np.arange(-half_mm, half_mm, spacing_mm) + 0.3  # voxel centres miss the symmetry axis
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def with_right(labels: NDArray[np.uint8], x: NDArray[np.float64], outer: NDArray[np.float64]) -> NDArray[np.uint8]:
    """An RV on the side of negative x: a cylinder that meets the LV 60 degrees to either side."""
    beyond = (np.hypot(x[..., 0] + outer, x[..., 1]) < outer) & (labels == 0)
    return np.where(beyond, 3, labels).astype(np.uint8)


def shell(inner: float, outer: float, spacing: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A spherical wall, cut at the base."""
    x = grid(outer + 4, spacing)
    radius = np.linalg.norm(x, axis=-1)
    labels = np.select([radius < inner, radius < outer], [1, 2], 0).astype(np.uint8)
    labels = with_right(labels, x, np.full(radius.shape, outer))
    labels[x[..., 2] < -inner / 3] = 0
    return labels, np.diag([spacing, spacing, spacing, 1.0])


def cylinder(inner: float, outer: float, spacing: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A straight wall that runs through the whole grid."""
    x = grid(outer + 8, spacing)
    radius = np.hypot(x[..., 0], x[..., 1])
    labels = np.select([radius < inner, radius < outer], [1, 2], 0).astype(np.uint8)
    labels = with_right(labels, x, np.full(radius.shape, outer))
    labels[:, :, labels.shape[2] // 2 :][labels[:, :, labels.shape[2] // 2 :] == 3] = 0
    return labels, np.diag([spacing, spacing, spacing, 1.0])


@pytest.mark.parametrize("make", [shell, cylinder])
@pytest.mark.parametrize("spacing", [1.4, 2.0])
@pytest.mark.parametrize(("inner", "outer"), [(20, 28), (25, 31), (22, 26)])
def test_a_wall_of_known_thickness(make: object, spacing: float, inner: float, outer: float) -> None:
    found = wall_thickness(*make(inner, outer, spacing))  # type: ignore[operator]
    assert found is not None
    assert found.mean_mm == pytest.approx(outer - inner, abs=0.1 * spacing)
    values = [value for value in found.segments_mm.values() if value is not None]
    assert len(values) == (17 if make is shell else 16)
    np.testing.assert_allclose(values, outer - inner, atol=0.25 * spacing)
    assert found.max_mm == pytest.approx(outer - inner, abs=0.5 * spacing)


def test_segments_lie_where_the_standard_has_them() -> None:
    """Bumps of the outer wall on the septal, lateral, anterior and inferior side show in those segments alone."""
    x = grid(40, 2.0)
    radius, angle = np.hypot(x[..., 0], x[..., 1]), np.degrees(np.arctan2(x[..., 1], x[..., 0]))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    for toward, expected in ((180, SEPTAL), (0, LATERAL), (90, ANTERIOR), (-90, INFERIOR)):
        near = np.abs((angle - toward + 180) % 360 - 180) < 35
        outer = np.where(near, 31.0, 27.0)
        labels = np.select([radius < 20, radius < outer], [1, 2], 0).astype(np.uint8)
        labels = with_right(labels, x, outer)
        # RV at -x, base at low z: seen from the apex with the RV on the left, y is up.
        found = wall_thickness(labels, affine)
        mirrored = wall_thickness(labels, affine, np.array([0.0, -1.0, 0.0]))
        assert found is not None
        assert mirrored is not None
        segments = {n: v for n, v in found.segments_mm.items() if v is not None}
        thickest = sorted(segments, key=lambda n: -segments[n])[: len(expected)]
        assert set(thickest) == set(expected)
        other = {1: 4, 4: 1, 7: 10, 10: 7, 13: 15, 15: 13}
        for number in (1, 4, 7, 10, 13, 15):
            assert mirrored.segments_mm[number] == pytest.approx(segments[other[number]], abs=0.5)


def test_storage_does_not_matter() -> None:
    labels, affine = shell(20, 28, 2.0)
    x = grid(32, 2.0)
    bump = (x[..., 1] > 15) & (np.linalg.norm(x, axis=-1) < 31) & (labels == 0) & (x[..., 2] >= -20 / 3)
    labels = np.where(bump, 2, labels).astype(np.uint8)
    turn = np.array([[0, 0, -1, 50.0], [0, 1, 0, 3.0], [1, 0, 0, -20.0], [0, 0, 0, 1.0]])
    flip = np.array([[1, 0, 0, 0], [0, -1, 0, labels.shape[1] - 1], [0, 0, -1, labels.shape[2] - 1], [0, 0, 0, 1.0]])
    here = wall_thickness(labels, affine)
    there = wall_thickness(labels[:, ::-1, ::-1], turn @ affine @ flip)
    assert here is not None
    assert there is not None
    assert here.segments_mm[7] > here.segments_mm[10] + 1  # type: ignore[operator]
    for number, value in here.segments_mm.items():
        assert there.segments_mm[number] == pytest.approx(value, abs=0.05)


def test_what_cannot_be_seen_is_none() -> None:
    labels, affine = shell(20, 28, 2.0)
    alone = wall_thickness(np.where(labels == 3, 0, labels).astype(np.uint8), affine)
    assert alone is not None
    assert set(alone.segments_mm.values()) == {None}
    assert alone.mean_mm == pytest.approx(8, abs=0.2)
    cut = wall_thickness(labels[:, :, :-6], affine)
    assert cut is not None
    assert cut.segments_mm[17] is None
    assert cut.segments_mm[13] is not None
    assert wall_thickness(np.zeros_like(labels), affine) is None
    assert wall_thickness(np.where(labels == 2, 0, labels).astype(np.uint8), affine) is None


def exact_mm(shape: HeartShape) -> float:
    """Mean thickness at mid-wall of a phantom's equal-area middle third, from its closed forms."""
    z, theta = np.meshgrid(
        np.arange(shape.base_mm - 20, shape.apex_z_mm, 0.6, dtype=np.float32),
        np.linspace(0, 2 * np.pi, 360, endpoint=False, dtype=np.float32),
    )

    def points(radius: NDArray[np.float32]) -> NDArray[np.float64]:
        cx, cy = shape.centre(z)
        r = radius * shape.stretch(theta, z)
        inside = radius > 0
        return np.stack([cx + r * np.cos(theta), cy + r * np.sin(theta), z], axis=-1)[inside].astype(np.float64)

    inner, outer = shape.endo_radius(z), shape.epi_radius(z)
    trees = [KDTree(points(radius)) for radius in (inner, outer)]
    third = (z > shape.base_mm + shape.lv_length_mm / 3) & (z < shape.base_mm + shape.lv_length_mm * 2 / 3)
    middle = points(np.where(third, (inner + outer) / 2, 0))
    return float(sum(tree.query(middle)[0] for tree in trees).mean())


def test_a_phantom_s_wall(phantom: Phantom) -> None:
    exam = phantom
    found = wall_thickness(exam.truth_labels.data[0], exam.truth_labels.affine)
    assert found is not None
    middle = [found.segments_mm[n] for n in range(7, 13)]
    assert np.mean(middle) == pytest.approx(exact_mm(exam.shapes[0]), abs=0.4)  # a quarter of a voxel
    assert all(value is not None for value in found.segments_mm.values())


def test_the_phantom_s_world_is_not_mirrored(phantom: Phantom) -> None:
    """Its frame is a patient's: what the picture shows as up is what the world says is anterior."""
    affine = phantom.truth_labels.affine
    up = -affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    told = wall_thickness(phantom.truth_labels.data[0], affine, up)
    alone = wall_thickness(phantom.truth_labels.data[0], affine)
    assert told == alone


@pytest.mark.parametrize(
    ("patient", "group", "low", "high"), [("patient028", "HCM", 14, 35), ("patient061", "NOR", 7, 14)]
)
def test_real_walls(data: Path, patient: str, group: str, low: float, high: float) -> None:
    """Manual labels: a hypertrophic heart has a thick wall, a normal one has none."""
    stack = read_acdc(data / "acdc" / patient, with_labels=True)
    assert stack.patient.group == group
    assert stack.labels is not None
    labels = np.repeat(stack.labels[0], round(stack.spacing_mm / np.mean(stack.pixel_mm)), axis=0).transpose(1, 2, 0)
    found = wall_thickness(labels, np.diag([*stack.pixel_mm, np.mean(stack.pixel_mm), 1.0]))
    assert found is not None
    assert low < found.max_mm < high
