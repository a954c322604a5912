"""A slower commit is seen, on the same machine, however busy that is."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dmcvr.errors import InputError
from dmcvr.evaluate.history import append, entry, read, slower

FOUND: dict[str, Any] = {
    "machine": {"device": "cpu", "threads": 2, "precision": "bfloat16"},
    "code_sha256": "0" * 64,
    "convolution_ceiling_gflop_per_s": {"bfloat16": 1000.0},
    "whole_process": {"seconds": 6.0, "networks_seconds": 3.0, "rest_seconds": 3.0, "peak_mib": 700.0},
    "cine": None,
}


def changed(factor: float, *, ceiling: float = 1.0, **machine: Any) -> dict[str, Any]:
    """A run that took so many times as long, on a machine so many times as fast."""
    found = deepcopy(FOUND)
    found["machine"] |= machine
    found["convolution_ceiling_gflop_per_s"]["bfloat16"] *= ceiling
    for name in ("seconds", "rest_seconds", "networks_seconds"):
        found["whole_process"][name] *= factor
    return entry(found)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert read(path) == []
    lines = [changed(1.0), changed(1.1)]
    for line in lines:
        append(path, line)
    assert read(path) == lines
    path.write_text('{"some": "thing"}\n')
    with pytest.raises(InputError, match="is no history"):
        read(path)


def test_what_is_slower_is_said() -> None:
    before = [changed(1.0) for _ in range(5)]
    assert slower(before, changed(1.1)) == []
    said = slower(before, changed(1.5))
    assert [sentence.split()[0] for sentence in said] == [
        f"whole_process.{name}" for name in ("tflop", "networks_tflop", "rest_tflop")
    ]
    assert "is 1.50 times what it was: 9 TFLOP" in said[0]


def test_a_busy_machine_is_no_slower_commit() -> None:
    before = [changed(1.0)]
    assert slower(before, changed(2.0, ceiling=0.5)) == []
    assert slower(before, changed(1.0, ceiling=2.0)) != []


def test_other_machines_do_not_count() -> None:
    assert slower([changed(1.0)], changed(2.0, threads=1)) == []


def test_the_last_runs_count() -> None:
    before = [*(changed(1.0) for _ in range(9)), *(changed(2.0) for _ in range(5))]
    assert slower(before, changed(2.0)) == []
