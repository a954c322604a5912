"""Pieces side by side: in order, with their errors, on as many threads as one may have."""

from __future__ import annotations

import threading

import pytest

from dmcvr.threads import each, thread_count, together


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_in_order(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert each(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    assert together(lambda: 1, lambda: 2) == [1, 2]
    assert each(str, []) == []


def test_pieces_run_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    meeting = threading.Barrier(2, timeout=30)
    assert sorted(each(lambda _: meeting.wait(), range(2))) == [0, 1]


def test_an_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        each(lambda n: 1 // n, [1, 0, 2])


@pytest.mark.parametrize(("said", "count"), [("4", 4), ("2,1", 2)])
def test_what_other_libraries_are_told_counts(monkeypatch: pytest.MonkeyPatch, said: str, count: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert thread_count() == count


def test_else_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("", "many", "0"):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert thread_count() >= 1
