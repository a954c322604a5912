"""Pieces side by side: in order, with their errors, on as many threads as one may have."""

from __future__ import annotations

import platform
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from dmcvr.threads import Unwanted, each, still_wanted, thread_count, together, trim_heaps


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


def test_pieces_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its part, in our own pieces and in torch's; whoever waits for them keeps all."""
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    before = torch.get_num_threads()

    def seen(_: int) -> tuple[int, int, list[int]]:
        return thread_count(), torch.get_num_threads(), each(lambda _: thread_count(), range(2))

    assert each(seen, range(4), most=2) == [(2, 2, [1, 1])] * 4
    assert each(seen, range(4)) == [(1, 1, [1, 1])] * 4
    assert (thread_count(), torch.get_num_threads()) == (4, before)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before


def test_pieces_that_nobody_waits_for_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    meeting, ended = threading.Barrier(2, timeout=30), list[str]()

    def piece(n: int) -> None:
        meeting.wait()
        if n == 0:
            raise ZeroDivisionError
        try:
            while True:
                still_wanted()
                time.sleep(0.001)
        except Unwanted:
            ended.append("unwanted")
            raise

    with pytest.raises(ZeroDivisionError):
        each(piece, range(2))
    assert ended == ["unwanted"]
    still_wanted()


def test_what_is_free_is_given_back() -> None:
    """Pieces too small for pages of their own: once freed, the last of them holds the heap up."""
    if platform.libc_ver()[0] != "glibc":
        trim_heaps()
        return

    def resident_mib() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    pieces = [bytearray(100_000) for _ in range(1000)]
    last = pieces.pop()
    pieces.clear()
    before = resident_mib()
    trim_heaps()
    assert resident_mib() < before - 50
    assert len(last) == 100_000
