"""Surfaces against shapes of known size, under affines of either handedness."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import trimesh
from helpers.balls import CENTRE, RADIUS_VOXELS, affine_of, sphere
from helpers.printing import complaints, solid
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from dmcvr.labels.distances import scores_of
from dmcvr.surface.borders import Borders
from dmcvr.surface.mesh import STRUCTURES, structure_mesh


def meshed(borders: Borders, name: str, **how: float) -> trimesh.Trimesh | None:
    found = structure_mesh(borders, name, **how)
    return None if found is None else solid(found)


@pytest.mark.parametrize("handedness", [1, -1])
@pytest.mark.parametrize("smooth_voxels", [0.0, 1.0])
def test_sphere_keeps_its_volume_and_its_place_in_the_world(handedness: int, smooth_voxels: float) -> None:
    labels, affine = sphere(), affine_of(handedness)
    mesh = meshed(Borders.of(labels, affine), "lv_cavity", smooth_voxels=smooth_voxels)
    assert mesh is not None
    assert complaints(mesh) == []
    assert mesh.volume == pytest.approx(labels.sum() * 1.5**3, rel=0.005)
    world_centre = affine[:3, :3] @ CENTRE + affine[:3, 3]
    np.testing.assert_allclose(mesh.center_mass, world_centre, atol=1e-3)
    np.testing.assert_allclose(mesh.bounds[0], world_centre - RADIUS_VOXELS * 1.5, atol=1.0)
    np.testing.assert_allclose(mesh.bounds[1], world_centre + RADIUS_VOXELS * 1.5, atol=1.0)
    outward = np.einsum("fc,fc->f", mesh.face_normals, mesh.triangles_center - world_centre)
    assert (outward > 0).all()


def test_no_terraces_are_left_of_the_voxels() -> None:
    """Neighbouring triangles of a voxel's stairs meet at 45 degrees; of this sphere, at a few."""
    rough, smooth = (meshed(Borders.of(sphere(), np.eye(4)), "lv_cavity", smooth_voxels=width) for width in (0, 1))
    assert rough is not None
    assert smooth is not None
    spread = [np.std(np.linalg.norm(mesh.vertices - CENTRE, axis=1)) for mesh in (rough, smooth)]
    assert spread[1] < 0.12
    assert spread[1] < 0.75 * spread[0]
    assert np.degrees(np.percentile(smooth.face_adjacency_angles, 95)) < 15


def test_scores_place_a_border_between_voxels() -> None:
    """A sphere whose radius changes by less than a voxel: its labels hardly do, its scores and surface do."""
    x = np.stack(np.indices((32, 32, 32))) - 15.5
    for radius in (10.0, 10.15, 10.3):
        inside = np.linalg.norm(x, axis=0) - radius
        distances = np.stack([inside, inside, np.full_like(inside, 30.0)]).astype(np.float32)
        scores = np.moveaxis(scores_of(np.moveaxis(distances, 1, 0)), 0, 1)
        labels = scores.argmax(axis=0).astype(np.uint8)
        mesh = meshed(Borders.of(labels, np.eye(4), scores), "lv_cavity", smooth_voxels=0)
        assert mesh is not None
        off = np.linalg.norm(mesh.vertices - 15.5, axis=1)
        assert off.std() < 0.04


def test_epicardium_encloses_cavity_and_wall_and_the_wall_has_two_surfaces() -> None:
    labels = np.where(sphere(8) > 0, 1, 2 * sphere(12)).astype(np.uint8)
    borders = Borders.of(labels, np.eye(4))
    meshes = {name: meshed(borders, name) for name in STRUCTURES}
    assert meshes["rv_cavity"] is None
    assert meshes["lv_epicardium"].body_count == 1
    assert meshes["lv_myocardium"].body_count == 2
    assert meshes["lv_myocardium"].volume == pytest.approx((labels == 2).sum(), rel=0.01)


def test_an_open_wall_is_one_cup() -> None:
    """A hemisphere of wall, cut at the base where the grid ends: no skin closes it."""
    labels = np.where(sphere(8) > 0, 1, 2 * sphere(12)).astype(np.uint8)[:, :, 16:]
    borders = Borders.of(labels, affine_of(1))
    for name in ("lv_cavity", "lv_myocardium", "lv_epicardium"):
        mesh = meshed(borders, name)
        assert mesh is not None
        assert complaints(mesh) == []
        assert mesh.euler_number == 2  # no hole, no handle


def test_only_the_largest_piece_is_kept() -> None:
    labels = sphere(10)
    labels[1:3, 1:3, 1:3] = 1
    mesh = meshed(Borders.of(labels, np.eye(4)), "lv_cavity")
    assert mesh is not None
    assert mesh.body_count == 1
    assert mesh.volume == pytest.approx(labels.sum(), rel=0.01)


def test_every_way_eight_voxels_can_touch_is_watertight() -> None:
    for corners in product([0, 1], repeat=8):
        labels = np.array(corners, np.uint8).reshape(2, 2, 2)
        mesh = meshed(Borders.of(labels, np.eye(4)), "lv_cavity")
        assert (mesh is None) == (not any(corners))
        assert mesh is None or (mesh.is_volume and mesh.volume > 0)


@settings(max_examples=50, deadline=None)
@given(
    labels=arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.integers(0, 3)),
    name=st.sampled_from(sorted(STRUCTURES)),
    handedness=st.sampled_from([1, -1]),
)
def test_any_blob_is_watertight(labels: NDArray[np.uint8], name: str, handedness: int) -> None:
    mesh = meshed(Borders.of(labels, affine_of(handedness)), name)
    assert (mesh is None) == (not np.isin(labels, STRUCTURES[name]).any())
    if mesh is not None:
        assert mesh.is_volume
        assert mesh.volume > 0


def test_an_unknown_structure_is_an_error() -> None:
    with pytest.raises(KeyError, match="aorta"):
        meshed(Borders.of(sphere(), np.eye(4)), "aorta")
