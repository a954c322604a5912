"""paper: the comparison that DMCVR was published with, DMCVR beside DeepRecon (He et al. 2023, Sect. 3), made anew.

`acquired slices`: each method renders the slices that it is given, from their codes (the paper's 2D generation). `5 mm
stacks`, `10 mm stacks`: slices left out, as in `held-out`, with the manual labels as truth. `phantoms`: whole hearts in
3D with exact labels, as in `phantom`, under disturbed scans with slices 10 mm apart. Of patients, the first phase (ED)
alone is measured: a search takes long, and patients tell more than phases.

The paper's claims stand beside what is found here: how much better DMCVR is than DeepRecon in percent of DeepRecon's
score, with the interval of the paired difference, and ratios of costs. CPU seconds (of all cores, for others that work
there do not change them) are of finding an acquired slice's codes, by a search or by deterministic inversion, and of
drawing one with its labels. Training minutes are those that the weights were trained for, all stages together.

Two further tables ask whether a score in 2D (SSIM of acquired slices) tells of the heart in 3D (labels of slices left
out): Spearman's correlation over a method's patients, and the cases whose ranks in both, among all patients and
methods with codes of one task, lie farthest apart: in the best third in 2D and in the worst in 3D, or the other way
round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from dmcvr.evaluate.case import Bench, Case, Findings, Row, image_scores
from dmcvr.evaluate.contenders import Contender, weights_of
from dmcvr.evaluate.held_out import appearance_scores, held_out
from dmcvr.evaluate.metric import DICE, IMAGE, METRICS, Metric
from dmcvr.evaluate.phantom import of_scan
from dmcvr.evaluate.statistics import paired_difference, per_patient, rank_correlation
from dmcvr.evaluate.tables import Table, comparison
from dmcvr.evaluate.watched import Watched, watch
from dmcvr.fill.deeprecon import DeepRecon
from dmcvr.fill.published import Published
from dmcvr.geometry.roi import ROI_MM

#: The phantoms' scan.
SPACING_MM, CONDITION = 10.0, "disturbed"

PHANTOMS = "phantoms"

ACQUIRED = "acquired slices"


@dataclass(frozen=True)
class Claim:
    """What the paper says of a score: how many percent DMCVR has more than DeepRecon."""

    metric: Metric
    tasks: tuple[str, ...]
    percent: float


#: He et al. 2023: SSIM of generated slices, and the accuracy of the myocardium in 3D.
CLAIMS = (
    Claim(METRICS["ssim"], (ACQUIRED,), 35.0),
    Claim(METRICS["dice_lv_myocardium"], ("5 mm stacks", "10 mm stacks", PHANTOMS), 8.0),
)

#: Days of training, DeepRecon's over DMCVR's.
TRAINING_RATIO = 14 / 4.8

#: What stands for a heart in 3D, and so many cases are shown each way that are unlike in 2D and in 3D.
MYOCARDIUM, SIGNATURES = "dice_lv_myocardium", 3

#: What is found, and the ends of its interval.
FOUND = ("here", "low", "high")

_KEPT = {"patient", "group", "phase", "task", "slice", "level", "method", *(metric.key for metric in (*IMAGE, *DICE))}


def paper(case: Case, bench: Bench) -> Findings:
    """Rows of one patient's slices, acquired and left out; or of one phantom's whole heart."""
    timed, watched = watch(bench)
    if case.phantom is not None:
        of_scans = of_scan(case.phantom.seed, SPACING_MM, CONDITION, timed, PHANTOMS)
        findings = Findings([row for row in of_scans if row["level"] == "all"])
    else:
        case = replace(case, stack=case.stack.select_phases([0]))
        findings = held_out(case, timed)
        if findings.rows:  # else there were too few slices
            findings = Findings(_of_acquired(case, bench, watched) + findings.rows, findings.pictures)
    rows = [{key: value for key, value in row.items() if key in _KEPT} for row in findings.rows]
    for row in rows:
        clock = watched[row["method"]]
        row["seconds_acquired"], row["seconds_drawn"] = clock.seconds_acquired, clock.seconds_drawn
    return Findings(rows, findings.pictures)


def _of_acquired(case: Case, bench: Bench, watched: dict[str, Watched]) -> list[Row]:
    """The slices that were given, as each method with networks renders them."""
    pixel_mm = ROI_MM / bench.engine.model.preset.size
    rows = []
    for name in (contender.name for contender in bench.contenders if not contender.plain):
        for phase, (acquired, dense) in zip(case.stack.phases, watched[name].seen, strict=True):
            for n, pair in enumerate(zip(dense.round_trip, acquired.images, strict=True)):
                image, truth = ((part + 1) / 2 for part in pair)
                about = {"phase": phase, "task": ACQUIRED, "slice": n * bench.keep_every, "method": name}
                scores = {**image_scores(image, truth), **appearance_scores(image, truth, pixel_mm)}
                rows.append({**case.about, **about, **scores})
    return rows


def paper_tables(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """Claims beside findings; costs; then means and differences as everywhere."""
    reference = next((c.name for c in contenders if isinstance(c.method, DeepRecon)), None)
    bars = () if reference is None else ((reference, (*IMAGE, *DICE)),)
    tables = [] if reference is None else [_claims(rows, contenders, reference)]
    tables += [_costs(rows, contenders), *comparison("group", "phase", bars=bars)(rows, contenders)]
    if ACQUIRED not in set(rows["task"]):  # phantoms alone, or nothing with codes
        return tables
    both = _in_2d_and_3d(rows)
    return [*tables, _foretold(both), _signatures(both)]


def _claims(rows: pd.DataFrame, contenders: tuple[Contender, ...], reference: str) -> Table:
    theirs = _cost(rows, next(c for c in contenders if c.name == reference))
    lines: list[dict[str, Any]] = []
    for contender in (c for c in contenders if isinstance(c.method, Published)):
        ours = _cost(rows, contender)
        for line in (*_scores_claimed(rows, contender.name, reference), *_costs_claimed(ours, theirs)):
            lines.append({"method": contender.name, **line})
    return Table(f"The paper's claims, against {reference}", "figures", pd.DataFrame(lines))


def _scores_claimed(rows: pd.DataFrame, name: str, reference: str) -> Iterator[dict[str, Any]]:
    """How many percent of the reference's score a method has more."""
    for claim in CLAIMS:
        for task in (task for task in claim.tasks if claim.metric.key in rows and (rows["task"] == task).any()):
            of_task = rows[rows["task"] == task]
            own, its = (per_patient(of_task[of_task["method"] == m], claim.metric) for m in (name, reference))
            gap, percent = paired_difference(own, its), float(its.mean()) / 100
            found = {key: value / percent for key, value in zip(FOUND, (gap.mean, gap.low, gap.high), strict=True)}
            what = {"claim": f"{claim.metric.title}, % more", "task": task, "paper": claim.percent}
            yield {**what, **found, "patients": gap.patients}


