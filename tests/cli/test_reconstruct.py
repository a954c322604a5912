"""`dmcvr reconstruct`, `demo` and `report`: whole folders, or one sentence before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.models import TRAINING
from helpers.niftis import grey, save
from helpers.program import NEEDLESS, refusal, run

from dmcvr.cli.main import main
from dmcvr.model.checkpoint import save_weights
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import TINY


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Noise: no heart."""
    return save(tmp_path / "exam.nii.gz", grey(64, 64, 5))


def test_demo_writes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "-o", str(tmp_path / "heart"), "--steps", "1", "--spacing", "8", "--device", "cpu"])
    said = capsys.readouterr()
    assert "LV: EDV" in said.out
    assert "EF" in said.out
    assert "not a medical device" in said.out
    names = {path.name for path in (tmp_path / "heart").iterdir()}
    records = {"measures.json", "measures.csv", "run.json", "report.html"}
    assert names == {
        "image.nii.gz",
        "labels.nii.gz",
        "labels",
        "acquired",
        "acquired.nii.gz",
        "acquired_labels.nii.gz",
        "observed.nii.gz",
        "uncertainty.nii.gz",
        "meshes",
        *records,
    }
    assert {path.name for path in (tmp_path / "heart" / "labels").iterdir()} == {"ED.seg.nrrd", "ES.seg.nrrd"}
    (tmp_path / "heart" / "report.html").unlink()
    main(["report", str(tmp_path / "heart")])
    assert (tmp_path / "heart" / "report.html").is_file()


