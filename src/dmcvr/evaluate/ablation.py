"""ablation: what each part of the method is worth, on the held-out slices.

The rows and scores of `held-out`, for variants of ours: one drawing, or the expected slice; neighbours aligned by grey
values alone; labels without the labeller; z_sem and z_mor by lerp or by slerp; the published way, codes alone, with its
own weights; and, given by `--methods` as `dmcvr:weights=FILE`, other networks, such as the one that ours was distilled
from, with its noise by slerp, by lerp, drawn afresh or left out, and its number of steps. Each row has its cost:
denoiser calls for each slice that there is (inversion) and for each slice drawn, and seconds for each slice (both kinds
counted), which depend on the machine and vary from run to run.
"""

from __future__ import annotations

from dmcvr.evaluate.case import Bench, Case, Findings
from dmcvr.evaluate.held_out import held_out
from dmcvr.evaluate.watched import watch


def ablation(case: Case, bench: Bench) -> Findings:
    """Held-out rows with each variant's cost."""
    timed, clocks = watch(bench)
    findings = held_out(case, timed)
    calls = {contender.name: contender.calls for contender in bench.contenders}
    for row in findings.rows:
        row["calls_acquired"], row["calls_drawn"] = calls[row["method"]]
        row["seconds_a_slice"] = clocks[row["method"]].seconds_a_slice
    return findings
