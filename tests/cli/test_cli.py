"""The program as a person runs it: exit codes, sentences, whole folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dmcvr.cli.main import main
from dmcvr.io.acdc import read_acdc


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dmcvr.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    path = tmp_path / "exam.nii.gz"
    data = np.random.default_rng(0).integers(0, 900, (64, 64, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1])), path)
    return path


def test_listings_do_not_import_torch() -> None:
    for argument in ("models", "--help"):
        call = f"import sys; from dmcvr.cli.main import main\ntry: main([{argument!r}])\nexcept SystemExit: pass"
        command = [sys.executable, "-c", call + "\nassert 'torch' not in sys.modules"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "aligned" in run("models").stdout


def test_a_reader_that_has_seen_enough() -> None:
    """`dmcvr models | head -0`: quiet."""
    code = "from dmcvr.cli.main import main; main(['models'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


def test_demo_writes_everything(tmp_path: Path) -> None:
    done = run("demo", "-o", tmp_path / "heart", "--steps", "3", "--spacing", "2.5")
    assert done.returncode == 0, done.stderr
    assert "EF" in done.stdout
    names = {path.name for path in (tmp_path / "heart").iterdir()}
    records = {"measures.json", "measures.csv", "run.json", "report.html"}
    assert names == {"image.nii.gz", "labels.nii.gz", "labels", "acquired.nii.gz", "meshes", *records}
    assert {path.name for path in (tmp_path / "heart" / "labels").iterdir()} == {"ED.seg.nrrd", "ES.seg.nrrd"}


@pytest.mark.parametrize("broken", ["one slice", "empty", "nan", "2D", "label value", "cut off", "missing", "text"])
def test_bad_input_is_one_sentence_and_nothing_is_written(exam: Path, tmp_path: Path, broken: str) -> None:
    data = np.asanyarray(nib.load(exam).dataobj).astype(np.float32)
    extra: list[object] = []
    if broken == "one slice":
        data = data[:, :, :1]
    elif broken == "empty":
        data[:] = 0
    elif broken == "nan":
        data[5, 5, 2] = np.nan
    elif broken == "2D":
        data = data[:, :, 0]
    path = tmp_path / "bad.nii.gz"
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1])), path)
    if broken == "label value":
        labels = tmp_path / "labels.nii.gz"
        nib.save(nib.Nifti1Image(np.full(data.shape, 7, np.uint8), np.diag([1.5, 1.5, 8, 1])), labels)
        extra = ["--labels-in", labels, "--label-map", "acdc"]
    elif broken == "cut off":
        path.write_bytes(path.read_bytes()[:2000])
    elif broken == "missing":
        path.unlink()
    elif broken == "text":
        path.write_text("hello")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        main(["reconstruct", "-i", str(path), "-o", str(out), "--method", "linear", *map(str, extra)])
    assert stopped.value.code == 2
    assert not out.exists()
    assert not list(tmp_path.glob(".out-*"))


def test_the_sentence_is_all_that_is_printed(exam: Path, tmp_path: Path) -> None:
    exam.write_bytes(exam.read_bytes()[:3000])
    done = run("reconstruct", "-i", exam, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("dmcvr: exam.nii.gz cannot be read as NIfTI")
    assert len(done.stderr.strip().splitlines()) == 1


def test_unwritable_folder(exam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["reconstruct", "-i", str(exam), "-o", "/proc/nowhere/out", "--method", "linear"])
    assert stopped.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_exam_without_a_heart_is_said(exam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["reconstruct", "-i", str(exam), "-o", str(tmp_path / "out"), "--method", "linear"])
    assert "No heart was found" in capsys.readouterr().err


def test_phantoms_are_written_as_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["phantom", "-o", str(tmp_path), "-n", "2", "--seed", "4", "--spacing", "16"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["phantom004", "phantom005"]
    assert read_acdc(tmp_path / "phantom005", with_labels=True).spacing_mm == pytest.approx(16)
    assert "2 exam(s)" in capsys.readouterr().out


def test_wrong_words_exit_with_2() -> None:
    for arguments in (["paint"], ["reconstruct"], ["reconstruct", "-i", "x", "-o", "y", "--method", "magic"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
