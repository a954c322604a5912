"""One way in: what a path is taken to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import dicoms
from helpers.niftis import grey, save

from dmcvr.errors import InputError
from dmcvr.io.read import find_exam, read_exam


def test_what_is_no_exam_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file or folder"):
        read_exam(tmp_path / "nowhere.nii.gz")
    with pytest.raises(InputError, match="is neither DICOM nor an image"):
        read_exam(Path(__file__))
    with pytest.raises(InputError, match="holds 0 images, no DICOM"):
        read_exam(tmp_path)
    with pytest.raises(InputError, match="no labels beside this exam that the layout nifti can read"):
        read_exam(save(tmp_path / "x.nii.gz", grey(20, 18, 4)), labels=True)


def test_one_image_beside_dicom_is_not_the_exam(tmp_path: Path) -> None:
    dicoms.cine(tmp_path)
    save(tmp_path / "made_of_it.nii.gz", grey(20, 18, 4))
    exam = find_exam(tmp_path)
    assert exam.source.layout == "dicom"
    assert exam.source.ignored == {"not DICOM": 1}


def test_dicom_is_dicom_whatever_its_name(tmp_path: Path) -> None:
    dicoms.enhanced(tmp_path / "x.nii.gz")
    assert find_exam(tmp_path / "x.nii.gz").source.layout == "dicom"


def test_cine_has_its_phases(data: Path) -> None:
    assert read_exam(data / "acdc" / "patient090" / "patient090_4d.nii.gz").images.shape[:2] == (12, 7)
