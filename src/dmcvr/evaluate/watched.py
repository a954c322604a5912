"""A method that is watched while it is measured: how long it takes, and how it renders the slices that it is given."""

from __future__ import annotations

import time
from dataclasses import replace

from dmcvr.evaluate.case import Bench
from dmcvr.fill.method import Acquired, Dense, Method
from dmcvr.geometry.plan import Plan
from dmcvr.stages import Stages

#: The stages in which the codes of acquired slices are found; all other time goes into slices that are drawn.
FINDING = ("search", "invert", "encode")


class Watched:
    """A `dmcvr.fill.method.Method`; `seen` are what it was given and gave, call by call."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._seconds = 0.0
        self._cpu_seconds = [0.0, 0.0]  # of finding codes, of drawing
        self._slices = [0, 0]
        self.seen: list[tuple[Acquired, Dense]] = []

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        own, begun = Stages(), time.process_time()
        with own("all"):
            dense = self._method(acquired, plan, own)
        cpu_seconds = time.process_time() - begun
        self._seconds += own.seconds["all"]
        share = sum(own.seconds.get(name, 0.0) for name in FINDING) / own.seconds["all"]
        for n, (part, slices) in enumerate(((share, len(acquired.images)), (1 - share, len(plan)))):
            self._cpu_seconds[n] += part * cpu_seconds
            self._slices[n] += slices
        self.seen.append((acquired, dense))
        return dense

    @property
    def seconds_acquired(self) -> float:
        """CPU seconds for an acquired slice's codes; 0 where there are none to find."""
        return self._cpu_seconds[0] / max(1, self._slices[0])

    @property
    def seconds_drawn(self) -> float:
        """CPU seconds for a slice drawn."""
        return self._cpu_seconds[1] / max(1, self._slices[1])

    @property
    def seconds_a_slice(self) -> float:
        """Seconds on the wall for each slice, acquired and drawn ones counted alike."""
        return self._seconds / max(1, sum(self._slices))


def watch(bench: Bench) -> tuple[Bench, dict[str, Watched]]:
    """The same bench, whose contenders are watched, and they by name."""
    watched = {contender.name: Watched(contender.method) for contender in bench.contenders}
    contenders = tuple(replace(contender, method=watched[contender.name]) for contender in bench.contenders)
    return replace(bench, contenders=contenders), watched
