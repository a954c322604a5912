"""Rows survive whatever happens to the process that wrote them."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dmcvr.cohort.ledger import Ledger, Row, read_rows, states
from dmcvr.errors import InputError

DONE = Row("a", "site/a", "done", 1, 2.5, 1000, {"measures": {}, "seconds": 2.0}, "", "")
FAILED = Row("b", "site/b", "failed", 3, 0.0, 0, None, "It cannot be read.", "input")


def test_rows_come_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for row in (FAILED, DONE, replace(DONE, attempts=2)):
        ledger.record(row)
    assert list(ledger.rows()) == [replace(DONE, attempts=2), FAILED]
    assert list(read_rows(tmp_path)) == []  # nobody else sees what was not committed
    ledger.commit()
    assert list(read_rows(tmp_path)) == [replace(DONE, attempts=2), FAILED]
    assert states(tmp_path) == {"a": "done", "b": "failed"}
    ledger.close()


def test_of_several_ledgers_an_exam_is_there_once_and_done_rather_than_failed(tmp_path: Path) -> None:
    rows = {"ledger-1-of-2": [replace(DONE, exam="b"), FAILED], "ledger-2-of-2": [FAILED, DONE], "ledger": [FAILED]}
    rows["ledger-1-of-2"] = [FAILED, replace(FAILED, exam="c")]
    rows["ledger-2-of-2"] = [replace(DONE, exam="b"), DONE]
    for name, entries in rows.items():
        ledger = Ledger(tmp_path / f"{name}.sqlite")
        for row in entries:
            ledger.record(row)
        ledger.commit()
        ledger.close()
    assert {row.exam: row.state for row in read_rows(tmp_path)} == {"a": "done", "b": "done", "c": "failed"}
    assert len(list(read_rows(tmp_path))) == 3
    assert states(tmp_path) == {"a": "done", "b": "done", "c": "failed"}


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from dmcvr.cohort.ledger import Ledger, Row
ledger = Ledger(Path({str(tmp_path)!r}) / "ledger.sqlite")
for n in range(2000):
    ledger.record(Row(f"exam{{n:04d}}", "", "done", 1, 1.0, 1, {{"text": "x" * 2000}}, "", ""))
    if n == 999:
        ledger.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert len(states(tmp_path)) == 1000
    ledger = Ledger(tmp_path / "ledger.sqlite")  # and it is written on
    ledger.record(FAILED)
    ledger.commit()
    assert len(states(tmp_path)) == 1001
    ledger.close()


def test_a_full_disk_is_one_sentence_and_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record(DONE)
    ledger.commit()
    ledger._file.execute("PRAGMA max_page_count = 20")  # SQLite's own way to have no room
    with pytest.raises(InputError, match="is full.*make room and start again"):
        for n in range(1000):
            ledger.record(replace(DONE, exam=f"exam{n}", summary={"text": "x" * 5000}))
            ledger.commit()
    ledger.close()
    found = states(tmp_path)
    assert "a" in found
    assert len(found) < 1000


def test_what_is_no_ledger_is_said(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("no database " * 100)
    with pytest.raises(InputError, match="ledger.sqlite cannot be used"):
        Ledger(tmp_path / "ledger.sqlite")
    assert (tmp_path / "ledger.sqlite").stat().st_size == 1200
