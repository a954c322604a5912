"""Surfaces against shapes of known size, under affines of either handedness."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import trimesh
from helpers.balls import CENTRE, RADIUS_VOXELS, affine_of, sphere
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume
from dmcvr.surface.mesh import FRAME_NOTE, STRUCTURES, structure_mesh, write_meshes


@pytest.mark.parametrize("handedness", [1, -1])
@pytest.mark.parametrize("smooth_iterations", [0, 10])
def test_sphere_keeps_its_volume_and_its_place_in_the_world(handedness: int, smooth_iterations: int) -> None:
    labels, affine = sphere(), affine_of(handedness)
    mesh = structure_mesh(labels, affine, "lv_cavity", smooth_iterations=smooth_iterations)
    assert mesh is not None
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(labels.sum() * 1.5**3, rel=0.02)  # positive: normals point outward
    world_centre = affine[:3, :3] @ CENTRE + affine[:3, 3]
    np.testing.assert_allclose(mesh.center_mass, world_centre, atol=1e-3)
    np.testing.assert_allclose(mesh.bounds[0], world_centre - RADIUS_VOXELS * 1.5, atol=1.0)
    np.testing.assert_allclose(mesh.bounds[1], world_centre + RADIUS_VOXELS * 1.5, atol=1.0)
    outward = np.einsum("fc,fc->f", mesh.face_normals, mesh.triangles_center - world_centre)
    assert (outward > 0).all()


def test_unsmoothed_surface_runs_half_way_between_voxels_and_closes_at_the_border() -> None:
    affine = np.diag([-2.0, 1.0, 3.0, 1.0])
    mesh = structure_mesh(np.ones((4, 3, 2), np.uint8), affine, "lv_cavity", smooth_iterations=0)
    assert mesh is not None
    np.testing.assert_allclose(mesh.bounds, [[-7.0, -0.5, -1.5], [1.0, 2.5, 4.5]])
    assert mesh.is_watertight
    # In voxels: the block, less a prism of 1/8 along each edge between centres, less 5/48 at each of eight corners.
    assert mesh.volume == pytest.approx((4 * 3 * 2 - 4 * (3 + 2 + 1) / 8 - 8 * 5 / 48) * 6)


def test_smoothing_makes_the_surface_smoother() -> None:
    rough = structure_mesh(sphere(), np.eye(4), "lv_cavity", smooth_iterations=0)
    smooth = structure_mesh(sphere(), np.eye(4), "lv_cavity")
    assert rough is not None
    assert smooth is not None
    spread = [np.std(np.linalg.norm(mesh.vertices - CENTRE, axis=1)) for mesh in (rough, smooth)]
    assert spread[1] < 0.75 * spread[0]


def test_epicardium_encloses_cavity_and_wall_and_the_wall_has_two_surfaces() -> None:
    labels = np.where(sphere(8) > 0, 1, 2 * sphere(12)).astype(np.uint8)
    meshes = {name: structure_mesh(labels, np.eye(4), name, smooth_iterations=0) for name in STRUCTURES}
    assert meshes["rv_cavity"] is None
    assert meshes["lv_epicardium"].body_count == 1
    assert meshes["lv_myocardium"].body_count == 2
    assert meshes["lv_myocardium"].volume == pytest.approx(meshes["lv_epicardium"].volume - meshes["lv_cavity"].volume)


def test_every_way_eight_voxels_can_touch_is_watertight() -> None:
    for corners in product([0, 1], repeat=8):
        labels = np.array(corners, np.uint8).reshape(2, 2, 2)
        mesh = structure_mesh(labels, np.eye(4), "lv_cavity", smooth_iterations=0)
        assert (mesh is None) == (not any(corners))
        assert mesh is None or (mesh.is_volume and mesh.volume > 0)


@settings(max_examples=50, deadline=None)
@given(
    labels=arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.integers(0, 3)),
    name=st.sampled_from(sorted(STRUCTURES)),
    handedness=st.sampled_from([1, -1]),
)
def test_any_blob_is_watertight(labels: NDArray[np.uint8], name: str, handedness: int) -> None:
    rough = structure_mesh(labels, affine_of(handedness), name, smooth_iterations=0)
    smooth = structure_mesh(labels, affine_of(handedness), name)
    assert (rough is None) == (not np.isin(labels, STRUCTURES[name]).any())
    if rough is not None:
        assert rough.is_volume
        assert rough.volume > 0
        assert smooth.is_watertight


def test_an_unknown_structure_is_an_error() -> None:
    with pytest.raises(KeyError, match="aorta"):
        structure_mesh(sphere(), np.eye(4), "aorta")


def test_ply_says_its_frame_and_loads_back_in_place(tmp_path: Path) -> None:
    affine = affine_of(-1)
    paths = write_meshes(tmp_path / "meshes", Volume(sphere()[None], affine), ("ED",))
    assert paths == [tmp_path / "meshes" / f"{name}.ply" for name in ("lv_cavity", "lv_epicardium")]
    header = paths[0].read_bytes().split(b"end_header")[0].decode().splitlines()
    assert header[:3] == ["ply", "format binary_little_endian 1.0", f"comment {FRAME_NOTE}"]
    written = structure_mesh(sphere(), affine, "lv_cavity")
    loaded = trimesh.load_mesh(paths[0], process=False)
    assert written is not None
    np.testing.assert_allclose(loaded.vertices, written.vertices, atol=1e-4)
    np.testing.assert_array_equal(loaded.faces, written.faces)
    assert trimesh.load_mesh(paths[0]).is_watertight


def test_several_phases_get_a_folder_each(tmp_path: Path) -> None:
    labels = Volume(np.stack([sphere(12), 3 * sphere(9)]), np.eye(4))
    assert write_meshes(tmp_path, labels, ("ED", "ES"), smooth_iterations=0) == [
        tmp_path / "ED" / "lv_cavity.ply",
        tmp_path / "ED" / "lv_epicardium.ply",
        tmp_path / "ES" / "rv_cavity.ply",
    ]
    with pytest.raises(ValueError, match="zip"):
        write_meshes(tmp_path, labels, ("ED",))


def test_stl_says_its_frame_and_loads_back_in_place(tmp_path: Path) -> None:
    affine = affine_of(-1)
    paths = write_meshes(tmp_path, Volume(sphere()[None], affine), ("ED",), formats=("stl",))
    assert [path.name for path in paths] == ["lv_cavity.stl", "lv_epicardium.stl"]
    assert paths[0].read_bytes()[:80].decode().rstrip() == FRAME_NOTE
    written = structure_mesh(sphere(), affine, "lv_cavity")
    loaded = trimesh.load_mesh(paths[0])
    assert written is not None
    assert loaded.is_watertight
    np.testing.assert_allclose(loaded.bounds, written.bounds, atol=1e-4)
    assert loaded.volume == pytest.approx(written.volume, rel=1e-5)


def test_an_unknown_format_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of ply, stl, glb, none"):
        write_meshes(tmp_path, Volume(sphere()[None], np.eye(4)), ("ED",), formats=("obj",))
