"""Independent pieces of one job on all cores, for work that lets go of Python's lock: arrays, splines, packing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def thread_count() -> int:
    """As many as this process may use: as OMP_NUM_THREADS tells all libraries, else the cores that it may run on."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What the function gives for each, in their order; or the first error, once all that were begun have ended."""
    pieces = list(items)
    count = min(thread_count(), len(pieces))
    if count < 2:
        return [function(piece) for piece in pieces]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, pieces))


def together(*jobs: Callable[[], R]) -> list[R]:
    """What each of these jobs gives."""
    return each(lambda job: job(), jobs)
