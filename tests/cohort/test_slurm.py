"""Slurm by dask-jobqueue: its script is submitted and runs, its exams are done. `sbatch` here runs what it gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.jobs import copy, texts

from dmcvr.cohort.find import found_at
from dmcvr.cohort.lock import take_lock
from dmcvr.cohort.pool import Place, client_of
from dmcvr.cohort.run import Cohort, run
from dmcvr.cohort.settings import Settings
from dmcvr.errors import InputError

SBATCH = """#!/bin/bash
cp "$1" {folder}/submitted.sh
setsid bash {folder}/submitted.sh >{folder}/job.log 2>&1 &
echo $! >>{folder}/running
echo "Submitted batch job $!"
"""

SCANCEL = """#!/bin/bash
for job in "$@"; do kill -9 -- -$job; done
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `sbatch` and `scancel`, first in the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text.format(folder=tmp_path) if name == "sbatch" else text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.slow
def test_jobs_of_slurm_do_the_exams(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Path(__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{tests}{os.pathsep}{tests.parent / 'src'}")
    texts(slurm / "in", {f"e{n}": "x" for n in range(6)})
    (slurm / "out").mkdir()
    exams = [found_at(path, slurm / "in") for path in sorted((slurm / "in").iterdir())]
    with client_of(Place(cluster="slurm", workers=1, threads=3), slurm / "out") as client:
        lock = take_lock(slurm / "out" / "locks")
        tally = run(Cohort(out=slurm / "out", settings=Settings(), work=copy), exams, client, lock)
        lock.release()
    assert (tally.done, tally.failed) == (6, 0)
    script = (slurm / "out" / "job_script.txt").read_text()
    submitted = (slurm / "submitted.sh").read_text()
    assert script.strip().replace("dummy-name", "SLURMCluster-0") == submitted.strip()
    assert "#SBATCH --cpus-per-task=3\n" in script
    assert "#SBATCH --mem=4G\n" in script
    assert "--nthreads 1" in script
    for job in (slurm / "running").read_text().split():
        assert not Path(f"/proc/{job}/cmdline").exists() or not Path(f"/proc/{job}/cmdline").read_bytes()


def test_without_slurm_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(InputError, match="There is no sbatch here"),
        client_of(Place(cluster="slurm", workers=1), tmp_path),
    ):
        pass
