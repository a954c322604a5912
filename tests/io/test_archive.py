"""A zip of an exam: read as what is in it, bounded, and nothing left behind."""

from __future__ import annotations

import gc
import tempfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.niftis import grey

from dmcvr.errors import InputError
from dmcvr.io import archive
from dmcvr.io.read import find_exam, read_exam

NIFTI = nib.Nifti1Image(grey(20, 18, 4), np.diag([1.5, 1.5, 8, 1])).to_bytes()


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


ACDC = {"Info.cfg": b"ED: 1\nES: 5\n", "p_frame01.nii": NIFTI, "p_frame05.nii": NIFTI, "._p_frame01.nii": b"x"}


@pytest.mark.parametrize("above", ["", "p/", "data/set/p/", "data\\p\\"])
def test_an_exam_in_a_zip_is_read_and_nothing_is_left(tmp_path: Path, room: Path, above: str) -> None:
    path = zipped(tmp_path / "exam.bin", {above + name: data for name, data in ACDC.items()} | {"__MACOSX/x": b"x"})
    exam = find_exam(path)
    assert exam.source.layout == "acdc"
    assert "archive" in exam.source.notes[0]
    assert exam.read().phases == ("ED", "ES")
    assert sorted(tmp_path.iterdir()) == [path, room]
    del exam
    gc.collect()
    assert list(room.iterdir()) == []


def test_one_image_in_a_zip(tmp_path: Path) -> None:
    assert read_exam(zipped(tmp_path / "x.zip", {"a/b/x.nii": NIFTI})).images.shape == (1, 4, 20, 18)


def test_paths_that_lead_out_stay_in(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"../../evil": b"x", "/abs/x.nii": NIFTI, "abs\\..\\..\\evil": b"x"})
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, "/etc/passwd")
    assert find_exam(path).source.layout == "nifti"
    assert not list(tmp_path.rglob("evil"))


def test_what_no_exam_holds_is_refused(tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="x.zip holds no file"):
        find_exam(zipped(tmp_path / "x.zip", {}))
    with pytest.raises(InputError, match="x.zip.*holds 0 images, no DICOM"):
        find_exam(zipped(tmp_path / "x.zip", {"a.txt": b"x", "b.txt": b"y"}))
    whole = zipped(tmp_path / "x.zip", ACDC).read_bytes()
    for damaged in (whole[:-30], whole[:200], whole[:44] + b"xxxx" + whole[48:]):
        (tmp_path / "x.zip").write_bytes(damaged)
        with pytest.raises(InputError, match="x.zip"):
            read_exam(tmp_path / "x.zip")
    bomb = zipped(tmp_path / "bomb.zip", {"x.nii": bytes(archive.FREE_BYTES + 1)})
    with pytest.raises(InputError, match="bomb.zip unpacks to more than any exam holds"):
        find_exam(bomb)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(InputError, match="holds 3 files, more than any exam"):
        find_exam(zipped(tmp_path / "x.zip", ACDC))
    gc.collect()
    assert list(room.iterdir()) == []


def test_a_sentence_names_the_archive_and_not_where_it_was_unpacked(tmp_path: Path, room: Path) -> None:
    with pytest.raises(InputError) as error:
        find_exam(zipped(tmp_path / "x.zip", {"p/Info.cfg": b"ED: 1\n", "p/other": b""}))
    assert "x.zip/p has no p_frame01" in str(error.value)
    assert str(room) not in str(error.value)