def _costs_claimed(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """How many times the reference's cost is a method's; of time at use, the paper says that it is gone."""
    nan = float("nan")
    for claim, paper_says, key in (
        ("training, times as long", TRAINING_RATIO, "training minutes"),
        ("codes of a slice, times as long", nan, "CPU s acquired"),
    ):
        ratio = theirs[key] / ours[key] if ours[key] else nan
        found = dict(zip(FOUND, (ratio, nan, nan), strict=True))
        yield {"claim": claim, "task": "", "paper": paper_says, **found, "patients": 0}


def _costs(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> Table:
    return Table("Costs", "figures", pd.DataFrame([_cost(rows, contender) for contender in contenders]))


def _cost(rows: pd.DataFrame, contender: Contender) -> dict[str, Any]:
    """What a contender's networks took to train, and what it takes to use."""
    info = weights_of(contender.method)
    own = rows[rows["method"] == contender.name]
    return {
        "method": contender.name,
        "training minutes": sum(stage["minutes"] for stage in info.stages) if info else float("nan"),
        "training steps": sum(stage["steps"] for stage in info.stages) if info else 0,
        "calls acquired": contender.calls[0],
        "calls drawn": contender.calls[1],
        "CPU s acquired": float(own["seconds_acquired"].mean()),
        "CPU s drawn": float(own["seconds_drawn"].mean()),
    }


def _in_2d_and_3d(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each task, method with codes, and patient: its scores of acquired slices, and of those left out."""
    given = rows[rows["task"] == ACQUIRED].groupby(["method", "patient"])["ssim"].mean()
    left = rows[~rows["task"].isin((ACQUIRED, PHANTOMS))]
    found = left.groupby(["task", "method", "patient"])[["ssim", MYOCARDIUM]].mean().reset_index()
    found = found.rename(columns={"ssim": "ssim_left_out"})
    return found.join(given.rename("ssim_acquired"), on=["method", "patient"]).dropna()


def _foretold(both: pd.DataFrame) -> Table:
    """Over a method's patients, how the score in 2D goes with those of slices left out."""
    lines = [
        {
            "task": task,
            "method": method,
            "patients": len(of),
            "acquired SSIM with SSIM left out": rank_correlation(of["ssim_acquired"], of["ssim_left_out"]),
            "acquired SSIM with Dice myo left out": rank_correlation(of["ssim_acquired"], of[MYOCARDIUM]),
        }
        for (task, method), of in both.groupby(["task", "method"])
    ]
    return Table("What a score in 2D tells of 3D (Spearman)", "figures", pd.DataFrame(lines))


def _signatures(both: pd.DataFrame) -> Table:
    """The cases among the best third in 2D and the worst in 3D, or the other way round: whose ranks differ most."""
    lines = []
    for task, of in both.groupby("task"):
        in_2d, in_3d = of["ssim_acquired"].rank(pct=True), of[MYOCARDIUM].rank(pct=True)
        for signature, better, worse in (("good 2D, bad 3D", in_2d, in_3d), ("bad 2D, good 3D", in_3d, in_2d)):
            apart = (better - worse)[(better > 2 / 3) & (worse <= 1 / 3)]
            for _, row in of.loc[apart.nlargest(SIGNATURES).index].iterrows():
                case = {"signature": signature, "task": task, "method": row["method"], "patient": row["patient"]}
                scores = {"SSIM acquired": row["ssim_acquired"], "SSIM left out": row["ssim_left_out"]}
                lines.append({**case, **scores, "Dice myo left out": row[MYOCARDIUM]})
    return Table("Failure signatures", "figures", pd.DataFrame(lines), further=True)
