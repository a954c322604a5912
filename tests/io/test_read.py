"""One way in: what a path is taken to be, and labels that fit it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import dicoms
from helpers.niftis import OBLIQUE, grey, save

from dmcvr.errors import InputError
from dmcvr.io.read import find_exam, read_exam, with_labels


def test_labels_of_a_file_fit_the_stack(tmp_path: Path) -> None:
    downwards = OBLIQUE @ np.diag([1, 1, -1, 1])  # stored from the far end: the stack turns it
    exam = read_exam(save(tmp_path / "x.nii.gz", grey(20, 18, 7), downwards))
    labels = np.random.default_rng(1).integers(0, 4, (20, 18, 7)).astype(np.uint8)
    found = with_labels(exam, save(tmp_path / "l.nii.gz", labels, downwards), "mnms").labels
    assert found is not None
    np.testing.assert_array_equal(np.moveaxis(found[0], 0, 2)[..., ::-1], labels)
    with pytest.raises(InputError, match="lie elsewhere"):
        with_labels(exam, save(tmp_path / "e.nii.gz", labels), "mnms")
    with pytest.raises(InputError, match="1 phase.s., 6 slices"):
        with_labels(exam, save(tmp_path / "s.nii.gz", labels[..., :6], downwards), "mnms")


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
