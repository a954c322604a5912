"""The client: exams are found, handed out a few ahead of the workers, and entered as they come back."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from queue import Empty, Queue, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4

from dmcvr.cohort.find import Found
from dmcvr.cohort.job import EXAMS, Task, attempts, do_exam, row_of, sweep
from dmcvr.cohort.ledger import Ledger, Row, read_rows, states
from dmcvr.cohort.lock import BEAT_S, Lock
from dmcvr.cohort.settings import Settings, pseudonym
from dmcvr.cohort.tally import Tally
from dmcvr.errors import InputError, OutputError

if TYPE_CHECKING:
    from distributed import Client, Future

#: Tasks handed out for each of the workers' threads: the next is there when one ends.
AHEAD = 4

#: Found exams that wait in memory, so that their number is known.
FOUND_AHEAD = 200_000

#: Times that an exam's worker may die; then the exam is what kills it.
MOST_ATTEMPTS = 3

#: Seconds between two looks at what has ended, two commits, two counts of workers, two writings of the tables.
TICK_S, COMMIT_S, COUNT_S, TABLES_S = 0.2, 1.0, 2.0, 60.0

#: Of the time, what the tables may take.
TABLES_SHARE = 0.05


#: What is called at every tick.
Said = Callable[[Tally, Sequence[Row]], None]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """What is to be done, and where it goes.

    ========  =========================================================================================
    out       the cohort's folder
    settings  how
    part      (k, n): the k-th of n parts is done here
    retry     exams that failed are tried again
    key       names are hashed with it; None: they are the folders'
    work      what a worker does with a task: `do_exam`
    ========  =========================================================================================
    """

    out: Path
    settings: Settings
    part: tuple[int, int] = (1, 1)
    retry: bool = False
    key: bytes | None = None
    work: Callable[[Task], Row] = do_exam

    @property
    def ledger(self) -> Path:
        """The file of this part's rows."""
        k, n = self.part
        return self.out / ("ledger.sqlite" if n == 1 else f"ledger-{k}-of-{n}.sqlite")

    def task(self, exam: Found) -> Task:
        """An exam made a task, under the name that it may have."""
        if self.key is None:
            return Task(exam, self.out, self.settings, version("dmcvr"))
        name = pseudonym(exam.name, self.key)
        path = str(exam.path)
        secrets = {path, str(exam.path.absolute()), exam.name, *Path(exam.source).parts[-8:]}
        hidden = Found(exam.path, name, name)
        return Task(hidden, self.out, self.settings, version("dmcvr"), tuple(sorted(secrets - {"/"})))


def run(
    cohort: Cohort, exams: Iterable[Found], client: Client, lock: Lock, said: Said = lambda tally, rows: None
) -> Tally:
    """Do the exams that are not done; what became of all of them is in the ledger, the folders and the tables.

    `said` is called at every tick, with the tally and what has ended since. However this ends, the ledger and the
    folders are consistent. Raises `InputError` where no exam can be done any more: no room, no scheduler, no `dmcvr` on
    the workers.
    """
    folders = cohort.out / EXAMS
    folders.mkdir(exist_ok=True)
    sweep(cohort.out, cohort.part)
    ledger = Ledger(cohort.ledger)
    loop = _Loop(cohort, client, ledger, lock)
    try:
        loop.go(_Finder(exams), said)
    finally:
        try:
            loop.let_go()
            ledger.commit()
        finally:
            ledger.close()
    _write_tables(cohort.out)
    said(loop.tally, [])
    return loop.tally


