"""One way in: what a path is taken to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.niftis import grey, save

from dmcvr.errors import InputError
from dmcvr.io.read import read_exam


def test_what_is_no_exam_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file or folder"):
        read_exam(tmp_path / "nowhere.nii.gz")
    with pytest.raises(InputError, match="is not a NIfTI file"):
        read_exam(Path(__file__))
    with pytest.raises(InputError, match="holds 0 NIfTI files, no DICOM"):
        read_exam(tmp_path)
    with pytest.raises(InputError, match="no labels beside this exam that the layout nifti can read"):
        read_exam(save(tmp_path / "x.nii.gz", grey(20, 18, 4)), labels=True)


def test_cine_has_its_phases(data: Path) -> None:
    assert read_exam(data / "acdc" / "patient090" / "patient090_4d.nii.gz").images.shape[:2] == (12, 7)
