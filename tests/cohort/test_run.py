"""The client: every exam once, whatever dies; what is done is never done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client
from helpers.jobs import broken, copy, dying, texts

from dmcvr.cohort.find import Found, found_at
from dmcvr.cohort.job import Task, sweep
from dmcvr.cohort.ledger import Row, read_rows
from dmcvr.cohort.lock import take_lock
from dmcvr.cohort.pool import Place, client_of
from dmcvr.cohort.run import Cohort, run
from dmcvr.cohort.settings import Settings, pseudonym
from dmcvr.cohort.tally import Tally
from dmcvr.errors import InputError


@pytest.fixture(scope="module")
def threads() -> Iterator[Client]:
    """A cluster in this process."""
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as client:
        yield client


Go = Callable[..., Tally]


@pytest.fixture
def go(tmp_path: Path, threads: Client) -> Go:
    """Run a cohort of the text files in tmp_path/in, with what is changed of it."""

    def start(client: Client = threads, exams: list[Found] | None = None, **changes: object) -> Tally:
        cohort = replace(Cohort(out=tmp_path / "out", settings=Settings(), work=copy), **changes)  # type: ignore[arg-type]
        lock = take_lock(cohort.out / "locks", cohort.part)
        found = [found_at(path, tmp_path / "in") for path in sorted((tmp_path / "in").iterdir())]
        try:
            return run(cohort, found if exams is None else exams, client, lock)
        finally:
            sweep(cohort.out, cohort.part)
            lock.release()

    return start


def ends(out: Path) -> dict[str, str]:
    return {row.exam: row.state for row in read_rows(out)}


def test_every_exam_is_done_once_and_a_failure_is_a_row(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {f"e{n:02d}": f"heart {n}" for n in range(30)} | {"bad": "stop"})
    tally = go()
    assert (tally.found, tally.done, tally.failed, tally.counted) == (31, 30, 1, True)
    rows = {row.exam: row for row in read_rows(tmp_path / "out")}
    assert len(rows) == 31
    assert (rows["bad"].sentence, rows["bad"].kind) == ("It says stop.", "input")
    assert rows["e07"].bytes == sum(path.stat().st_size for path in (tmp_path / "out/exams/e07").iterdir())
    assert sorted(path.name for path in (tmp_path / "out/exams").iterdir()) == sorted(set(rows) - {"bad"})
    assert (tmp_path / "out" / "failures.csv").read_text().count("It says stop.") == 1
    assert (tmp_path / "out" / "index.html").is_file()


def test_started_again_it_goes_on(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {"a": "1", "b": "stop", "c": "3"})
    go()
    texts(tmp_path / "in", {"a": "changed", "b": "better", "d": "4"})
    tally = go()
    assert (tally.done_before, tally.failed_before, tally.done, tally.failed) == (2, 1, 1, 0)
    tally = go(retry=True)
    assert (tally.done_before, tally.failed_before, tally.done) == (3, 0, 1)
    assert ends(tmp_path / "out") == dict.fromkeys("abcd", "done")
    assert (tmp_path / "out/exams/a/copy.txt").read_text() == "1"
    assert (tmp_path / "out/exams/b/copy.txt").read_text() == "better"


def test_the_folders_are_the_truth(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {"a": "1", "b": "2"})
    go()
    before = {row.exam: row for row in read_rows(tmp_path / "out")}
    (tmp_path / "out" / "ledger.sqlite").unlink()
    for path in (tmp_path / "out/exams/b").iterdir():
        path.unlink()
    (tmp_path / "out/exams/b").rmdir()
    (tmp_path / "out/exams/.b-0123abcd").mkdir()  # of a dead worker
    tally = go()
    assert (tally.done_before, tally.done) == (1, 1)
    assert {row.exam: row for row in read_rows(tmp_path / "out")} == before
    assert sorted(path.name for path in (tmp_path / "out/exams").iterdir()) == ["a", "b"]


def test_a_removed_exam_fails_and_what_was_done_of_it_stays(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {"a": "1", "b": "2"})
    exams = [found_at(tmp_path / "in" / name, tmp_path / "in") for name in "ab"]
    (tmp_path / "in" / "b").unlink()
    assert go(exams=exams).failed == 1
    (tmp_path / "in" / "a").unlink()
    go(exams=[])
    assert ends(tmp_path / "out") == {"a": "done", "b": "failed"}


def test_parts_share_the_work_and_the_tables(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {f"e{n}": "x" for n in range(12)})
    found = [found_at(path, tmp_path / "in") for path in sorted((tmp_path / "in").iterdir())]
    go(exams=found[:5], part=(1, 2))
    go(exams=found[5:], part=(2, 2))
    assert len(ends(tmp_path / "out")) == 12
    tally = go()
    assert (tally.done_before, tally.done) == (12, 0)


def test_pseudonyms_are_all_that_is_written(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {"MILLER_ANN": "heart", "SMITH_BOB": "stop"})
    key = b"0123456789abcdef"
    go(key=key)
    names = {name: pseudonym(name, key) for name in ("MILLER_ANN", "SMITH_BOB")}
    assert ends(tmp_path / "out") == {names["MILLER_ANN"]: "done", names["SMITH_BOB"]: "failed"}
    for path in (tmp_path / "out").rglob("*"):
        assert "MILLER" not in str(path)
        assert not path.is_file() or b"MILLER" not in path.read_bytes()
    assert go(key=key).done_before == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [({}, "There is no room"), ({"work": broken}, "The workers cannot do any exam .* is dmcvr installed there?")],
)
def test_what_is_no_exams_fault_stops_all(tmp_path: Path, go: Go, changes: dict[str, object], said: str) -> None:
    texts(tmp_path / "in", {"a": "full"} | {f"b{n}": "x" for n in range(30)})
    with pytest.raises(InputError, match=said):
        go(**changes)
    assert "failed" not in ends(tmp_path / "out").values()
    texts(tmp_path / "in", {"a": "now there is room"})
    assert go().failed == 0
    assert len(ends(tmp_path / "out")) == 31


def test_a_scheduler_that_is_gone_is_said(
    tmp_path: Path, go: Go, threads: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had is cancelled then, as Dask's client does it."""
    texts(tmp_path / "in", {"a": "1"})
    submit = threads.submit

    def lost(*args: object, **options: object) -> object:
        future = submit(*args, **options)
        threads.cancel([future])
        return future

    monkeypatch.setattr(threads, "submit", lost)
    with pytest.raises(InputError, match="The Dask scheduler is gone: start it and this command again"):
        go()


