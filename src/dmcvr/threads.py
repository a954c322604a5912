"""Independent pieces of one job on all cores, for work that lets go of Python's lock: arrays, packing, networks.

Pieces side by side have a thread each, so what they call does not share its own work out once more.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Of a thread that does one of several pieces: with how many it shares the cores, and whether they are still wanted.
_here = threading.local()


class Unwanted(Exception):
    """Raised in a piece whose job has failed, or was interrupted, elsewhere."""


def thread_count() -> int:
    """As many as this thread may use: as OMP_NUM_THREADS tells all libraries, else the cores that the process may run
    on; of these its share, where it does one of several pieces."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if told.isdecimal() and int(told) > 0:
        cores = int(told)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // getattr(_here, "shared_by", 1))


def each(function: Callable[[T], R], items: Iterable[T], *, most: int | None = None) -> list[R]:
    """What the function gives for each, in their order; or the first error, once all that were begun have ended.

    At `most` so many at once, where that is said: for pieces that take much memory.
    """
    pieces = list(items)
    count = min(thread_count(), len(pieces), most or len(pieces))
    if count < 2:
        return [function(piece) for piece in pieces]
    unwanted = threading.Event()
    start = getattr(_here, "shared_by", 1) * count, thread_count() // count, unwanted
    with ThreadPoolExecutor(count, initializer=_begin, initargs=start) as pool:
        try:
            return list(pool.map(function, pieces))
        except BaseException:
            unwanted.set()
            raise
        finally:
            _keep_threads()


def together(*jobs: Callable[[], R]) -> list[R]:
    """What each of these jobs gives."""
    return each(lambda job: job(), jobs)


def still_wanted() -> None:
    """For long pieces, now and then: raises `Unwanted` where nobody waits for them any more."""
    unwanted = getattr(_here, "unwanted", None)
    if unwanted is not None and unwanted.is_set():
        raise Unwanted


def trim_heaps() -> None:
    """Give back to the system what is free in the C library's heaps, of which each thread has one; glibc's keep it.

    After a piece that needed much, for a few milliseconds: two phases of a cine leave 200 MB behind, for no one.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's function; None with another C library."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


def _begin(shared_by: int, share: int, unwanted: threading.Event) -> None:
    """In each thread of a pool: no more than its share of the cores, in our own pieces and in torch's."""
    _here.shared_by, _here.unwanted = shared_by, unwanted
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(share)


def _keep_threads() -> None:
    """torch gives threads to come what any thread was given last: they get what this one has."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(torch.get_num_threads())
