"""How far a cohort is: counts, a rate, and the time that is left."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from dmcvr.cohort.ledger import Row

#: Seconds over which the rate is taken.
RATE_S = 300.0


@dataclass
class Tally:
    """A run's progress, and its end.

    =============  =============================================================================
    found          exams that are wanted so far; `counted` when there will be no more
    done_before    of them, those that were done in an earlier run
    failed_before  of them, those that failed then and are not tried again
    done, failed   in this run
    bytes          of the folders that were done in it
    workers        that are there now
    =============  =============================================================================
    """

    found: int = 0
    counted: bool = False
    done_before: int = 0
    failed_before: int = 0
    done: int = 0
    failed: int = 0
    bytes: int = 0
    workers: int = 0
    begun: float = field(default_factory=time.monotonic)
    _times: deque[tuple[float, int]] = field(default_factory=deque)

    def enter(self, row: Row) -> None:
        """Count an exam that has ended."""
        now = time.monotonic()
        if not self._times or now - self._times[-1][0] >= 1:
            self._times.append((now, self.ended))
        while now - self._times[0][0] > RATE_S and len(self._times) > 1:
            self._times.popleft()
        if row.state == "done":
            self.done += 1
            self.bytes += row.bytes
        else:
            self.failed += 1

    @property
    def ended(self) -> int:
        """In this run."""
        return self.done + self.failed

    @property
    def left(self) -> int:
        """Of those found."""
        return self.found - self.done_before - self.failed_before - self.ended

    @property
    def rate(self) -> float | None:
        """Exams a second, of late; None before that can be said."""
        if not self._times:
            return None
        since, count = self._times[0] if len(self._times) > 1 else (self.begun, 0)
        return (self.ended - count) / max(time.monotonic() - since, 1e-3)

    @property
    def seconds_left(self) -> float | None:
        """By the rate; None while exams are still being found."""
        return self.left / self.rate if self.counted and self.rate else None

    def record(self) -> dict[str, Any]:
        """For a log."""
        rate, left = self.rate, self.seconds_left
        return {
            "found": self.found,
            "counted": self.counted,
            "done": self.done_before + self.done,
            "failed": self.failed_before + self.failed,
            "done_now": self.done,
            "failed_now": self.failed,
            "workers": self.workers,
            "exams_a_minute": None if rate is None else round(60 * rate, 2),
            "seconds_left": None if left is None else round(left),
        }