def test_nothing_but_the_image(exam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An exam without a heart, and neither labels nor meshes are wanted."""
    out = tmp_path / "out"
    formats = ["--label-format", "none", "--mesh-format", "none"]
    main(
        [
            "reconstruct",
            "-i",
            str(exam),
            "-o",
            str(out),
            "--method",
            "linear",
            "--spacing",
            "4",
            "--allow-empty",
            *formats,
        ]
    )
    assert "No heart is seen" in capsys.readouterr().err
    records = {"measures.json", "measures.csv", "run.json", "report.html"}
    assert {path.name for path in out.rglob("*")} == {"image.nii.gz", "acquired.nii.gz", *records}


def test_what_is_read_is_not_replaced(exam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    labels = save(tmp_path / "out" / "l.nii.gz", grey(64, 64, 5))
    for given in (("-i", exam, "--labels-in", labels), ("-i", labels)):
        said = refusal("reconstruct", *given, "-o", tmp_path / "out", capsys=capsys)
        assert "l.nii.gz lies in" in said
        assert said.endswith("which would be replaced: choose another folder with -o.")
    assert labels.is_file()


def test_no_heart_is_an_error_of_its_own(exam: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["reconstruct", "-i", str(exam), "-o", str(tmp_path / "out"), "--method", "linear", "--spacing", "8"])
    assert stopped.value.code == 3
    *_, sentence = capsys.readouterr().err.splitlines()  # on a slow machine after lines of progress
    assert sentence.startswith("dmcvr: No heart is seen in these slices: no left ventricle with a wall was found; give")
    assert "--allow-empty" in sentence
    assert not (tmp_path / "out").exists()


#: What is refused by the command's words alone, and what the sentence says.
WORDS = [
    (["--mesh-format", "xyz"], "Unknown mesh format 'xyz': choose one of ply, stl, vtp, glb, none."),
    (["--label-format", "nifti,none"], "Expected label formats, or none alone; got nifti, none."),
    (["--steps", "0"], "Expected --steps of 1 or more; got 0."),
    (["--steps", "500"], "Expected to start at time 500 to 999; got 100."),
    (["--spacing", "0.1"], "Expected a spacing of 0.4 to 10 mm; got 0.1."),
    (["--ed", "3", "--es", "3"], "End-diastole and end-systole cannot both be phase 3: change --ed or --es."),
    (["--image", "mean", "--method", "linear"], "draws no mean: use --image sharp"),
    (["--image", "mean", "--weights", "compact"], "draw no mean: use others, or --image sharp."),
    (
        ["--labels-in", "nowhere.nii.gz"],
        "no file or folder nowhere.nii.gz with labels (--labels-in)",
    ),
    (["--weights", "nowhere"], "There are no weights at nowhere"),
    (["--phase", "5-3"], "Expected --phase as all, ED,ES, 3,7 or 0-9; got '5-3'."),
    (["--log-json", "/proc/nowhere/log"], "The log /proc/nowhere/log cannot be written (No such file or directory)"),
    (["-o", "/proc/nowhere/out"], "The folder /proc/nowhere/out cannot be written"),
]


@pytest.mark.parametrize(
    ("words", "sentence"), WORDS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_options_are_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    status = 4 if "cannot be written" in sentence else 2
    usual = ("reconstruct", "-i", "exam.nii.gz", "-o", tmp_path / "out")
    assert sentence in refusal(*usual, *words, capsys=capsys, status=status)
    assert list(tmp_path.iterdir()) == []


def test_such_a_refusal_imports_nothing_heavy(tmp_path: Path) -> None:
    usual = ("reconstruct", "-i", tmp_path / "exam.nii.gz", "-o", tmp_path / "out")
    for words in (["--mesh-format", "xyz"], ["--weights", "nowhere"], ["--image", "mean", "--weights", "compact"]):
        done = run(*usual, *words)
        assert done.returncode == 2
        sentence, imported = done.stderr.strip().splitlines()
        assert sentence.startswith("dmcvr: ")
        assert imported == "IMPORTED"


def test_a_whole_run_imports_nothing_needless(exam: Path, tmp_path: Path) -> None:
    words = ("--method", "linear", "--spacing", "6", "--allow-empty")
    done = run("reconstruct", "-i", exam, "-o", tmp_path / "out", *words, heavy=NEEDLESS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "IMPORTED"


def test_too_little_room_is_said_at_once(tmp_path: Path) -> None:
    full = "import collections, shutil\nshutil.disk_usage = lambda path: collections.namedtuple('U', 'free')(2**20)"
    done = run("demo", "-o", tmp_path / "out", before=full)
    sentence, imported = done.stderr.strip().splitlines()
    assert "The results need about 48 MiB, and" in sentence
    assert "has 1 left: make room" in sentence
    assert (done.returncode, imported) == (4, "IMPORTED")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_kind(tmp_path: Path, exam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.safetensors"
    save_weights(Segmenter(TINY.segmenter), path, preset=TINY, training=TRAINING)
    sentence = refusal("reconstruct", "-i", exam, "-o", tmp_path / "out", "--weights", path, capsys=capsys)
    assert sentence == f"{path} holds a morphology network; expected an autoencoder (--weights)."


@pytest.mark.parametrize("name", ["phase", "ed", "es"])
def test_a_phase_that_is_not_there_is_said_by_headers_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = save(tmp_path / "cine.nii.gz", grey(64, 64, 5, 3))
    monkeypatch.setattr("dmcvr.io.image.read_image", lambda path: pytest.fail("voxels were read"))
    sentence = refusal("reconstruct", "-i", path, "-o", tmp_path / "out", f"--{name}", 99, capsys=capsys)
    assert sentence == f"Phase 99 (--{name}) is not in this exam: it has 3, counted from 0."
    done = run("reconstruct", "-i", path, "-o", tmp_path / "out", f"--{name}", 3)
    assert done.returncode == 2
    assert "torch" not in done.stderr.splitlines()[-1]


def test_room_is_needed_for_every_phase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 MiB are room for one phase and not for three."""

    class Usage:
        free = 30 * 2**20

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    path = save(tmp_path / "cine.nii.gz", grey(64, 64, 5, 3))
    sentence = refusal("reconstruct", "-i", path, "-o", tmp_path / "out", capsys=capsys, status=4)
    assert "The results need about 72 MiB" in sentence
    two = refusal("reconstruct", "-i", path, "-o", tmp_path / "out", "--phase", "ED,ES", capsys=capsys, status=4)
    assert "The results need about 48 MiB" in two


def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, exam: Path) -> None:
    """A limit of the system stands for the disk: files may grow to 100 kB. Nothing stays, and the status tells."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    out = tmp_path / "out"
    words = ["reconstruct", "-i", exam, "-o", out, "--method", "nearest", "--spacing", "1.5", "--allow-empty"]
    done = run(*words, before=limit)
    sentence, _ = done.stderr.strip().splitlines()[-2:]
    assert sentence.startswith(
        f"dmcvr: The results cannot be written to {out} (File too large), nothing of them is left"
    )
    assert done.returncode == 4
    assert list(tmp_path.iterdir()) == [exam]


@pytest.mark.parametrize("broken", ["one slice", "empty", "nan", "2D", "label value", "cut off", "missing", "text"])
def test_bad_input_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    data = grey(64, 64, 5).astype(np.float32)
    extra: list[object] = []
    if broken == "one slice":
        data = data[:, :, :1]
    elif broken == "empty":
        data[:] = 0
    elif broken == "nan":
        data[:, :, 2] = np.nan
    elif broken == "2D":
        data = data[:, :, 0]
    path = save(tmp_path / "bad.nii.gz", data)
    if broken == "label value":
        labels = save(tmp_path / "labels.nii.gz", np.full(data.shape, 7, np.uint8))
        extra = ["--labels-in", labels, "--label-map", "acdc"]
    elif broken == "cut off":
        path.write_bytes(path.read_bytes()[:2000])
    elif broken == "missing":
        path.unlink()
    elif broken == "text":
        path.write_text("hello")
    out = tmp_path / "out"
    refusal("reconstruct", "-i", path, "-o", out, "--method", "linear", *extra, capsys=capsys)
    assert not out.exists()
    assert not list(tmp_path.glob(".out-*"))


def test_a_file_or_a_folder_of_someone_else_is_no_output(
    tmp_path: Path, exam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is a file" in refusal("reconstruct", "-i", exam, "-o", exam, capsys=capsys)
    assert "is not empty" in refusal("reconstruct", "-i", exam, "-o", tmp_path, capsys=capsys)
    assert "no result of dmcvr reconstruct" in refusal("report", tmp_path, capsys=capsys)
