"""Names, timings and progress of a run's stages: what is done now, how much of the whole that is, and the time left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from dmcvr.threads import each, still_wanted, thread_count, trim_heaps

T = TypeVar("T")
R = TypeVar("R")

#: Seconds that a stage takes once (eleven slices, two cores): their ratios are the first guess, what is timed the next.
#: Loading is not among them: it tells of a disk, and nothing of this machine's pace.
TYPICAL_S = {
    "locate": 0.33,
    "segment": 0.18,
    "slide": 0.4,
    "align": 0.85,
    "encode": 0.38,
    "invert": 0.32,
    "decode": 1.27,
    "fill": 0.7,
    "complete": 0.2,
    "resample": 0.2,
    "measure": 0.39,
    "write": 0.69,
}

#: Before so many seconds nothing is said of the time left.
SURE_AFTER_S = 3.0


@dataclass(frozen=True)
class Moment:
    """Where a run stands.

    ==============  ==========================================================================
    stage           what is done now; between stages, what was done last
    phase, phases   which phase of how many, from 1; 0 where that means nothing
    step, steps     which step of how many of the outermost stage; 0 where that means nothing
    percent         share of the whole that is done; None where that is not known
    seconds         since the run began
    left_s          guess of the seconds that are left; None where that is not known
    note            what the stage itself has to say
    ==============  ==========================================================================
    """

    stage: str
    phase: int
    phases: int
    step: int
    steps: int
    percent: float | None
    seconds: float
    left_s: float | None
    note: str


#: Is told of each event ("begin", "step" and "end" of a stage), and where the run then stands.
Listener = Callable[[str, Moment], None]


@dataclass(eq=False)
class _Open:
    """A stage that is under way; `share` of it is done, which is known where it is `counted`."""

    name: str
    begun: float
    total: int | None
    first: float
    share: float
    counted: bool = False
    note: str = ""

    @property
    def step(self) -> int:
        return 0 if self.total is None else min(self.total, round(self.share * self.total) + 1)


class Stages:
    """Adds up the seconds of each stage, guesses what is left of those that are expected, and tells listeners."""

    def __init__(self, *listeners: Listener) -> None:
        self.seconds: dict[str, float] = {}
        self._listeners = listeners
        self._begun = time.perf_counter()
        self._times: Counter[str] = Counter()
        self._expected: Counter[str] = Counter()
        self._open: list[_Open] = []
        self._phase = (0, 0)
        self._abreast = 1
        self._lock = threading.RLock()
        self._last = ""
        self._done_s = 0.0  # of what was expected
        self._most = 0.0  # a percentage never falls

    @contextmanager
    def __call__(self, name: str, total: int | None = None, *, at: float = 0.0) -> Iterator[Callable[..., None]]:
        """Time a block; call what it gives once a step, or with the share that is done as `at`, and a `note`.

        The share begins `at`, where the stage goes on with what was begun before.
        """
        still_wanted()
        stage = _Open(name, time.perf_counter(), total, at, at)
        with self._lock:
            self._open.append(stage)
            self._tell("begin")

        def advance(*, at: float | None = None, note: str = "") -> None:
            still_wanted()
            with self._lock:
                stage.share = min(1.0, stage.share + 1 / (total or 1) if at is None else at)
                stage.note, stage.counted = note or stage.note, True
                self._tell("step")

        try:
            yield advance
        finally:
            with self._lock:
                took = self._since(stage, time.perf_counter())
                self.seconds[name] = self.seconds.get(name, 0.0) + took
                stage.share = 1.0
                self._tell("end")
                self._open.remove(stage)
                self._last = name
                self._times[name] += 1
                if self._expected[name]:
                    self._expected[name] -= 1
                    self._done_s += took

    def expect(self, names: Iterable[str]) -> None:
        """Say what is still to come, in any order, a name for each time: the time left is guessed from that."""
        self._expected.update(names)

    def phases(self, function: Callable[[T], R], items: Sequence[T], *, abreast: int = 1) -> list[R]:
        """What the function gives for each item, one a phase, in their order; so many phases side by side.

        While phases run side by side a stage's second counts as its share of one, so that the seconds of all stages
        add up to those that pass. What is left over after the last such row has all cores, one by one.
        """
        abreast = min(abreast, thread_count())
        in_rows = len(items) - len(items) % abreast

        def do(item: T) -> R:
            with self._lock:
                self._phase = (self._phase[0] + 1, len(items))
            try:
                return function(item)
            finally:
                trim_heaps()

        trim_heaps()  # of what came before
        try:
            self._abreast = abreast if in_rows else 1
            found = each(do, items[:in_rows], most=abreast)
            self._abreast = 1
            return [*found, *(do(item) for item in items[in_rows:])]
        finally:
            self._abreast, self._phase = 1, (0, 0)

    def now(self) -> Moment:
        """Where the run stands."""
        with self._lock:
            stages, now = list(self._open), time.perf_counter()
            outer = stages[0] if stages else None
            seconds = now - self._begun
            left_s, share = self._left(stages, now)
        percent = None
        if share is not None:
            percent = self._most = max(self._most, min(99.0, 100 * share))
        return Moment(
            stage=stages[-1].name if stages else self._last,
            phase=self._phase[0],
            phases=self._phase[1],
            step=outer.step if outer else 0,
            steps=(outer.total or 0) if outer else 0,
            percent=percent,
            seconds=seconds,
            left_s=left_s if seconds >= SURE_AFTER_S else None,
            note=stages[-1].note if stages else "",
        )

    def _left(self, stages: list[_Open], now: float) -> tuple[float | None, float | None]:
        """Seconds that are left, and the share that is done; None where that is not known.

        Of what is expected, as it was timed; else of the outermost stage, at the speed of what is done of it. What is
        done now and was not expected may be anything.
        """
        expected = dict(self._expected)
        if any(expected.values()):
            if stages and not expected.get(stages[0].name):
                return None, None
            whole_s = sum(count * self._once_s(name) for name, count in expected.items())
            done_s = 0.0
            for stage in stages:
                if expected.get(stage.name):
                    once = self._once_s(stage.name)
                    done_s += max(stage.share * once, min(self._since(stage, now), once))
            left_s = max(0.0, whole_s - done_s)
            return left_s, (self._done_s + done_s) / max(self._done_s + done_s + left_s, 1e-9)
        if stages and stages[0].counted and stages[0].share > stages[0].first:
            outer = stages[0]
            return self._since(outer, now) * (1 - outer.share) / (outer.share - outer.first), outer.share
        return None, None

    def _since(self, stage: _Open, now: float) -> float:
        """Seconds since a stage began: its share of them, where phases run side by side."""
        return (now - stage.begun) / self._abreast

    def _once_s(self, name: str) -> float:
        """Seconds that a stage takes once: the mean of what was timed and of one first guess at this machine's pace."""
        timed = [(self.seconds[key], self._times[key] * usual) for key, usual in TYPICAL_S.items() if self._times[key]]
        pace = (1 + sum(took for took, _ in timed)) / (1 + sum(usual for _, usual in timed))
        guess = TYPICAL_S.get(name, 0.5) * pace
        return (self.seconds.get(name, 0.0) + guess) / (self._times[name] + 1)

    def _tell(self, event: str) -> None:
        for listener in self._listeners:
            listener(event, self.now())
