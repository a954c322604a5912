"""ACDC's folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.io.acdc import list_patients, read_acdc, read_patient
from dmcvr.io.read import read_exam


def test_acdc_folder(data: Path) -> None:
    stack = read_acdc(data / "acdc" / "patient001", with_labels=True)
    assert stack.phases == ("ED", "ES")
    assert stack.images.shape == (2, 10, 216, 256)
    assert (stack.spacing_mm, stack.pixel_mm[0]) == pytest.approx((10.0, 1.5625))
    assert stack.patient.height_cm == 184.0
    assert stack.labels is not None
    ed, es = (np.count_nonzero(stack.labels[p] == 1) * 1.5625**2 * 10 / 1000 for p in (0, 1))
    assert (ed, es) == pytest.approx((295.5, 225.6), abs=0.1)  # voxels counted by hand


def test_acdc_frame_knows_its_phase(data: Path) -> None:
    assert read_exam(data / "acdc" / "patient001" / "patient001_frame12.nii.gz").phases == ("ES",)


def test_damaged_acdc_folders_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No ACDC-style patient"):
        list_patients(tmp_path)
    folder = tmp_path / "p1"
    folder.mkdir()
    info = folder / "Info.cfg"
    info.write_text("ED: 1\nES: 9\n")
    with pytest.raises(InputError, match="names frame 1, but"):
        read_acdc(folder)
    info.write_text("Group: DCM\n")
    with pytest.raises(InputError, match="neither an ED nor an ES frame"):
        read_acdc(folder)
    info.write_text("ED: ../../x\n")
    with pytest.raises(InputError, match="expected a number"):
        read_acdc(folder)
    info.write_text("ED: 1\nHeight: tall\nWeight: nan\n")
    assert read_patient(folder).height_cm is None
    assert read_patient(folder).weight_kg is None
