"""ablation: what each part of the method is worth, on the held-out slices.

The rows and scores of `held-out`, for variants of ours: one drawing, or the expected slice; neighbours aligned by grey
values alone; labels without the labeller; the noise by slerp, by lerp, or drawn afresh; z_sem and z_mor by lerp or by
slerp; the number of steps; the published way, codes alone, with its own weights; and, given by `--methods` as
`dmcvr:weights=FILE`, other networks. Each row has its cost: denoiser calls for each slice that there is (inversion) and
for each slice drawn, and seconds for each slice (both kinds counted), which depend on the machine and vary from run to
run.
"""

from __future__ import annotations

import time
from dataclasses import replace

from dmcvr.evaluate.case import Bench, Case, Findings
from dmcvr.evaluate.held_out import held_out
from dmcvr.fill.method import Acquired, Dense, Method
from dmcvr.geometry.plan import Plan
from dmcvr.stages import Stages


def ablation(case: Case, bench: Bench) -> Findings:
    """Held-out rows with each variant's cost."""
    clocks = {contender.name: _Timed(contender.method) for contender in bench.contenders}
    timed = tuple(replace(contender, method=clocks[contender.name]) for contender in bench.contenders)
    findings = held_out(case, replace(bench, contenders=timed))
    calls = {contender.name: contender.calls for contender in bench.contenders}
    for row in findings.rows:
        row["calls_acquired"], row["calls_drawn"] = calls[row["method"]]
        row["seconds_a_slice"] = clocks[row["method"]].seconds_a_slice
    return findings


class _Timed:
    """A method, and how long it takes."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._seconds, self._slices = 0.0, 0

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        begun = time.perf_counter()
        dense = self._method(acquired, plan, stages)
        self._seconds += time.perf_counter() - begun
        self._slices += len(acquired.images) + len(plan)
        return dense

    @property
    def seconds_a_slice(self) -> float:
        return self._seconds / max(1, self._slices)
