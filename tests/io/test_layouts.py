"""Datasets as they lie on disk: recognised without being told, and read as told."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.io.read import LAYOUTS, find_exam, read_exam


def save(path: Path, *shape: int, labels: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(len(path.name)).integers(0, 4 if labels else 900, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1])), path)
    return path


STACK = (20, 18, 4)


def acdc(root: Path) -> Path:
    for frame in ("01", "05"):
        save(root / "p1" / f"p1_frame{frame}.nii.gz", *STACK)
        save(root / "p1" / f"p1_frame{frame}_gt.nii.gz", *STACK, labels=True)
    save(root / "p1" / "p1_4d.nii.gz", *STACK, 6)
    (root / "p1" / "Info.cfg").write_text("ED: 1\nES: 5\nHeight: 170.0\n")
    return root / "p1"


def mnms(root: Path) -> Path:
    cine = save(root / "Training" / "Labeled" / "A0S9V9" / "A0S9V9_sa.nii.gz", *STACK, 6)
    save(cine.with_name("A0S9V9_sa_gt.nii.gz"), *STACK, 6, labels=True)
    (root / "info.csv").write_text(
        "External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight\n"
        "B1,Siemens,A,1,0,0,1,NOR,M,1,1\nA0S9V9,Siemens,A,1,1,4,60,HCM,F,165,60.5\n"
    )
    return cine.parent


def mnms2(root: Path) -> Path:
    for phase in ("ED", "ES"):
        save(root / "001" / f"001_SA_{phase}.nii.gz", *STACK)
        save(root / "001" / f"001_SA_{phase}_gt.nii.gz", *STACK, labels=True)
        save(root / "001" / f"001_LA_{phase}.nii.gz", 20, 18, 1)
    return root / "001"


def ukbb(root: Path) -> Path:
    save(root / "1" / "sa.nii.gz", *STACK, 6)
    for phase in ("ED", "ES"):
        save(root / "1" / f"sa_{phase}.nii.gz", *STACK)
        save(root / "1" / f"label_sa_{phase}.nii.gz", *STACK, labels=True)
    save(root / "1" / "la_2ch.nii.gz", 20, 18, 1, 6)
    save(root / "1" / "la_4ch.nii.gz", 20, 18, 1, 6)
    return root / "1"


def nnunet(root: Path) -> Path:
    image = save(root / "Dataset027" / "imagesTr" / "case_0000.nii.gz", *STACK)
    save(root / "Dataset027" / "labelsTr" / "case.nii.gz", *STACK, labels=True)
    names = {"background": 0, "RV": 1, "MLV": 2, "LVC": 3}
    (root / "Dataset027" / "dataset.json").write_text(json.dumps({"labels": names}))
    return image.parent.parent


MAKERS = {"acdc": acdc, "mnms": mnms, "mnms2": mnms2, "ukbb": ukbb, "nnunet": nnunet}


@pytest.mark.parametrize("name", MAKERS)
def test_a_layout_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    exam = find_exam(path)
    assert exam.source.layout == name
    stack = exam.read()
    assert stack.phases == (("0",) if name == "nnunet" else ("ED", "ES"))
    assert stack.images.shape[1:] == (4, 20, 18)
    assert stack.source == exam.source
    labelled = exam.read(labels=True)
    assert labelled.labels is not None
    assert set(np.unique(labelled.labels)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(read_exam(path, layout=name).images, stack.images)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        read_exam(path, layout="dicom")


def test_mnms_takes_ed_and_es_from_its_table(tmp_path: Path) -> None:
    folder = mnms(tmp_path)
    cine = np.asarray(nib.load(folder / "A0S9V9_sa.nii.gz").dataobj)
    stack = read_exam(folder, labels=True)
    np.testing.assert_array_equal(stack.images, np.moveaxis(cine[..., [1, 4]], (3, 2), (0, 1)))
    assert (stack.patient.height_cm, stack.patient.sex, stack.patient.group) == (165, "F", "HCM")
    assert read_exam(folder / "A0S9V9_sa.nii.gz", layout="nifti").phases == tuple("012345")
    (tmp_path / "info.csv").write_text("External code;ED;ES\nA0S9V9;1;77\n")
    with pytest.raises(InputError, match="phase 77 was asked for"):
        read_exam(folder)
    (tmp_path / "info.csv").write_text("External code,ED,ES\nA0S9V9,first,2\n")
    with pytest.raises(InputError, match="'first' as the ED frame"):
        read_exam(folder)
    (tmp_path / "info.csv").unlink()
    stack = read_exam(folder)
    assert len(stack.phases) == 6
    assert "No table names" in stack.warnings[0]


def test_ukbb_without_frames_is_the_whole_cine(tmp_path: Path) -> None:
    folder = ukbb(tmp_path)
    assert [piece.kind for piece in find_exam(folder).source.pieces].count("long axis cine") == 2
    for path in folder.glob("*sa_E*"):
        path.unlink()
    assert read_exam(folder).phases == tuple("012345")


def test_nnunet_numbers_labels_as_its_names_say(tmp_path: Path) -> None:
    root = nnunet(tmp_path)
    stored = np.asarray(nib.load(root / "labelsTr" / "case.nii.gz").dataobj)
    labels = read_exam(root, labels=True).labels
    assert labels is not None
    np.testing.assert_array_equal(labels[0] == 1, np.moveaxis(stored == 3, 2, 0))
    (root / "dataset.json").write_text('{"labels": {"background": 0, "a": 1, "b": 2, "c": 3}}')
    with pytest.raises(InputError, match="no labels beside"):
        read_exam(root, labels=True)
    assert "--label-map" in find_exam(root).source.notes[0]
    save(root / "imagesTr" / "other_0000.nii.gz", *STACK)
    with pytest.raises(InputError, match="holds 2 cases"):
        read_exam(root)
    assert read_exam(root / "imagesTr" / "case_0000.nii.gz").phases == ("0",)


def test_what_is_no_exam_is_said(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        save(tmp_path / name, *STACK)
    with pytest.raises(InputError, match="holds 2 images, no DICOM"):
        read_exam(tmp_path)
    for name in LAYOUTS:
        with pytest.raises(InputError):
            read_exam(tmp_path, layout=name)  # type: ignore[arg-type]


SIDE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(500)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("change", ["upper case", "not packed", "side files"])
def test_names_and_packing_may_be_others(name: str, change: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    right = read_exam(path, labels=True)
    for file in sorted(tmp_path.rglob("*.nii.gz")):
        if change == "upper case":
            file.rename(file.with_name(file.name.replace(".nii.gz", ".NII.GZ")))
        elif change == "not packed":
            file.write_bytes(gzip.decompress(file.read_bytes()))
        else:
            file.with_name(f"._{file.name}").write_bytes(SIDE)
    found = read_exam(path, labels=True)
    np.testing.assert_array_equal(found.images, right.images)
    np.testing.assert_array_equal(found.labels, right.labels)


def test_a_renamed_acdc_folder_is_read(tmp_path: Path) -> None:
    assert read_exam(acdc(tmp_path).rename(tmp_path / "renamed")).phases == ("ED", "ES")


@pytest.mark.parametrize(("name", "above"), [("acdc", ""), ("mnms", "Training/Labeled"), ("ukbb", ""), ("mnms2", "a")])
def test_a_folder_of_patients_is_said(name: str, above: str, tmp_path: Path) -> None:
    one = MAKERS[name](tmp_path / "made")
    for n in (1, 2, 3):
        shutil.copytree(one, tmp_path / "all" / above / f"{one.name}{n}")
        for file in (tmp_path / "all" / above / f"{one.name}{n}").iterdir():
            file.rename(file.with_name(file.name.replace(one.name, f"{one.name}{n}")))
    with pytest.raises(InputError, match=rf"holds 3 patients \({name}\).*such as .*{one.name}1"):
        find_exam(tmp_path / "all")
    for n in (2, 3):
        shutil.rmtree(tmp_path / "all" / above / f"{one.name}{n}")
    with pytest.raises(InputError, match=rf"holds the folder of one \({name}\): give .*{one.name}1"):
        find_exam(tmp_path / "all")


@pytest.mark.misuse
def test_an_unknown_layout_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown layout"):
        read_exam(tmp_path, layout="attic")  # type: ignore[arg-type]


@pytest.mark.parametrize(("folder", "layout", "slices"), [("acdc/patient001", "acdc", 10), ("mnms2", "mnms2", 12)])
def test_real_exams(data: Path, folder: str, layout: str, slices: int, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(data / folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["layout"] == layout
    assert [piece["slices"] for piece in found["pieces"] if piece["taken"]] == [slices, slices]
    assert read_exam(data / folder).images.shape[:2] == (2, slices)
