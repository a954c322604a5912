"""A BIDS dataset of phantoms through the command line, as a BIDS App is called."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas
import pytest

from dmcvr.cli.main import main
from dmcvr.cohort.bids import find_exams, read_rows
from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.volume import Volume
from dmcvr.io.nifti import write_nifti

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'dmcvr[cohort]'")


def dataset(root: Path) -> Path:
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "made up", "BIDSVersion": "1.10.0"}')
    return root


def save(path: Path, stack: SliceStack) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = stack.affines[0].copy()
    affine[:3, 2] = stack.affines[1][:3, 3] - stack.affines[0][:3, 3]
    write_nifti(path, Volume(np.moveaxis(stack.images, 1, 3), affine))
    return path


def empty(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.zeros((20, 18, 4), np.int16), np.diag([1.5, 1.5, 8, 1])), path)
    return path


def status(*arguments: str) -> int:
    try:
        main(["bids", *arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_participants_then_the_group(
    short: SliceStack, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = dataset(tmp_path / "raw"), tmp_path / "derivatives"
    save(root / "sub-01" / "ses-a" / "heart" / "sub-01_ses-a_acq-sax_cine.nii.gz", short)
    (root / "sub-02").mkdir()
    one = [str(root), str(out), "participant", "--method", "linear", "--spacing", "3", "--device", "cpu"]
    assert status(*one, "--participant_label", "01", "02") == 3
    said = capsys.readouterr()
    assert "sub-02: There is no short-axis cine" in said.out
    assert "1 of 2 done" in said.out

    folder = out / "sub-01" / "ses-a" / "heart"
    stem = "sub-01_ses-a_acq-sax"
    dense, labels = (nib.load(folder / f"{stem}_desc-dmcvr_{suffix}.nii.gz") for suffix in ("cine", "dseg"))
    assert dense.shape == labels.shape
    known = pandas.read_csv(folder / f"{stem}_desc-dmcvr_dseg.tsv", sep="\t")
    assert set(known["index"]) == set(np.unique(np.asarray(labels.dataobj))) - {0}
    measures = pandas.read_csv(folder / f"{stem}_desc-dmcvr_measures.tsv", sep="\t", dtype=str)
    run = json.loads((folder / f"{stem}_desc-dmcvr_run.json").read_text())
    assert set(measures.phase.dropna()) == set(run["phases"])
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "dmcvr"
    assert (out / description["DatasetLinks"]["raw"]).resolve() == root.resolve()
    about = json.loads((folder / f"{stem}_desc-dmcvr_cine.json").read_text())
    assert (root / about["Sources"][0].removeprefix("bids:raw:")).is_file()
    assert not list(out.rglob(".making-*"))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("what is done is not done again")

    monkeypatch.setattr("dmcvr.cohort.bids._reconstructed", never)
    assert status(*one, "--participant-label", "sub-01") == 0
    assert "done before" in capsys.readouterr().out

    assert status(str(root), str(out), "group") == 0
    wide = pandas.read_csv(out / "measures_wide.csv")
    assert list(wide.exam) == [f"{stem}_cine"]
    assert wide.lv_cavity_ml[0] > 0
    failures = pandas.read_csv(out / "failures.csv")
    assert list(failures.exam) == ["sub-02"]
    assert (out / f"{stem}_cine.html").is_file()
    assert '"report":"{exam}.html"' in (out / "index.html").read_text().replace(": ", ":")


def test_one_that_fails_for_no_reason_stops_no_other(
    short: SliceStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = dataset(tmp_path / "raw"), tmp_path / "out"
    for n in (1, 2):
        empty(root / f"sub-0{n}" / "anat" / f"sub-0{n}_acq-sax_cine.nii.gz")

    def broken(source: Path, *_: object) -> None:
        raise ZeroDivisionError("division by zero") if "sub-01" in source.name else InputError("Bad: mend it.")

    monkeypatch.setattr("dmcvr.cohort.bids._reconstructed", broken)
    monkeypatch.setattr("dmcvr.cohort.bids._engine", lambda options: object())
    assert status(str(root), str(out), "participant") == 3
    rows = list(read_rows(out))
    assert [row.kind for row in rows] == ["fault", "input"]
    assert "ZeroDivisionError" in rows[0].sentence
    assert rows[1].sentence == "Bad: mend it."


def test_which_exams(tmp_path: Path) -> None:
    root = dataset(tmp_path / "raw")
    for session in ("a", "b"):
        for run in (1, 2):
            empty(root / "sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}_acq-sax_run-{run}_cine.nii.gz")
    empty(root / "sub-02" / "heart" / "sub-02_cine.nii.gz")
    (root / "sub-03" / "ses-a").mkdir(parents=True)
    names = [exam.name for exam in find_exams(root)]
    assert len(names) == len(set(names)) == 6
    assert names[-2:] == ["sub-02_cine", "sub-03_ses-a"]
    assert [exam.name for exam in find_exams(root, ["01"], ["ses-b"])] == [
        f"sub-01_ses-b_acq-sax_run-{run}_cine" for run in (1, 2)
    ]
    assert [exam.source is None for exam in find_exams(root, ["sub-03"])] == [True]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "out", "participant"], "There is no folder nowhere"),
        (["bare", "out", "participant"], "--skip-bids-validation"),
        (["bare", "out", "participant", "--skip-bids-validation"], "holds no folder like sub-01"),
        (["raw", "out", "participant", "--participant-label", "09"], "no participant sub-09"),
        (["raw", "out", "participant", "--session-label", "z"], "No session is called z"),
        (["raw", "out", "participant", "--labels-in", "raw"], "one exam's"),
        (["raw", "out", "group"], "run the participants first"),
    ],
)
def test_what_cannot_be_used_is_said(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    empty(dataset(tmp_path / "raw") / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_acq-sax_cine.nii.gz")
    assert status(*arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
