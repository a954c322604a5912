"""What became of every exam of a cohort: one SQLite file, or one for each part of it.

The folders are the truth, and the ledger is what can be asked quickly: an exam's folder appears whole, by one rename,
with its summary inside, so that a ledger that lost its last rows gets them back from there. Failures have no folder:
they stand here alone, and one that is lost is tried again.

SQLite, because a row is there or not whatever is killed, or runs full. With its rollback journal and not the
write-ahead log: the log's index is shared memory, which a network's file system does not carry from host to host, and
the parts of a cohort are read from other hosts. The log would gain nothing: one process writes (the client, who holds
the cohort's lock; workers hand it their rows), and what came within a second is one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dmcvr.errors import OutputError

State = Literal["done", "failed"]

#: Why an exam failed: as `dmcvr reconstruct` would have ended with status 2 or 3; its worker died; a fault of ours.
Kind = Literal["", "input", "no heart", "killed", "fault"]

#: Seconds that a reader or writer waits for the other.
PATIENCE_S = 60


@dataclass(frozen=True)
class Row:
    """One exam that has ended.

    ========  ===========================================================================
    exam      its name in tables, and its folder's below OUT/exams; unique
    source    where it was, relative to the cohort's input; of a pseudonymised one its name
    state     "done" or "failed"
    attempts  how often it was begun; more than once where workers died
    seconds   of the last of them, from its start to the whole folder
    bytes     of the folder; 0 of a failed one
    summary   as `dmcvr.cohort.summary.summarise` gave it; None of a failed one
    sentence  what `dmcvr reconstruct` would have said; "" of one that is done
    kind      of the failure; "" of one that is done
    ========  ===========================================================================
    """

    exam: str
    source: str
    state: State
    attempts: int
    seconds: float
    bytes: int
    summary: dict[str, Any] | None
    sentence: str
    kind: Kind


_NAMES = tuple(f.name for f in fields(Row))
_COLUMNS = ", ".join(_NAMES)
_CREATE = """
CREATE TABLE IF NOT EXISTS exams (
    exam TEXT PRIMARY KEY, source TEXT, state TEXT, attempts INTEGER, seconds REAL, bytes INTEGER, summary TEXT,
    sentence TEXT, kind TEXT
) WITHOUT ROWID
"""


class Ledger:
    """One file of rows. Its only writer commits when told to; until then a crash loses them, and nothing else."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; raises `OutputError` where that cannot be."""
        self.path = path
        self._changed = False
        try:
            self._file = sqlite3.connect(path, timeout=PATIENCE_S)
            self._file.execute("PRAGMA journal_mode = TRUNCATE")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.execute(_CREATE)
            self._file.commit()
        except sqlite3.Error as error:
            raise OutputError(_unusable(path, error)) from error

    def record(self, row: Row) -> None:
        """Enter an exam, or what has become of it now."""
        marks = ", ".join("?" * len(_NAMES))
        values = [
            None if value is None else json.dumps(value) if isinstance(value, dict) else value for value in astuple(row)
        ]
        try:
            self._file.execute(f"INSERT OR REPLACE INTO exams ({_COLUMNS}) VALUES ({marks})", values)
        except sqlite3.Error as error:
            raise OutputError(_unusable(self.path, error)) from error
        self._changed = True

    def commit(self) -> None:
        """Put on the disk what was recorded since the last time; raises `OutputError` where there is no room."""
        if self._changed:
            try:
                self._file.commit()
            except sqlite3.Error as error:
                raise OutputError(_unusable(self.path, error)) from error
            self._changed = False

    def rows(self) -> Iterator[Row]:
        """All exams by name, one after the other."""
        yield from _rows(self._file)

    def close(self) -> None:
        """Forget what was not committed, and let go of the file."""
        self._file.close()


def ledgers(out: Path) -> list[Path]:
    """The ledger files of a cohort: of the whole, or of its parts."""
    return sorted(out.glob("ledger*.sqlite"))


def read_rows(out: Path) -> Iterator[Row]:
    """The exams of all of a cohort's ledgers, each once: done rather than failed. Others may be writing them."""
    paths = ledgers(out)
    done: set[str] = set()
    for state in ("done", "failed"):
        for path in paths:
            with closing(_reader(path)) as file:
                for row in _rows(file, state):
                    if row.exam not in done:
                        done.add(row.exam)
                        yield row


def states(out: Path) -> dict[str, State]:
    """The exams of all of a cohort's ledgers, and what became of each: done rather than failed."""
    found: dict[str, State] = {}
    for path in ledgers(out):
        with closing(_reader(path)) as file:
            for exam, state in file.execute("SELECT exam, state FROM exams"):
                if found.get(exam) != "done":
                    found[exam] = state
    return found


def _reader(path: Path) -> sqlite3.Connection:
    """Reads only; but what a killed writer left half done is taken back first, and that needs the right to write."""
    try:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE_S)
    except sqlite3.Error as error:
        raise OutputError(_unusable(path, error)) from error


def _rows(file: sqlite3.Connection, state: str = "%") -> Iterator[Row]:
    for row in file.execute(f"SELECT {_COLUMNS} FROM exams WHERE state LIKE ? ORDER BY exam", (state,)):
        values = dict(zip(_NAMES, row, strict=True))
        summary = values.pop("summary")
        yield Row(**values, summary=None if summary is None else json.loads(summary))


def _unusable(path: Path, error: sqlite3.Error) -> str:
    full = "make room and start again: it goes on" if "full" in str(error) else "is it on a disk that locks files?"
    return f"The cohort's ledger {path} cannot be used ({error}): {full}"
