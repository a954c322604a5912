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


def test_a_failed_write_leaves_nothing(phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, volume: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("dmcvr.phantom.write.write_nifti", fail)
    with pytest.raises(OSError, match="disk full"):
        write_phantom(phantom, tmp_path / "phantom003")
    assert list(tmp_path.iterdir()) == []
