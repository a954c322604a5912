"""A BIDS dataset's short-axis cine, as people name it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.io.bids import Name, is_bids, short_axes
from dmcvr.io.read import find_exam, read_exam


def save(path: Path, *shape: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(len(path.name)).integers(0, 900, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1])), path)
    return path


STACK = (20, 18, 4)


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_acq-sax_cine",
        "sub-01_ses-2_acq-SA_run-1_cine",
        "sub-01_acq-cineShortAxis_bold",
        "sub-01_view-sax_cine",
        "sub-01_task-rest_acq-saxCine_bold",
        "sub-01_acq-bssfpSAX_T1w",
        "sub-01_sax",
    ],
)
def test_the_short_axis_is_known_by_name(name: str) -> None:
    found = Name.of(Path(f"{name}.nii.gz"))
    assert found is not None
    assert found.short_axis
    assert not found.long_axis
    assert not found.other


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("sub-01_acq-4ch_cine", "long_axis"),
        ("sub-01_acq-lax2ch_cine", "long_axis"),
        ("sub-01_acq-cineLVOT_cine", "long_axis"),
        ("sub-01_acq-sax_LGE", "other"),
        ("sub-01_acq-sax_T1map", "other"),
        ("sub-01_acq-sax_dseg", "other"),
        ("sub-01_acq-sax_part-phase_cine", "other"),
    ],
)
def test_what_it_is_not(name: str, what: str) -> None:
    found = Name.of(Path(f"{name}.nii.gz"))
    assert found is not None
    assert getattr(found, what)


@pytest.mark.parametrize("name", ["patient_sa.nii.gz", "sub_cine.nii.gz", "sub-01_acq_cine.nii.gz", "sub-01_cine.json"])
def test_no_name_of_bids(name: str) -> None:
    assert Name.of(Path(name)) is None


def test_a_session_is_read_with_the_persons_size(tmp_path: Path) -> None:
    file = save(tmp_path / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_acq-sax_cine.nii.gz", *STACK, 6)
    save(file.with_name("sub-01_ses-1_acq-4ch_cine.nii.gz"), 20, 18, 1, 6)
    save(file.with_name("sub-01_ses-1_acq-sax_T1map.nii.gz"), *STACK)
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\theight\tweight\nsub-01\tfemale\t1.7\t60\n")
    exam = find_exam(tmp_path / "sub-01" / "ses-1")
    assert exam.source.layout == "bids"
    assert [(piece.kind, piece.taken, piece.view) for piece in exam.source.pieces] == [
        ("short axis cine", True, ""),
        ("long axis cine", False, "4-chamber"),
    ]
    (plane,) = exam.long_axis
    pictures = plane.load([str(n) for n in range(6)])
    stored = np.asarray(nib.load(file.with_name("sub-01_ses-1_acq-4ch_cine.nii.gz")).dataobj)
    for n, picture in enumerate(pictures):
        np.testing.assert_array_equal(picture.image, stored[:, :, 0, n])
    for path in (tmp_path / "sub-01" / "ses-1", file):
        stack = read_exam(path)
        assert stack.images.shape[:2] == (6, 4)
        assert (stack.patient.sex, stack.patient.height_cm, stack.patient.weight_kg) == ("F", 170, 60)


def test_a_lone_cine_is_taken_and_one_of_two_is_not(tmp_path: Path) -> None:
    save(tmp_path / "sub-01" / "heart" / "sub-01_cine.nii.gz", *STACK, 6)
    save(tmp_path / "sub-01" / "heart" / "sub-01_acq-2ch_cine.nii.gz", 20, 18, 1, 6)
    assert [path.name for path in short_axes(tmp_path / "sub-01")] == ["sub-01_cine.nii.gz"]
    assert read_exam(tmp_path / "sub-01").images.shape[0] == 6
    for run in (1, 2):
        save(tmp_path / "sub-02" / "heart" / f"sub-02_acq-sax_run-{run}_cine.nii.gz", *STACK, 6)
    with pytest.raises(InputError, match=r"2 short-axis cines \(sub-02_acq-sax_run-1_cine.*give one of these files"):
        find_exam(tmp_path / "sub-02")


def test_a_dataset_is_no_exam(tmp_path: Path) -> None:
    for n in (1, 2):
        save(tmp_path / f"sub-0{n}" / "anat" / f"sub-0{n}_acq-sax_cine.nii.gz", *STACK, 6)
    assert not is_bids(tmp_path)
    with pytest.raises(InputError, match=r"holds 2 patients \(bids\)"):
        find_exam(tmp_path)


def test_without_a_short_axis_it_is_none(tmp_path: Path) -> None:
    save(tmp_path / "sub-01" / "anat" / "sub-01_T1map.nii.gz", *STACK)
    save(tmp_path / "sub-01" / "anat" / "sub-01_acq-4ch_cine.nii.gz", 20, 18, 1, 6)
    with pytest.raises(InputError, match="no session of BIDS"):
        find_exam(tmp_path / "sub-01", layout="bids")
