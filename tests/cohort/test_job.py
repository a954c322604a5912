"""What a worker makes of one exam: the same as `dmcvr reconstruct`, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from helpers.niftis import grey, save

from dmcvr.cohort.find import found_at
from dmcvr.cohort.job import NoRoomError, Task, WorkerError, do_exam, row_of, sweep
from dmcvr.cohort.settings import Settings
from dmcvr.options import Options
from dmcvr.reconstruction import reconstruct

#: So plain that it takes no time; noise shows no heart.
PLAIN = Options(method="nearest", spacing_mm=8.0, allow_empty=True, align_slices="off", device="cpu")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """An exam of noise."""
    (tmp_path / "in").mkdir()
    path = save(tmp_path / "in" / "exam.nii.gz", grey(64, 64, 4))
    (tmp_path / "out" / "exams").mkdir(parents=True)
    settings = Settings(options=PLAIN, keep=("labels", "measures"), label_formats=("nifti",))
    return Task(found_at(path, tmp_path / "in"), tmp_path / "out", settings, version("dmcvr"))


def test_an_exam_is_what_reconstruct_makes_of_it(task: Task, tmp_path: Path) -> None:
    row = do_exam(task)
    assert (row.state, row.exam, row.source, row.sentence) == ("done", "exam", "exam.nii.gz", "")
    assert row.bytes == sum(path.stat().st_size for path in task.folder.iterdir())
    assert row.summary is not None
    assert json.loads((task.folder / "summary.json").read_text()) == row.summary
    reconstruct(task.exam.path, PLAIN).save(tmp_path / "alone", label_formats=("nifti",), mesh_formats=(), case="exam")
    ours, theirs = ({path.name for path in folder.iterdir()} for folder in (task.folder, tmp_path / "alone"))
    assert ours == theirs - {"image.nii.gz", "acquired.nii.gz", "report.html"} | {"summary.json"}
    for name in ("labels.nii.gz", "observed.nii.gz", "measures.json", "measures.csv"):
        assert (task.folder / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    records = [json.loads((folder / "run.json").read_text()) for folder in (task.folder, tmp_path / "alone")]
    assert [key for key in records[1] if records[0][key] != records[1][key]] == ["seconds"]
    assert row_of(task.exam, task.out) == replace(row, seconds=row.summary["seconds"])


def test_what_is_there_is_not_done_again(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    task.folder.mkdir()
    (task.folder / "summary.json").write_text(json.dumps({"seconds": 7.5}))
    monkeypatch.setattr("dmcvr.cohort.job._make", lambda *args: pytest.fail("it was done again"))
    row = do_exam(task)
    assert (row.state, row.seconds, row.summary) == ("done", 7.5, {"seconds": 7.5})


@pytest.mark.parametrize("how", ["removed", "cut off", "no heart", "fault"])
def test_a_failure_is_the_sentence_of_reconstruct_and_leaves_nothing(
    task: Task, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {
        "removed": ("input", f"There is no file or folder {task.exam.path}: check the path."),
        "cut off": ("input", "exam.nii.gz is damaged: it is cut off; copy or export it again."),
        "no heart": ("no heart", "No heart is seen in these slices: no left ventricle with a wall was found; give a "),
        "fault": ("fault", "A fault of dmcvr's own (ZeroDivisionError: of all things, test_job.py line "),
    }
    if how == "removed":
        task.exam.path.unlink()
    elif how == "cut off":
        task.exam.path.write_bytes(task.exam.path.read_bytes()[:5000])
    elif how == "no heart":
        task = replace(task, settings=replace(task.settings, options=replace(PLAIN, allow_empty=False)))
    else:

        def fail(*args: object, **options: object) -> None:
            raise ZeroDivisionError("of all things")

        monkeypatch.setattr("dmcvr.reconstruction.reconstruct", fail)
    row = do_exam(task)
    kind, sentence = expected[how]
    assert (row.state, row.kind) == ("failed", kind)
    assert row.sentence.startswith(sentence)
    assert list((task.out / "exams").iterdir()) == []


def test_a_sentence_of_a_pseudonymised_exam_names_nothing(task: Task) -> None:
    task.exam.path.write_bytes(b"damaged")
    hidden = replace(task, exam=replace(task.exam, name="abc", source="abc"), secrets=("exam.nii.gz", "exam"))
    assert do_exam(hidden).sentence.startswith("abc cannot be read as NIfTI")
    gone = replace(
        hidden,
        exam=replace(hidden.exam, path=task.exam.path / "MILLER"),
        secrets=(str(task.exam.path / "MILLER"), "MILLER"),
    )
    assert do_exam(gone).sentence == "There is no file or folder abc: check the path."


@pytest.mark.parametrize("where", ["write", "sync"])
def test_a_full_disk_is_no_exams_fault(task: Task, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dmcvr.reconstruction.write_result" if where == "write" else "dmcvr.cohort.job.sync", full)
    with pytest.raises(NoRoomError, match="No space left on device"):
        do_exam(task)
    assert list((task.out / "exams").iterdir()) == []
    monkeypatch.undo()
    assert do_exam(task).state == "done"


def test_a_worker_of_another_version_does_nothing(task: Task) -> None:
    with pytest.raises(WorkerError, match="install the same everywhere"):
        do_exam(replace(task, version="0.0.1"))
    assert not task.folder.exists()


def test_only_what_the_dead_left_is_swept_and_of_this_part(tmp_path: Path) -> None:
    exams = tmp_path / "exams"
    from dmcvr.cohort.find import part_of

    names = [f"exam{n}" for n in range(6)]
    for name in names:
        (exams / name).mkdir(parents=True)
        (exams / f".{name}-0a1b2c3d").mkdir()
        (exams / f".{name}-0a1b2c3d" / "file").write_text("half")
        (exams / f".{name}-99999999.old").mkdir()
    sweep(tmp_path, (1, 2))
    left = {path.name for path in exams.iterdir()}
    assert set(names) <= left
    kept = {name for name in names if part_of(name, 2) == 2}
    assert 0 < len(kept) < 6
    assert left - set(names) == {f".{name}-{end}" for name in kept for end in ("0a1b2c3d", "99999999.old")}
    sweep(tmp_path, (2, 2))
    assert {path.name for path in exams.iterdir()} == set(names)


def test_what_was_kept_can_be_looked_at(task: Task) -> None:
    """With everything kept it is a result that reads back."""
    from dmcvr.io.result import read_result
    from dmcvr.options import KEPT

    whole = replace(task, settings=replace(task.settings, keep=KEPT, mesh_formats=("ply",)))
    assert do_exam(whole).state == "done"
    found = read_result(task.folder)
    assert np.isfinite(found.image.data).all()
    assert (task.folder / "report.html").is_file()


FAULTS = """
import resource
import numpy as np
from dmcvr.cohort import job
from dmcvr.fill.engine import Engine

Engine.load = lambda *args, **options: None
job._engine("weights", None, None, "cpu", None, "sharp", 1)
np.ones(2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="needs glibc's malloc")
def test_a_worker_of_dask_keeps_the_memory_that_its_arrays_come_and_go_in() -> None:
    """As `dask worker` sets the process's environment, each of these 8 MiB would be 2,048 pages fetched anew."""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    said = subprocess.run([sys.executable, "-c", FAULTS], env=environment, check=True, capture_output=True, text=True)
    assert int(said.stdout) < 2048