def test_an_interrupt_keeps_what_is_done(tmp_path: Path, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    texts(tmp_path / "in", {f"e{n:02d}": "x" for n in range(40)})
    enter = Tally.enter

    def interrupt(tally: Tally, row: Row) -> None:
        enter(tally, row)
        if tally.ended == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(Tally, "enter", interrupt)
    with pytest.raises(KeyboardInterrupt):
        go()
    monkeypatch.undo()
    kept = ends(tmp_path / "out")
    assert len(kept) >= 10
    tally = go()
    assert tally.done_before >= len(kept)
    assert ends(tmp_path / "out") == {f"e{n:02d}": "done" for n in range(40)}


def test_only_a_few_are_handed_out_ahead(
    tmp_path: Path, go: Go, threads: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four for each of two threads, and those that have ended and are not let go of yet."""
    texts(tmp_path / "in", {f"e{n:03d}": "x" for n in range(100)})
    submit, most = threads.submit, 0

    def counted(*args: object, **options: object) -> object:
        nonlocal most
        most = max(most, len(threads.futures))
        return submit(*args, **options)

    monkeypatch.setattr(threads, "submit", counted)
    go()
    assert 2 <= most <= 3 * 8


def test_a_death_counts_for_the_exam_that_was_being_done_alone(tmp_path: Path, go: Go) -> None:
    """As Dask says it of all that its worker had: the one that was begun left its folder in the making."""
    texts(tmp_path / "in", {"a": "1", "b": "die", "c": "die once", "d": "4"})
    tally = go(work=dying)
    rows = {row.exam: row for row in read_rows(tmp_path / "out")}
    assert (tally.done, tally.failed) == (3, 1)
    assert rows["b"].sentence.startswith("Its worker was killed 3 times")
    assert [rows[name].attempts for name in "abcd"] == [1, 3, 2, 1]
    assert sorted(path.name for path in (tmp_path / "out/exams").iterdir()) == ["a", "c", "d"]


@pytest.mark.slow
def test_an_exam_that_kills_its_worker_fails_and_takes_no_other_along(tmp_path: Path, go: Go) -> None:
    texts(tmp_path / "in", {"a": "1", "b": "die", "c": "die once", "d": "4", "e": "5"})
    with client_of(Place(workers=1, device="cpu"), tmp_path) as client:
        tally = go(client)
    assert (tally.done, tally.failed) == (4, 1)
    rows = {row.exam: row for row in read_rows(tmp_path / "out")}
    assert rows["b"].sentence.startswith("Its worker was killed 3 times")
    assert (rows["b"].kind, rows["b"].attempts, rows["c"].attempts, rows["d"].attempts) == ("killed", 3, 2, 1)
    assert sorted(path.name for path in (tmp_path / "out/exams").iterdir()) == ["a", "c", "d", "e"]


def test_the_tally_says_what_is_left() -> None:
    tally = Tally(found=10, counted=True, done_before=2)
    assert tally.rate is None
    row = Row("a", "a", "done", 1, 1.0, 100, {}, "", "")
    tally.enter(row)
    tally.begun -= 60
    assert tally.rate == pytest.approx(1 / 60, rel=0.01)
    assert tally.seconds_left == pytest.approx(7 * 60, rel=0.01)
    assert Tally(found=10).seconds_left is None


def test_a_task_shows_no_path() -> None:
    task = Task(Found(Path("/in/MILLER"), "MILLER", "abc"), Path("/out"), Settings(), "1", ("MILLER",))
    assert repr(task) == "Task(abc)"


def test_the_scheduler_forgets_exams_that_are_done(tmp_path: Path, threads: Client, go: Go) -> None:
    """Of whatever a key begins with, Dask keeps a record for ever: a hundred thousand exams have one between them."""
    texts(tmp_path / "in", {f"e{n:02d}": "heart" for n in range(20)})
    before = threads.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.task_prefixes))
    go()
    assert threads.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.task_prefixes)) <= before + 1
