"""From rows to tables: means, differences with intervals, agreement; their numbers, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dmcvr.evaluate.agreement import agreement
from dmcvr.evaluate.metric import METRICS, SHIFTED, Metric
from dmcvr.evaluate.statistics import best_of, paired_difference, per_patient

if TYPE_CHECKING:
    from dmcvr.evaluate.contenders import Contender


#: Differences of fewer patients are never printed bold: their intervals are too narrow.
FEWEST = 5


@dataclass(frozen=True)
class Table:
    """A titled table of unrounded numbers; `further` ones are in the report alone.

    ===========  =====================================================================================
    means        the columns that say what a line is about, the number of patients, and a mean each metric
    differences  a line for each metric: both means, their difference and its interval
    agreement    a line for each clinical measure: bias, limits of agreement and so on
    coverage     a line for each measure: how often the true value lies in its interval, and how wide that is
    calibration  a line for each task and structure: expected calibration errors, with intervals
    figures      words and plain numbers
    ===========  =====================================================================================
    """

    title: str
    kind: Literal["means", "differences", "agreement", "coverage", "calibration", "figures"]
    numbers: pd.DataFrame
    further: bool = False

    @property
    def text(self) -> pd.DataFrame:
        """As people read it: headings and rounded numbers."""
        return _SHOWN[self.kind](self.numbers).astype(str)

    @property
    def numeric(self) -> list[bool]:
        """Which columns of the text are numbers."""
        words = (
            "task",
            "signature",
            "patient",
            "level",
            "phase",
            "kind",
            "group",
            "method",
            "score",
            "measure",
            "which",
            "fault",
            "structure",
        )
        return [column not in words for column in self.text.columns]

    def markdown(self) -> str:
        return f"**{self.title}**\n\n{markdown(self.text)}"

    def record(self) -> dict[str, Any]:
        """For JSON, which has null for a number that there is not."""
        rows = [
            {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}
            for row in self.numbers.to_dict("records")
        ]
        return {"title": self.title, "kind": self.kind, "rows": rows}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Table:
        """The table of a record."""
        return cls(record["title"], record["kind"], pd.DataFrame(record["rows"]))


def markdown(text: pd.DataFrame) -> str:
    """A frame of strings as a Markdown table."""
    lines = [list(text.columns), ["---"] * len(text.columns), *text.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


Tabulate = Callable[[pd.DataFrame, "tuple[Contender, ...]"], list[Table]]

#: What the rows' `group` is called in titles.
_TITLED = {"group": "disease group"}

#: A method that others are compared with by name, and the metrics in which they are.
Bar = tuple[str, tuple[Metric, ...]]


def comparison(*breakdowns: str, bars: tuple[Bar, ...] = ()) -> Tabulate:
    """Means and differences over all rows, then means by each of the breakdown's keys."""

    def tabulate(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
        every = metrics_of(rows)
        plain = [metric for metric in every if not metric.key.startswith(SHIFTED)]
        shifted = [metric for metric in every if metric.key.startswith(SHIFTED)]
        tables = [means("Means over patients", rows, plain)]
        tables.append(differences("Against the best plain method", rows, plain, contenders))
        for bar, metrics in bars:
            tables.append(differences(f"Against {bar}", rows, metrics, contenders, bar))
        further = []
        if shifted:
            further.append(means("After the best in-plane translation of at most 5 mm", rows, shifted))
            title = "Against the best plain method, after translation"
            further.append(differences(title, rows, shifted, contenders))
        further += [
            means(f"By {_TITLED.get(key, key)}", rows, plain, key) for key in breakdowns if rows[key].nunique() > 1
        ]
        tables += [replace(table, further=True) for table in further]
        return [table for table in tables if len(table.numbers)]

    return tabulate


def means(title: str, rows: pd.DataFrame, metrics: Iterable[Metric], key: str | None = None) -> Table:
    """A line for each task, value of `key` and method: the mean over patients of each patient's mean."""
    keys = [k for k in ("task", key, "method") if k is not None and k in rows]
    lines = []
    for group, members in _groups(rows, keys):
        found = {metric.key: float(per_patient(members, metric).mean()) for metric in metrics}
        lines.append({**dict(zip(keys, group, strict=True)), "patients": members["patient"].nunique(), **found})
    return Table(title, "means", pd.DataFrame(lines))


def differences(
    title: str,
    rows: pd.DataFrame,
    metrics: Iterable[Metric],
    contenders: tuple[Contender, ...],
    bar: str | None = None,
) -> Table:
    """A line for each task, metric and contender that is not plain: its difference from the best plain one.

    Best is the best mean of that metric in that task. With a `bar`, the difference is from that one, and where all are
    plain, it is that of every other. Compared are only methods that are given the same labels.
    """
    compared = [c for c in contenders if not c.plain and c.name != bar]
    if bar is not None and not compared:
        compared = [c for c in contenders if c.name != bar]
    lines = []
    for (task,), of_task in _groups(rows, ["task"]) if "task" in rows else [(("",), rows)]:
        for metric in metrics:
            if metric.better is None or metric.key not in rows:
                continue
            values = {c.name: per_patient(of_task[of_task["method"] == c.name], metric) for c in contenders}
            for contender in (c for c in compared if len(values[c.name])):
                rivals = {
                    c.name: values[c.name]
                    for c in contenders
                    if c.manual == contender.manual and (c.plain if bar is None else c.name == bar)
                }
                best = best_of(rivals, metric)
                if best is None:
                    continue
                own, its = values[contender.name], rivals[best]
                gap = asdict(paired_difference(own, its))
                gap = {"difference" if key == "mean" else key: value for key, value in gap.items()}
                line = {"method": contender.name, "metric": metric.key, "mean": float(own.mean())}
                line |= {"its": float(its.mean()), "which": best, **gap}
                lines.append({"task": task, **line} if task else line)
    return Table(title, "differences", pd.DataFrame(lines))


def segmentation_tables(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """Whole stacks by phase and by disease group, then level by level; and two annotators of one scan, if there are."""
    del contenders
    metrics = metrics_of(rows)
    ours = rows[rows["method"] == "segmenter"]
    whole, of_level = (ours[(ours["level"] == "all") == is_whole] for is_whole in (True, False))
    tables = []
    if len(ours):
        tables = [means("Whole stacks, mean of the phases", whole, metrics), means("By phase", whole, metrics, "phase")]
        tables += [means("By disease group", whole, metrics, "group")] if ours["group"].nunique() > 1 else []
        tables += [replace(means("By level", of_level, metrics, "level"), further=True)]
    if len(ours) < len(rows):
        every = rows[rows["level"] == "all"]
        tables.append(means("Beside two annotators of one scan", every, metrics, "phase"))
    return tables


def solid_tables(bars: tuple[Bar, ...]) -> Tabulate:
    """Whole hearts as in `comparison`; then means and differences level by level, and by kind of heart."""
    of_whole = comparison("phase", "kind", bars=bars)

    def tabulate(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
        is_whole = rows["level"] == "all"
        part = rows[~is_whole].dropna(axis=1, how="all")
        tables = of_whole(rows[is_whole], contenders)
        further = [means("By level", part, metrics_of(part), "level")]
        by_level = part.assign(task=part["task"] + ", " + part["level"])
        further += [
            differences(f"Against {bar}, by level", by_level, [m for m in metrics if m.key in part], contenders, bar)
            for bar, metrics in bars
        ]
        return tables + [replace(table, further=True) for table in further if len(table.numbers)]

    return tabulate


def clinical_tables(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """Agreement of each measure, over all patients and by disease group."""
    del contenders
    tables = [_agreement_table("Agreement with the manual labels", rows, [])]
    if rows["group"].nunique() > 1:
        tables.append(_agreement_table("By disease group", rows, ["group"]))
    return tables


def _agreement_table(title: str, rows: pd.DataFrame, extra: list[str]) -> Table:
    keys = ["task", *extra, "method"]
    lines = [
        {**dict(zip(keys, group, strict=True)), **agreement(members["value"].to_numpy(), members["manual"].to_numpy())}
        for group, members in _groups(rows, keys)
    ]
    return Table(title, "agreement", pd.DataFrame(lines))


def metrics_of(rows: pd.DataFrame) -> list[Metric]:
    """The metrics among the columns of rows."""
    return [METRICS[key] for key in rows.columns if key in METRICS]


def _groups(rows: pd.DataFrame, keys: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows by their values of the keys; each key's values in the order in which they first come."""
    ordered = rows.assign(**{k: pd.Categorical(rows[k], categories=rows[k].unique(), ordered=True) for k in keys})
    found = ordered.groupby(keys, observed=True)
    return [(tuple(values), rows.loc[members.index]) for values, members in found]


def _shown_means(numbers: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            METRICS[key].heading if key in METRICS else key: [METRICS[key].text(value) for value in column]
            if key in METRICS
            else column
            for key, column in numbers.items()
        }
    )


def _shown_differences(numbers: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for row in numbers.to_dict("records"):
        metric = METRICS[row["metric"]]
        middle, low, high = (metric.text(row[key], signed=True) for key in ("difference", "low", "high"))
        text = f"{middle} [{low}, {high}]" if row["patients"] > 1 else middle
        sure = row["patients"] >= FEWEST and (row["low"] > 0 or row["high"] < 0)
        text = f"**{text}**" if sure else text
        line = {"task": row["task"]} if "task" in row else {}
        line |= {"method": row["method"], "score": metric.heading}
        line |= {"mean": metric.text(row["mean"]), "its": metric.text(row["its"]), "which": row["which"]}
        lines.append({**line, "difference [95 % interval]": text, "patients": row["patients"]})
    return pd.DataFrame(lines)


def _shown_agreement(numbers: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "measure": [METRICS[key].heading for key in numbers["task"]],
            **{key: numbers[key] for key in ("group", "method") if key in numbers},
            "patients": numbers["patients"],
            "bias": numbers["bias"].map("{:+.2f}".format),
            "SD": numbers["sd"].map("{:.2f}".format),
            "limits of agreement": [
                f"{low:+.1f} to {high:+.1f}" for low, high in zip(numbers["loa_low"], numbers["loa_high"], strict=True)
            ],
            "mean abs": numbers["mean_abs"].map("{:.2f}".format),
            "ICC": numbers["icc"].map("{:.3f}".format),
        }
    )


def _shown_coverage(numbers: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{key: numbers[key] for key in ("task", "measure", "group", "spacing_mm") if key in numbers},
            "exams": numbers["exams"],
            "mean abs error": numbers["error"].map("{:.1f}".format),
            "inside": [_percent(share) for share in numbers["inside_part"]],
            "half width": ["-" if not np.isfinite(half) else f"{half:.1f}" for half in numbers["half_part"]],
            "inside whole": [_percent(share) for share in numbers["inside"]],
            "half width whole": numbers["half"].map("{:.1f}".format),
        }
    )


def _shown_calibration(numbers: pd.DataFrame) -> pd.DataFrame:
    shown: dict[str, Any] = {key: numbers[key] for key in ("task", "structure", "patients")}
    shown |= {"pixels": numbers["pixels"].map("{:,}".format), "labels right": numbers["right"].map("{:.3f}".format)}
    for kind in ("drawn", "shown"):
        error, low, high = (numbers[f"{kind}_{key}"].astype(float) for key in ("error", "low", "high"))
        shown[f"error as {kind} [95 % interval]"] = [
            f"{e:.3f} [{a:.3f}, {b:.3f}]" if np.isfinite(a) else f"{e:.3f}"
            for e, a, b in zip(error, low, high, strict=True)
        ]
    return pd.DataFrame(shown)


def _shown_figures(numbers: pd.DataFrame) -> pd.DataFrame:
    def shown(value: Any) -> Any:
        return value if not isinstance(value, float) else ("-" if not np.isfinite(value) else f"{value:.2f}")

    return pd.DataFrame({key: [shown(value) for value in column] for key, column in numbers.items()})


def _percent(share: float) -> str:
    return "-" if not np.isfinite(share) else f"{100 * share:.0f} %"


_SHOWN = {
    "means": _shown_means,
    "differences": _shown_differences,
    "agreement": _shown_agreement,
    "coverage": _shown_coverage,
    "calibration": _shown_calibration,
    "figures": _shown_figures,
}
