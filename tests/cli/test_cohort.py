"""`dmcvr cohort`: one sentence for what cannot be, and an exit status that a script can rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.jobs import copy, texts
from helpers.niftis import grey, save
from helpers.program import refusal, run

from dmcvr.cli.cohort import duration, line
from dmcvr.cli.main import main
from dmcvr.cohort.lock import take_lock
from dmcvr.cohort.tally import Tally

WORDS = [
    (["--part", "3/2"], "Expected --part K/N with K from 1 to N, such as 2/10; got 3/2."),
    (["--keep", "labels,pictures"], "Unknown kept format 'pictures': choose one of image, labels, acquired, measures"),
    (["--threads", "0"], "Expected --threads of 1 or more; got 0."),
    (["--cluster", "slurm"], "Say how many jobs to submit to slurm: give --workers."),
    (["--spacing", "0.1"], "Expected a spacing of 0.4 to 10 mm; got 0.1."),
    (["--weights", "nowhere"], "There are no weights at nowhere"),
    (["--labels-in", "nowhere.nii.gz"], "no file or folder nowhere.nii.gz with labels"),
    (["--pseudonymise", "nowhere"], "The key nowhere cannot be read"),
    (["-i", "nowhere"], "There is no file or folder nowhere: check the path."),
]


@pytest.mark.parametrize(("words", "said"), WORDS, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert said in refusal("cohort", "-i", tmp_path, "-o", tmp_path / "out", *words, capsys=capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_imports_nothing_heavy(tmp_path: Path) -> None:
    done = run("cohort", "-i", tmp_path, "-o", tmp_path / "out", "--part", "0/0")
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (2, "IMPORTED")


def test_a_second_client_is_told_of_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = take_lock(tmp_path / "out" / "locks")
    said = refusal("cohort", "-i", tmp_path, "-o", tmp_path / "out", capsys=capsys)
    assert said.startswith("This cohort is being worked on by process ")
    lock.release()


def test_a_folder_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path / "out", {"thesis.txt": ""})
    assert "holds no cohort" in refusal("cohort", "-i", tmp_path, "-o", tmp_path / "out", capsys=capsys)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exams are text files that are copied, in this process."""
    from distributed import Client

    from dmcvr.cohort.run import Cohort

    @contextmanager
    def client_of(*args: object) -> Iterator[Client]:
        with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
            yield client

    monkeypatch.setattr("dmcvr.cli.cohort.client_of", client_of)
    monkeypatch.setattr(Cohort, "__init__", _with_copy(Cohort.__init__))


def _with_copy(init: object) -> object:
    def made(self: object, **options: object) -> None:
        init(self, **options, work=copy)  # type: ignore[operator]

    return made


@pytest.mark.usefixtures("here")
def test_exit_status_and_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts(tmp_path / "in", {"a": "1", "b": "stop"})
    words = ["cohort", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--list", str(tmp_path / "list")]
    (tmp_path / "list").write_text("a\nb\n")
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--log-json", str(tmp_path / "log")])
    assert stopped.value.code == 3
    said = capsys.readouterr()
    assert "1 exams done; 1 failed, of 2." in said.out
    assert "MiB an exam" in said.out
    assert "--retry failed" in said.err
    log = (tmp_path / "log").read_text()
    assert '"event": "exam failed", "exam": "b", "kind": "input", "sentence": "It says stop."' in log
    assert '"event": "end", "found": 2' in log
    (tmp_path / "in" / "b").write_text("better")
    main([*words, "--retry", "failed"])
    assert "1 exams done, 1 were there; 0 failed, of 2." in capsys.readouterr().out
    sentence = refusal(*words, "--spacing", "2", capsys=capsys)
    assert sentence.startswith(f"The cohort in {tmp_path / 'out'} was begun with another spacing_mm (None, and now 2")
    (tmp_path / "list").write_text("")
    assert "No exam was found below" in refusal(*words[:4], tmp_path / "new", *words[5:], capsys=capsys)


@pytest.mark.slow
def test_as_a_person_starts_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "in" / name).mkdir(parents=True)
        save(tmp_path / "in" / name / "sax.nii.gz", grey(64, 64, 4))
    plain = ["--method", "nearest", "--spacing", "8", "--allow-empty", "--device", "cpu", "--keep", "measures"]
    done = run("cohort", "-i", tmp_path / "in", "-o", tmp_path / "out", "--workers", 2, *plain)
    assert done.returncode == 0, done.stderr
    assert "2 exams done; 0 failed, of 2." in done.stdout
    assert {path.name for path in (tmp_path / "out/exams/one").iterdir()} == {
        "measures.json", "measures.csv", "run.json", "summary.json",
    }  # fmt: skip
    assert "torch" not in done.stderr.strip().splitlines()[-1].split()  # which the workers alone need


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_quickly_and_it_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """A terminal sends it to all processes, a batch system to the first: one sentence, and nothing half done stays."""
    for n in range(6):
        (tmp_path / "in" / f"e{n}").mkdir(parents=True)
        save(tmp_path / "in" / f"e{n}" / "sax.nii.gz", grey(64, 64, 4))
    words = ["cohort", "-i", tmp_path / "in", "-o", tmp_path / "out", "--workers", 2, "--keep", "measures"]
    words += ["--method", "nearest", "--spacing", "8", "--allow-empty", "--device", "cpu"]
    code = "from dmcvr.cli.main import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while process.poll() is None and not list(tmp_path.glob("out/exams/.e*-*")):
            time.sleep(0.05)
        begun = time.monotonic()
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert time.monotonic() - begun < 60
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == "dmcvr: interrupted; what is done is kept: the same command goes on."
    assert "Traceback" not in said
    assert not list(tmp_path.glob("out/exams/.*"))
    assert run(*words).returncode == 0
    assert len(list((tmp_path / "out" / "exams").iterdir())) == 6


def test_how_far_it_is() -> None:
    tally = Tally(found=12, done=3, failed=1, workers=2)
    assert line(tally) == "3 done of 12, looking for more · 1 failed · 2 workers"
    assert [duration(s) for s in (5, 125, 3700, 86400)] == ["5 s", "2 min", "1 h 02 min", "24 h 00 min"]
