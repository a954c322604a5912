"""A heart that beats, in one file."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from helpers.balls import CENTRE, RADIUS_VOXELS, affine_of, sphere

from dmcvr.phantom import Phantom
from dmcvr.surface.borders import Borders
from dmcvr.surface.files import write_meshes
from dmcvr.surface.fit import fit_template


def glb_json(path: Path) -> dict:
    """The file's JSON, its chunks' lengths checked on the way."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    rest, kind = struct.unpack_from("<I4s", data, 20 + size)
    assert kind == b"BIN\0"
    assert 28 + size + rest == length
    assert size % 4 == rest % 4 == 0
    return json.loads(data[20 : 20 + size])


def reader(path: Path) -> Callable[[int], np.ndarray]:
    """What gives an accessor's float values, (count, width)."""
    tree, data = glb_json(path), path.read_bytes()
    start = len(data) - tree["buffers"][0]["byteLength"]

    def values(accessor: int) -> np.ndarray:
        about = tree["accessors"][accessor]
        width = {"SCALAR": 1, "VEC3": 3}[about["type"]]
        offset = start + tree["bufferViews"][about["bufferView"]]["byteOffset"]
        return np.frombuffer(data, "<f4", about["count"] * width, offset).reshape(-1, width)

    return values


def test_glb_is_one_heart_in_metres_that_stands_upright(tmp_path: Path) -> None:
    affine = affine_of(-1)
    (path,) = write_meshes(tmp_path, [Borders.of(sphere(), affine)], ("ED",), formats=("glb",))
    assert path.name == "heart.glb"
    assert "animations" not in glb_json(path)
    scene = trimesh.load(path)
    r, a, s = affine[:3, :3] @ CENTRE + affine[:3, 3]
    np.testing.assert_allclose(scene.centroid, np.array([-r, s, a]) / 1000, atol=1e-4)  # left, superior, anterior
    (heart,) = [node for node in glb_json(path)["nodes"] if node["name"] == "heart"]
    np.testing.assert_allclose(heart["translation"], [r, a, s], atol=0.1)
    assert max(next(iter(scene.geometry.values())).extents) == pytest.approx(2 * RADIUS_VOXELS * 1.5, abs=2)  # mm


def test_glb_of_a_cine_shows_one_phase_at_a_time(tmp_path: Path) -> None:
    borders = [Borders.of(labels, np.eye(4)) for labels in (sphere(12), sphere(10), 3 * sphere(9))]
    (path,) = write_meshes(tmp_path, borders, ("0", "1", "2"), formats=("glb",), beat_s=0.9)
    tree, values = glb_json(path), reader(path)
    (beat,) = tree["animations"]
    assert all(sampler["interpolation"] == "STEP" for sampler in beat["samplers"])
    np.testing.assert_allclose(values(beat["samplers"][0]["input"])[:, 0], [0, 0.3, 0.6, 0.9], atol=1e-6)
    shown = np.stack([values(sampler["output"])[:, 0] for sampler in beat["samplers"]])
    np.testing.assert_array_equal(shown, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    targets = [tree["nodes"][channel["target"]["node"]]["name"] for channel in beat["channels"]]
    assert targets == ["phase 0", "phase 1", "phase 2"]
    assert {channel["target"]["path"] for channel in beat["channels"]} == {"scale"}
    scene = trimesh.load(path)
    assert len(scene.geometry) == 2 + 2 + 1
    np.testing.assert_allclose(max(scene.extents), 0.0245, atol=0.001)  # hidden phases stretch nothing


def test_a_fitted_template_morphs_from_phase_to_phase_and_around(tmp_path: Path, phantom: Phantom) -> None:
    borders = [Borders.of(labels, phantom.truth_labels.affine) for labels in phantom.truth_labels.data]
    fitted = fit_template(borders)
    (path,) = write_meshes(tmp_path, borders, ("ED", "ES"), fitted=fitted, formats=("glb",), beat_s=0.9)
    assert fitted is not None
    tree, values = glb_json(path), reader(path)
    (beat,) = tree["animations"]
    (sampler,) = beat["samplers"]
    assert sampler["interpolation"] == "LINEAR"
    np.testing.assert_allclose(values(sampler["input"])[:, 0], [0, 0.45, 0.9], atol=1e-6)
    np.testing.assert_array_equal(values(sampler["output"])[:, 0], [0, 1, 0])
    targets = [tree["nodes"][channel["target"]["node"]]["name"] for channel in beat["channels"]]
    assert targets == ["lv_cavity", "lv_epicardium", "rv_cavity"]
    for mesh in tree["meshes"]:
        (primitive,) = mesh["primitives"]
        (target,) = primitive["targets"]
        there = values(primitive["attributes"]["POSITION"]) + values(target["POSITION"])
        (heart,) = [node for node in tree["nodes"] if node["name"] == "heart"]
        gap = np.linalg.norm((there + heart["translation"])[:, None] - fitted.vertices_mm[1], axis=2).min(axis=1)
        assert gap.max() < 1e-3
    assert len(trimesh.load(path).geometry) == 3