class _Loop:
    """The state of a run: what is out with the workers, and what is due when."""

    def __init__(self, cohort: Cohort, client: Client, ledger: Ledger, lock: Lock) -> None:
        self.cohort, self.client, self.ledger, self.lock = cohort, client, ledger, lock
        self.group = f"exam-{uuid4().hex}"  # one for all: Dask remembers every name that a key begins with
        self.tally = Tally()
        self.states = states(cohort.out)
        self.folders = {entry.name for entry in os.scandir(cohort.out / EXAMS)}
        self.out: dict[Future[Row], Task] = {}
        self.ended: SimpleQueue[Future[Row]] = SimpleQueue()
        self.again: deque[Task] = deque()
        now = time.monotonic()
        self.due = {self._count: now, self._commit: now, self._beat: now, self._tables: now + TABLES_S}

    def go(self, finder: _Finder, said: Said) -> None:
        """Until there is nothing left to do."""
        while self.out or self.again or not finder.over:
            self._regularly()
            self._hand_out(finder)
            rows = self._collect()
            self.tally.found, self.tally.counted = finder.count, finder.counted
            said(self.tally, rows)

    def let_go(self) -> None:
        """Nothing is out any more."""
        for future in self.out:
            future.release()
        self.out.clear()

    def _hand_out(self, finder: _Finder) -> None:
        """As many tasks as the workers should have; for a tick at most, for ended ones may wait to be skipped."""
        until = time.monotonic() + TICK_S
        while len(self.out) < AHEAD * max(self.tally.workers, 1) and time.monotonic() < until:
            if self.again:
                task = self.again.popleft()
            else:
                exam = finder.next(wait=not self.out)
                if exam is None:
                    return
                task = self.cohort.task(exam)
                if not self._to_do(task.exam):
                    continue
            key = (self.group, task.exam.name, uuid4().hex)
            future = self.client.submit(self.cohort.work, task, key=key, pure=False)
            self.out[future] = task
            future.add_done_callback(self.ended.put)

    def _to_do(self, exam: Found) -> bool:
        """Whether an exam is still to be done; a whole folder that no ledger knows of is entered."""
        state = self.states.get(exam.name)
        if exam.name in self.folders:
            row = None if state == "done" else row_of(exam, self.cohort.out)
            if state == "done" or row is not None:
                if row is not None:
                    self.ledger.record(row)
                self.tally.done_before += 1
                return False
        elif state == "failed" and not self.cohort.retry:
            self.tally.failed_before += 1
            return False
        return True

    def _collect(self) -> list[Row]:
        """Enter what has ended, and give it."""
        rows = []
        ended = _drain(self.ended)
        tasks = {future: self.out.pop(future) for future in ended if future in self.out}
        for future, task in tasks.items():
            row = self._row(future, task)
            if row is None:
                self.again.append(task)
            else:
                self.ledger.record(row)
                self.tally.enter(row)
                rows.append(row)
        return rows

    def _row(self, future: Future[Row], task: Task) -> Row | None:
        """What became of a task; None where its worker died, and it may be tried again. Raises `InputError`."""
        from distributed import CancelledError, KilledWorker

        try:
            row: Row = future.result()
            return replace(row, attempts=attempts(task.exam, self.cohort.out) + 1)
        except InputError:
            raise
        except KilledWorker:
            deaths = attempts(task.exam, self.cohort.out)  # none, where it only waited there for its turn
            if deaths < MOST_ATTEMPTS:
                return None
            said = (
                f"Its worker was killed {deaths} times, most likely for want of memory: give it more, or fewer workers."
            )
            return Row(task.exam.name, task.exam.source, "failed", deaths, 0.0, 0, None, said, "killed")
        except CancelledError as error:
            raise InputError("The Dask scheduler is gone: start it and this command again, and it goes on.") from error
        except Exception as error:  # not an exam's, for those are rows
            raise InputError(
                f"The workers cannot do any exam ({type(error).__name__}: {error}): is dmcvr installed there?"
            ) from error

    def _regularly(self) -> None:
        now = time.monotonic()
        for call, due in self.due.items():
            if now >= due:
                self.due[call] = call() + time.monotonic()

    def _count(self) -> float:
        self.tally.workers = sum(self.client.nthreads().values())
        return COUNT_S

    def _commit(self) -> float:
        self.ledger.commit()
        return COMMIT_S

    def _beat(self) -> float:
        self.lock.beat()
        return BEAT_S

    def _tables(self) -> float:
        begun = time.monotonic()
        self.ledger.commit()
        _write_tables(self.cohort.out)
        return max(TABLES_S, (time.monotonic() - begun) / TABLES_SHARE)


class _Finder:
    """Looks for exams in a thread of its own, so that their number is soon known."""

    def __init__(self, exams: Iterable[Found]) -> None:
        self.count, self.counted, self.over = 0, False, False
        self._found: Queue[Found | Exception | None] = Queue(FOUND_AHEAD)
        threading.Thread(target=self._look, args=(exams,), daemon=True).start()

    def _look(self, exams: Iterable[Found]) -> None:
        try:
            for exam in exams:
                self.count += 1
                self._found.put(exam)
            self.counted = True
            self._found.put(None)
        except Exception as error:
            self._found.put(error)

    def next(self, *, wait: bool) -> Found | None:
        """The next exam; None where there is none now, or no more: then it is `over`. Raises what looking raised."""
        try:
            exam = None if self.over else self._found.get(timeout=TICK_S if wait else 0.001)
        except Empty:
            return None
        if isinstance(exam, Exception):
            raise exam
        self.over = exam is None
        return exam


def _drain(queue: SimpleQueue[Future[Row]]) -> list[Future[Row]]:
    """What is in a queue, after waiting for the first for a tick."""
    found: list[Future[Row]] = []
    try:
        found.append(queue.get(timeout=TICK_S))
        while True:
            found.append(queue.get_nowait())
    except Empty:
        return found


def _write_tables(out: Path) -> None:
    from dmcvr.cohort.tables import write_tables

    try:
        write_tables(out, read_rows(out))
    except OSError as error:
        raise OutputError(
            f"The tables in {out} cannot be written ({error.strerror}): make room and start again, and it goes on."
        ) from error
