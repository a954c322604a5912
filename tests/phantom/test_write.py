"""A phantom's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.io.acdc import read_acdc
from dmcvr.io.image import read_image
from dmcvr.phantom import Phantom, Scan, make_phantom, write_phantom
from dmcvr.phantom.write import VIEW_FILES

#: Coarse and small: for tests that need another exam.
SMALL = Scan(pixel_mm=2.0, size_px=80, spacing_mm=12.0)


def test_written_exam_reads_back(tmp_path: Path) -> None:
    phantom = make_phantom(7, SMALL)
    folder = tmp_path / "cohort" / "phantom007"
    write_phantom(phantom, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["phantom007"]
    stack = read_acdc(folder, with_labels=True)
    np.testing.assert_array_equal(stack.images, phantom.stack.images)
    np.testing.assert_array_equal(stack.labels, phantom.stack.labels)
    np.testing.assert_allclose(stack.affines, phantom.stack.affines, atol=1e-3)
    assert stack.phases == ("ED", "ES")
    assert stack.patient == phantom.stack.patient
    assert stack.warnings == ()
    for name, volume in (("truth_image", phantom.truth_image), ("truth_labels", phantom.truth_labels)):
        read = read_image(folder / f"{name}.nii.gz")
        np.testing.assert_array_equal(np.moveaxis(read.data, 3, 0), volume.data)
        np.testing.assert_allclose(read.affine, volume.affine, atol=1e-3)
    about = json.loads((folder / "phantom.json").read_text())
    assert about["seed"] == 7
    assert about["scan"]["spacing_mm"] == 12.0
    measured = about["phases"]["ES"]["measures"]["lv_cavity_volume_ml"]
    assert measured == pytest.approx(phantom.shapes[1].lv_cavity_volume_ml())
    with pytest.raises(InputError, match="exists already"):
        write_phantom(phantom, folder)


def test_a_cine_with_views_is_written(tmp_path: Path) -> None:
    exam = make_phantom(7, Scan(pixel_mm=2.0, size_px=80, spacing_mm=20.0, phases=4, long_axis=True, shift_mm=2.0))
    write_phantom(exam, tmp_path / "p")
    stack = read_acdc(tmp_path / "p", with_labels=True)
    assert stack.phases == ("ED", "ES")
    assert exam.stack.labels is not None
    np.testing.assert_array_equal(stack.labels, exam.stack.labels[[exam.ed, exam.es]])
    cine = read_image(tmp_path / "p" / "p_4d.nii.gz")
    np.testing.assert_allclose(np.moveaxis(cine.data, (3, 2), (0, 1)), exam.stack.images)
    for view in exam.views[:4]:
        file = next((tmp_path / "p").glob(f"*{VIEW_FILES[view.name]}.nii.gz"))
        read = read_image(file)
        assert read.data.shape == (*view.image.shape, 1, 4)
        np.testing.assert_allclose(read.data[..., 0, 0], view.image)
        np.testing.assert_allclose(read.affine[:, [0, 1, 3]], view.affine[:, [0, 1, 3]], atol=1e-3)
        labels = read_image(file.with_name(file.name.replace(".nii", "_gt.nii"))).data[..., 0, 0]
        assert view.labels is not None
        assert ((labels == 3) == (view.labels == 1)).all()  # ACDC's values
    about = json.loads((tmp_path / "p" / "phantom.json").read_text())
    np.testing.assert_allclose(about["slice_shifts_mm"], exam.shifts_mm)
    assert set(about["view_shifts_mm"]) == set(VIEW_FILES)
    point, normal = exam.valve_planes(2)["mitral"]
    plane = about["phases"]["2"]["valve_planes_ras_mm"]["mitral"]
    np.testing.assert_allclose((plane["point"], plane["normal"]), (point, normal))


def test_a_failed_write_leaves_nothing(phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, volume: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("dmcvr.phantom.write.write_nifti", fail)
    with pytest.raises(OSError, match="disk full"):
        write_phantom(phantom, tmp_path / "phantom003")
    assert list(tmp_path.iterdir()) == []
