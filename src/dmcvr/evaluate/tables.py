"""From rows to Markdown: means, differences with intervals, agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dmcvr.evaluate.case import ALIGNED, Row
from dmcvr.evaluate.clinical import agreement
from dmcvr.evaluate.contenders import Contender
from dmcvr.evaluate.statistics import best_of, paired_difference, per_patient

#: Columns that say what a row is about; the others are numbers.
KEYS = ("patient", "group", "phase", "task", "slice", "level", "method")

#: How a heading is shortened; applied in this order.
SHORT = (
    ("_lv_cavity", " LV"),
    ("_lv_myocardium", " myo"),
    ("_rv_cavity", " RV"),
    (ALIGNED, ""),
    ("_percent", " %"),
    ("_mm", " mm"),
    ("_db", " dB"),
    ("_ml", " mL"),
    ("_g", " g"),
    ("_", " "),
)


@dataclass(frozen=True)
class Table:
    """A titled table, with the same numbers unrounded for the summary; `further` ones are in the report alone."""

    title: str
    heads: list[str]
    lines: list[list[str]]
    numbers: list[dict[str, Any]]
    further: bool = False

    def markdown(self) -> str:
        rows = [self.heads, ["---"] * len(self.heads), *self.lines]
        return f"**{self.title}**\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows)


Tabulate = Callable[[list[Row], tuple[Contender, ...]], list[Table]]


#: Columns that are no scores.
COSTS = ("calls_acquired", "calls_drawn", "seconds_a_slice", "shift_mm")


def comparison(*breakdowns: str, bars: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> Tabulate:
    """Means and differences over all rows, then means by each of the breakdown's keys.

    `bars` are methods that ours is also compared with by name, each in the scores that begin as listed.
    """

    def tabulate(rows: list[Row], contenders: tuple[Contender, ...]) -> list[Table]:
        metrics = [key for key in _columns(rows) if not key.startswith(ALIGNED)]
        aligned = [key for key in _columns(rows) if key.startswith(ALIGNED)]
        tables = [means("Means over patients", rows, metrics)]
        scores = [key for key in metrics if key not in COSTS]
        versus = differences("Against the best plain method", rows, scores, contenders)
        tables += [versus] if versus.lines else []
        for bar, starts in bars:
            versus = differences(f"Against {bar}", rows, [s for s in scores if s.startswith(starts)], contenders, bar)
            tables += [versus] if versus.lines else []
        further = []
        if aligned:
            further.append(means("After the best in-plane translation of at most 5 mm", rows, aligned))
            versus = differences("Against the best plain method, after translation", rows, aligned, contenders)
            further += [versus] if versus.lines else []
        for key in breakdowns:
            if len({row[key] for row in rows if key in row}) > 1:
                further.append(means(f"By {key}", rows, metrics, key))
        return tables + [replace(table, further=True) for table in further]

    return tabulate


def means(title: str, rows: list[Row], metrics: list[str], key: str | None = None) -> Table:
    """A line for each task, value of `key` and method: the mean over patients of each patient's mean."""
    lines, numbers = [], []
    keys = [k for k in ("task", key, "method") if k is not None and any(k in row for row in rows)]
    for group in _in_order([tuple(str(row[k]) for k in keys) for row in rows]):
        members = [row for row in rows if tuple(str(row[k]) for k in keys) == group]
        values = {metric: per_patient(members, metric) for metric in metrics}
        found = {metric: float(np.mean(list(v.values()))) for metric, v in values.items() if v}
        patients = len({row["patient"] for row in members})
        lines.append([*group, str(patients), *(_cell(m, found.get(m)) for m in metrics)])
        numbers.append({**dict(zip(keys, group, strict=True)), "patients": patients, **found})
    return Table(title, [*keys, "patients", *(heading(m) for m in metrics)], lines, numbers)


