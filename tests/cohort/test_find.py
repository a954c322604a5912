"""Exams are found in every layout, once, under names that do not depend on anything but their place."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.dicoms import cine
from helpers.niftis import grey, save

from dmcvr.cohort.find import Wanted, find_exams, found_at, listed_exams, part_of
from dmcvr.errors import InputError


def names(root: Path, wanted: Wanted | None = None, besides: Path | None = None) -> list[str]:
    return [exam.name for exam in find_exams(root, wanted or Wanted(), besides=besides)]


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, grey(8, 8, 3))


def acdc(folder: Path) -> Path:
    image(folder / f"{folder.name}_frame01.nii.gz")
    image(folder / f"{folder.name}_frame01_gt.nii.gz")
    (folder / "Info.cfg").write_text("ED: 1\n")
    return folder


def test_every_layout_below_one_folder(tmp_path: Path) -> None:
    acdc(tmp_path / "acdc" / "patient001")
    acdc(tmp_path / "acdc" / "patient002")
    image(tmp_path / "ukbb" / "1000012" / "sa.nii.gz")
    image(tmp_path / "ukbb" / "1000012" / "la_2ch.nii.gz")
    image(tmp_path / "mnms2" / "001" / "001_SA_ED.nii.gz")
    image(tmp_path / "mnms2" / "001" / "001_LA_ED.nii.gz")
    image(tmp_path / "mnms" / "A0S9V9" / "A0S9V9_sa.nii.gz")
    image(tmp_path / "mnms" / "A0S9V9" / "A0S9V9_sa_gt.nii.gz")
    for case in ("heart_001", "heart_002"):
        image(tmp_path / "Dataset027" / "imagesTr" / f"{case}_0000.nii.gz")
        image(tmp_path / "Dataset027" / "imagesTr" / f"{case}_0001.nii.gz")
        image(tmp_path / "Dataset027" / "labelsTr" / f"{case}.nii.gz")
    image(tmp_path / "own" / "deep" / "er" / "x" / "stack.nii.gz")
    image(tmp_path / "flat" / "one.nii.gz")
    image(tmp_path / "flat" / "two.nii")
    image(tmp_path / "flat" / "two_seg.nii.gz")
    (tmp_path / "flat" / "notes.txt").write_text("none")
    with zipfile.ZipFile(tmp_path / "flat" / "three.zip", "w") as archive:
        archive.write(tmp_path / "flat" / "one.nii.gz", "one.nii.gz")
    assert names(tmp_path) == [
        "Dataset027+imagesTr+heart_001_0000",
        "Dataset027+imagesTr+heart_002_0000",
        "acdc+patient001",
        "acdc+patient002",
        "flat+one",
        "flat+three.zip",
        "flat+two.nii",
        "mnms+A0S9V9",
        "mnms2+001",
        "own+deep+er+x",
        "ukbb+1000012",
    ]


def test_dicom_is_one_exam_a_study_however_its_series_lie(tmp_path: Path) -> None:
    for study, patient in (("1.2.1", "ann"), ("1.2.2", "bob")):
        for series in ("1", "2", "3"):
            cine(tmp_path / patient / series, phases=1, series=f"{study}.{series}", StudyInstanceUID=study)
    cine(tmp_path / "eve", phases=1, series="1.2.3.1", StudyInstanceUID="1.2.3")
    assert names(tmp_path) == ["ann", "bob", "eve"]


def test_the_input_itself_may_be_an_exam(tmp_path: Path) -> None:
    assert names(acdc(tmp_path / "patient001")) == ["patient001"]
    assert names(image(tmp_path / "stack.nii.gz")) == ["stack"]
    with pytest.raises(InputError, match="no file or folder"):
        names(tmp_path / "nowhere")


def test_what_is_no_exam_of_this_cohort(tmp_path: Path) -> None:
    acdc(tmp_path / "in" / "patient001")
    acdc(tmp_path / "in" / ".hidden")
    acdc(tmp_path / "in" / "out" / "patient009")  # whatever lies in the output
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")  # a link that leads round
    result = tmp_path / "in" / "result"
    image(result / "image.nii.gz")
    for name in ("run.json", "measures.json"):
        (result / name).write_text("{}")
    (tmp_path / "in" / "linked").symlink_to(acdc(tmp_path / "elsewhere" / "patient002"))
    assert names(tmp_path / "in", besides=tmp_path / "in" / "out") == ["linked", "patient001"]


def test_what_cannot_be_looked_at_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acdc(tmp_path / "patient001")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert names(tmp_path) == ["locked", "patient001"]


def test_the_first_is_there_before_the_last_is_looked_at(tmp_path: Path) -> None:
    for n in range(3):
        acdc(tmp_path / f"patient{n}")
    walk = find_exams(tmp_path, Wanted())
    assert next(walk).name == "patient0"
    (tmp_path / "patient2" / "Info.cfg").unlink()
    (tmp_path / "patient2" / "patient2_frame01.nii.gz").unlink()
    (tmp_path / "patient2" / "patient2_frame01_gt.nii.gz").unlink()
    assert [exam.name for exam in walk] == ["patient1"]


def test_include_exclude_and_parts(tmp_path: Path) -> None:
    for site in ("a", "b"):
        for n in range(10):
            acdc(tmp_path / site / f"patient{n}")
    assert names(tmp_path, Wanted(include=("a/*",))) == [f"a+patient{n}" for n in range(10)]
    assert names(tmp_path, Wanted(include=("patient[12]",), exclude=("b",))) == ["a+patient1", "a+patient2"]
    parts = [names(tmp_path, Wanted(part=(k, 3))) for k in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == names(tmp_path)
    assert all(parts)
    # the same on every machine: a hash that Python salts would not be
    assert [part_of(name, 1000) for name in ("patient001", "a+b")] == [839, 547]


def test_names_are_folder_safe_and_never_the_same(tmp_path: Path) -> None:
    places = ["a/b", "a+b", "a", "ä/b", "a_b", "a/b c", "a/b\tc", ".a", "x" * 150, "x" * 151, "../other/a", "a.b"]
    found = [found_at(tmp_path / "in" / place, tmp_path / "in").name for place in places]
    assert found[0] == "a+b"
    assert found[5] == "a+b c"
    assert len(set(found)) == len(places)
    assert all("/" not in name and not name.startswith(".") and len(name) < 200 for name in found)
    assert found == [found_at(tmp_path / "in" / place, tmp_path / "in").name for place in places]


def test_an_image_beside_a_folder_of_its_name_keeps_its_ending(tmp_path: Path) -> None:
    image(tmp_path / "a.nii.gz")
    image(tmp_path / "b.nii.gz")
    acdc(tmp_path / "a")
    assert names(tmp_path) == ["a", "a.nii.gz", "b"]


def test_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text(f"site/a\n\nb.nii.gz\n{tmp_path}/in/c\n")
    exams = list(listed_exams(listing, tmp_path / "in", Wanted()))
    assert [exam.name for exam in exams] == ["site+a", "b", "c"]
    assert exams[0].path == tmp_path / "in" / "site" / "a"
    with listing.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert [exam.name for exam in listed_exams(Path("-"), tmp_path / "in", Wanted())] == ["site+a", "b", "c"]
    with pytest.raises(InputError, match="cannot be read"):
        list(listed_exams(tmp_path / "none.txt", tmp_path, Wanted()))
