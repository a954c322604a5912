"""ablation: what each part of the method is worth, on the held-out slices.

The rows and scores of `held-out`, for variants of ours: one drawing, or the expected slice; neighbours aligned by grey
values alone; labels without the labeller; z_sem and z_mor by lerp or by slerp; the published way, codes alone, with its
own weights; and, given by `--methods` as `dmcvr:weights=FILE`, other networks, such as the one that ours was distilled
from, with its noise by slerp, by lerp, drawn afresh or left out, and its number of steps. Each row has its cost:
denoiser calls for each slice that there is (inversion) and for each slice drawn, and seconds for each slice (both kinds
counted), which depend on the machine and vary from run to run.

Every variant is compared with the first one, patient by patient. Names that differ in a last number alone, such as
`mine-0` and `mine-1`, are trainings of one thing from several seeds: the comparison is also made with each patient's
mean over them.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from dmcvr.evaluate.case import Bench, Case, Findings
from dmcvr.evaluate.contenders import Contender
from dmcvr.evaluate.held_out import held_out
from dmcvr.evaluate.metric import DICE, IMAGE
from dmcvr.evaluate.tables import Table, comparison, differences, means, metrics_of
from dmcvr.evaluate.watched import watch

#: What variants are compared in.
COMPARED = (*IMAGE, *DICE)

#: What ends the name of a training from one of several seeds.
SEED = re.compile(r"-\d+$")


def ablation(case: Case, bench: Bench) -> Findings:
    """Held-out rows with each variant's cost."""
    timed, clocks = watch(bench)
    findings = held_out(case, timed)
    calls = {contender.name: contender.calls for contender in bench.contenders}
    for row in findings.rows:
        row["calls_acquired"], row["calls_drawn"] = calls[row["method"]]
        row["seconds_a_slice"] = clocks[row["method"]].seconds_a_slice
    return findings


def ablation_tables(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """Means and differences as everywhere, and from the first variant; with seeds, these over seeds as well."""
    tables = comparison(bars=((contenders[0].name, COMPARED),))(rows, contenders)
    merged = {SEED.sub("", c.name): replace(c, name=SEED.sub("", c.name)) for c in contenders}
    if len(merged) == len(contenders):
        return tables
    first, *_ = merged
    rows = rows.assign(method=rows["method"].str.replace(SEED, "", regex=True))
    return [
        *tables,
        means("Means over patients and seeds", rows, [metric for metric in metrics_of(rows) if metric in COMPARED]),
        differences(f"Against {first}, over seeds", rows, COMPARED, tuple(merged.values()), first),
    ]