def differences(
    title: str, rows: list[Row], metrics: list[str], contenders: tuple[Contender, ...], bar: str | None = None
) -> Table:
    """A line for each task, metric and contender that is not plain: its difference from the best plain one.

    Best is the best mean of that metric in that task, among those that are given the same labels. With a `bar`, the
    difference is from that one, whatever it is given.
    """
    tasks = list(dict.fromkeys(str(row.get("task", "")) for row in rows))
    lines, numbers = [], []
    for task in tasks:
        of_task = [row for row in rows if str(row.get("task", "")) == task]
        by_method = {c.name: [row for row in of_task if row["method"] == c.name] for c in contenders}
        for metric in metrics:
            for contender in (c for c in contenders if not c.plain):
                rivals = {
                    c.name: per_patient(by_method[c.name], metric)
                    for c in contenders
                    if (c.plain and c.manual == contender.manual if bar is None else c.name == bar)
                }
                best = best_of(rivals, metric)
                own = per_patient(by_method[contender.name], metric)
                if best is None or not own:
                    continue
                gap = paired_difference(own, rivals[best], best)
                middle, low, high = (_number(metric, value, True) for value in (gap.mean, gap.low, gap.high))
                text = f"{middle} [{low}, {high}]" if gap.patients > 1 else middle
                text = f"**{text}**" if gap.excludes_zero else text
                mean = (_number(metric, float(np.mean(list(v.values())))) for v in (own, rivals[best]))
                line = [contender.name, heading(metric), *mean, best, text, str(gap.patients)]
                lines.append([task, *line] if tasks != [""] else line)
                numbers.append({"task": task, "method": contender.name, "metric": metric, **asdict(gap)})
    heads = [
        "method",
        "score",
        "mean",
        "best plain" if bar is None else "its",
        "which",
        "difference [95 % interval]",
        "patients",
    ]
    return Table(title, heads if tasks == [""] else ["task", *heads], lines, numbers)


def segmentation_tables(rows: list[Row], contenders: tuple[Contender, ...]) -> list[Table]:
    """Whole stacks by phase and by disease group, then level by level."""
    del contenders
    metrics, whole = _columns(rows), [row for row in rows if row["level"] == "all"]
    tables = [means("Whole stacks, mean of the phases", whole, metrics), means("By phase", whole, metrics, "phase")]
    if len({row["group"] for row in rows}) > 1:
        tables.append(means("By disease group", whole, metrics, "group"))
    by_level = means("By level", [row for row in rows if row["level"] != "all"], metrics, "level")
    return [*tables, replace(by_level, further=True)]


def clinical_tables(rows: list[Row], contenders: tuple[Contender, ...]) -> list[Table]:
    """Agreement of each measure, over all patients and by disease group."""
    del contenders
    tables = [_agreement_table("Agreement with the manual labels", rows, [])]
    if len({row["group"] for row in rows}) > 1:
        tables.append(_agreement_table("By disease group", rows, ["group"]))
    return tables


def _agreement_table(title: str, rows: list[Row], extra: list[str]) -> Table:
    keys = ["task", *extra, "method"]
    lines, numbers = [], []
    for group in _in_order([tuple(str(row[k]) for k in keys) for row in rows]):
        members = [row for row in rows if tuple(str(row[k]) for k in keys) == group]
        value, manual = (np.array([row[k] for row in members], dtype=float) for k in ("value", "manual"))
        found = agreement(value, manual)
        limits = f"{found['loa_low']:+.1f} to {found['loa_high']:+.1f}"
        lines.append(
            [
                heading(group[0]),
                *group[1:],
                str(int(found["patients"])),
                f"{found['bias']:+.2f}",
                f"{found['sd']:.2f}",
                limits,
                f"{found['mean_abs']:.2f}",
                f"{found['icc']:.3f}",
            ]
        )
        numbers.append({**dict(zip(keys, group, strict=True)), **found})
    heads = ["measure", *extra, "method", "patients", "bias", "SD", "limits of agreement", "mean abs", "ICC"]
    return Table(title, heads, lines, numbers)


def heading(metric: str) -> str:
    """A column's name as people read it: `hd95_lv_cavity_mm` is `hd95 LV mm`."""
    for long, short in SHORT:
        metric = metric.replace(long, short)
    return metric


def _columns(rows: list[Row]) -> list[str]:
    return [key for key in rows[0] if key not in KEYS]


def _in_order(groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The distinct groups; each of their keys in the order in which its values first come."""
    ranks = [{value: n for n, value in enumerate(dict.fromkeys(values))} for values in zip(*groups, strict=True)]
    return sorted(set(groups), key=lambda group: [rank[value] for rank, value in zip(ranks, group, strict=True)])


def _cell(metric: str, value: float | None) -> str:
    return "-" if value is None else _number(metric, value)


def _number(metric: str, value: float, signed: bool = False) -> str:
    digits = 2 if any(part in metric for part in ("_db", "_mm", "_ml", "_g", "percent", "calls")) else 3
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
