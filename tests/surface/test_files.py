"""Meshes on disk."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import trimesh
from helpers.balls import affine_of, sphere
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.phantom import Phantom
from dmcvr.surface.borders import Borders
from dmcvr.surface.files import FRAME_NOTE, write_meshes
from dmcvr.surface.fit import Fitted, fit_template
from dmcvr.surface.mesh import structure_mesh
from dmcvr.surface.template import PARTS, template


@pytest.fixture(scope="module")
def borders(phantom: Phantom) -> list[Borders]:
    return [Borders.of(labels, phantom.truth_labels.affine) for labels in phantom.truth_labels.data]


@pytest.fixture(scope="module")
def fitted(borders: list[Borders]) -> Fitted:
    found = fit_template(borders)
    assert found is not None
    return found


def vtp_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a VTP file by name, each by its declared type and length."""
    found = {}
    for array in ElementTree.parse(path).getroot().iter("DataArray"):
        data = base64.b64decode(array.text or "")
        assert int.from_bytes(data[:8], "little") == len(data) - 8
        kind = {"Float32": "<f4", "UInt8": "u1", "Int64": "<i8"}[array.attrib["type"]]
        width = int(array.attrib.get("NumberOfComponents", 1))
        found[array.attrib["Name"]] = np.frombuffer(data[8:], kind).reshape((-1, width) if width > 1 else -1)
    return found


def test_ply_says_its_frame_and_loads_back_in_place(tmp_path: Path) -> None:
    borders = Borders.of(sphere(), affine_of(-1))
    paths = write_meshes(tmp_path / "meshes", [borders], ("ED",))
    assert paths == [tmp_path / "meshes" / f"{name}.ply" for name in ("lv_cavity", "lv_epicardium")]
    header = paths[0].read_bytes().split(b"end_header")[0].decode().splitlines()
    assert header[:3] == ["ply", "format binary_little_endian 1.0", f"comment {FRAME_NOTE}"]
    written = structure_mesh(borders, "lv_cavity")
    loaded = trimesh.load_mesh(paths[0], process=False)
    assert written is not None
    np.testing.assert_allclose(loaded.vertices, written.vertices, atol=1e-4)
    np.testing.assert_array_equal(loaded.faces, written.faces)
    assert trimesh.load_mesh(paths[0]).is_watertight


def test_several_phases_get_a_folder_each(tmp_path: Path) -> None:
    borders = [Borders.of(labels, np.eye(4)) for labels in (sphere(12), 3 * sphere(9))]
    assert write_meshes(tmp_path, borders, ("ED", "ES")) == [
        tmp_path / "ED" / "lv_cavity.ply",
        tmp_path / "ED" / "lv_epicardium.ply",
        tmp_path / "ES" / "rv_cavity.ply",
    ]
    with pytest.raises(ValueError, match="zip"):
        write_meshes(tmp_path, borders, ("ED",))


def test_stl_says_its_frame_and_loads_back_in_place(tmp_path: Path) -> None:
    borders = Borders.of(sphere(), affine_of(-1))
    paths = write_meshes(tmp_path, [borders], ("ED",), formats=("stl",))
    assert [path.name for path in paths] == ["lv_cavity.stl", "lv_epicardium.stl"]
    assert paths[0].read_bytes()[:80].decode().rstrip() == FRAME_NOTE
    written = structure_mesh(borders, "lv_cavity")
    loaded = trimesh.load_mesh(paths[0])
    assert written is not None
    assert loaded.is_watertight
    np.testing.assert_allclose(loaded.bounds, written.bounds, atol=1e-4)
    assert loaded.volume == pytest.approx(written.volume, rel=1e-5)


def test_the_template_is_written_with_its_values(tmp_path: Path, borders: list[Borders], fitted: Fitted) -> None:
    written = write_meshes(tmp_path, borders, ("ED", "ES"), fitted=fitted, formats=("ply", "stl", "vtp"), beat_s=0.9)
    assert [path.name for path in written if path.stem == "template"] == [
        *["template.ply", "template.vtp"] * 2,
        "template.pvd",
    ]
    common = template()
    arrays = vtp_arrays(tmp_path / "ES" / "template.vtp")
    np.testing.assert_allclose(arrays["Points"], fitted.vertices_mm[1], atol=1e-3)
    np.testing.assert_array_equal(arrays["connectivity"].reshape(-1, 3), common.faces)
    np.testing.assert_array_equal(arrays["offsets"], np.arange(3, 3 * len(common.faces) + 1, 3))
    np.testing.assert_allclose(arrays["displacement_mm"], fitted.displacement_mm[1], atol=1e-3)
    np.testing.assert_allclose(arrays["thickness_mm"], fitted.thickness_mm[1], atol=1e-4)
    np.testing.assert_array_equal(arrays["aha_segment"], common.aha)
    np.testing.assert_array_equal(np.flatnonzero(arrays["mitral_ring"]), np.sort(common.sets["mitral_ring"]))
    assert set(arrays["part"]) == set(range(len(PARTS)))
    ply = trimesh.load_mesh(tmp_path / "ES" / "template.ply", process=False)
    np.testing.assert_array_equal(ply.faces, common.faces)
    values = ply.metadata["_ply_raw"]["vertex"]["data"]
    np.testing.assert_allclose(np.ravel(values["displacement_x_mm"]), fitted.displacement_mm[1, :, 0], atol=1e-3)
    np.testing.assert_array_equal(np.ravel(values["aha_segment"]), common.aha)
    series = ElementTree.parse(tmp_path / "template.pvd").getroot()
    sets = [(entry.attrib["timestep"], entry.attrib["file"]) for entry in series.iter("DataSet")]
    assert sets == [("0", "ED/template.vtp"), ("0.45", "ES/template.vtp")]
    surface = structure_mesh(borders[0], "rv_cavity")
    assert surface is not None
    np.testing.assert_allclose(vtp_arrays(tmp_path / "ED" / "rv_cavity.vtp")["Points"], surface.vertices, atol=1e-3)


def test_an_unknown_format_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of ply, stl, vtp, glb, none"):
        write_meshes(tmp_path, [Borders.of(sphere(), np.eye(4))], ("ED",), formats=("obj",))
