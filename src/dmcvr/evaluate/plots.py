"""Pictures of an evaluation: paired dots, Bland-Altman, and the worst slices."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dmcvr.evaluate.agreement import agreement
from dmcvr.evaluate.case import Picture
from dmcvr.evaluate.metric import METRICS
from dmcvr.labels.colours import COLOURS, MARK, css

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Slices on the contact sheet.
WORST = 12

#: Panels side by side: as many as a page's width lets be read.
COLUMNS = 6

#: Bins with a smaller share of the pixels are not drawn.
FEW = 0.0005

#: What is drawn where a protocol has it.
PAIRED = (
    *("psnr_db", "ssim", "haarpsi", "gmsd", "vif", "ms_ssim", "sharpness", "spectrum_fine", "spectrum_middle"),
    *("dice_lv_cavity", "dice_lv_myocardium", "dice_rv_cavity", "correlation", "flicker_ratio"),
)


def paired_plot(path: Path, rows: pd.DataFrame) -> None:
    """Every patient's mean of each score: methods from top to bottom, one line a patient, a mark at their mean."""
    rows = rows.assign(task=rows.get("task", ""))
    methods, tasks = rows["method"].unique(), rows["task"].unique()
    metrics = [METRICS[key] for key in PAIRED if key in rows]
    lines = -(-len(metrics) // COLUMNS)
    columns = min(COLUMNS, len(metrics))
    figure = _figure(3 + 2.4 * columns, (0.9 + 0.2 * len(methods)) * lines * len(tasks))
    blocks = figure.subfigures(len(tasks), 1, squeeze=False)[:, 0]
    for block, task in zip(blocks, tasks, strict=True):
        panels = block.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for panel in panels[len(metrics) :]:
            panel.set_axis_off()
        for axis, metric in zip(panels, metrics, strict=False):
            members = rows[rows["task"] == task]
            values = members.pivot_table(metric.key, "method", "patient", dropna=False).reindex(methods)
            axis.plot(values, range(len(methods)), "o-", color="0.6", ms=3, lw=0.6)
            axis.plot(values.mean(axis=1), range(len(methods)), "|", color=css(MARK), ms=12, mew=3)
            axis.set_yticks(range(len(methods)), methods, fontsize=7)
            axis.set_title(f"{task} {metric.heading}".strip(), fontsize=8)
            axis.tick_params(axis="x", labelsize=7)
        panels[0].set_ylim(len(methods) - 0.5, -0.5)
    _save(figure, path)


def bland_altman(path: Path, rows: pd.DataFrame) -> None:
    """Difference against the mean of both, with bias and limits: a panel for each measure and method."""
    methods, measures = rows["method"].unique(), rows["task"].unique()
    figure = _figure(3 * len(measures), 2.6 * len(methods))
    for line, method in zip(figure.subplots(len(methods), len(measures), squeeze=False), methods, strict=True):
        for axis, measure in zip(line, measures, strict=True):
            members = rows[(rows["method"] == method) & (rows["task"] == measure)]
            value, manual = members["value"].to_numpy(), members["manual"].to_numpy()
            found = agreement(value, manual)
            axis.plot((value + manual) / 2, value - manual, "o", color=css(MARK), ms=3)
            axis.axhline(found["bias"], color="0.2", lw=1)
            for limit in ("loa_low", "loa_high"):
                axis.axhline(found[limit], color="0.2", lw=0.8, ls="--")
            axis.set_title(f"{_wrapped(method)}: {METRICS[measure].heading}", fontsize=8)
            axis.tick_params(labelsize=7)
    figure.supxlabel("mean of method and manual", fontsize=8)
    figure.supylabel("method - manual", fontsize=8)
    _save(figure, path)


def interval_plot(path: Path, rows: pd.DataFrame) -> None:
    """Each exam's interval less the true value, narrow ones first: a panel for each measure and kind of truth."""
    from dmcvr.evaluate.intervals import with_ends

    rows = with_ends(rows)
    tasks, measures = rows["task"].unique(), rows["measure"].unique()
    figure = _figure(2.1 * len(measures), 2.6 * len(tasks))
    for line, task in zip(figure.subplots(len(tasks), len(measures), squeeze=False), tasks, strict=True):
        for axis, measure in zip(line, measures, strict=True):
            members = rows[(rows["task"] == task) & (rows["measure"] == measure)].dropna(subset=["true"])
            members = members.iloc[np.argsort((members["high"] - members["low"]).to_numpy())]
            low, high, value = (members[key] - members["true"] for key in ("low", "high", "value"))
            inside = (low <= 0) & (high >= 0)
            colours = np.where(inside, "0.6", css(MARK))
            axis.vlines(range(len(members)), low, high, colors=colours, lw=1.5)
            axis.plot(range(len(members)), value, "k.", ms=2)
            axis.axhline(0, color="0.2", lw=0.8)
            axis.set_title(f"{_wrapped(task)}: {measure}", fontsize=7)
            axis.set_xticks([])
            axis.tick_params(labelsize=6)
    _save(figure, path)


def foretold_plot(path: Path, rows: pd.DataFrame) -> None:
    """True against foretold Dice: a panel for each structure, a dot for each exam and fault."""
    names = [key.removeprefix("dice_") for key in map(str, rows) if key.startswith("dice_")]
    figure = _figure(3.4 * len(names), 3.4)
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        for fault, members in rows.groupby("fault", sort=False):
            axis.plot(members[f"expected_{name}"], members[f"dice_{name}"], ".", ms=4, label=fault)
        axis.set_title(METRICS[f"dice_{name}"].heading, fontsize=8)
        axis.tick_params(labelsize=7)
    figure.axes[-1].legend(fontsize=5, loc="upper left")
    figure.supxlabel("foretold", fontsize=8)
    figure.supylabel("true", fontsize=8)
    _save(figure, path)


def reliability_plot(path: Path, rows: pd.DataFrame) -> None:
    """Labels that are right against what was foretold: a panel for each distance and structure."""
    tasks, structures = rows["task"].unique(), rows["structure"].unique()
    figure = _figure(2.3 * len(structures), 2.3 * len(tasks))
    for line, task in zip(figure.subplots(len(tasks), len(structures), squeeze=False), tasks, strict=True):
        for axis, structure in zip(line, structures, strict=True):
            members = rows[(rows["task"] == task) & (rows["structure"] == structure)]
            axis.plot([0, 1], [0, 1], color="0.7", lw=0.8)
            for (kind, of_kind), colour in zip(members.groupby("kind", sort=False), ("0.5", css(MARK)), strict=False):
                bins = of_kind.groupby("bin")[["pixels", "foretold", "right"]].sum()
                bins = bins[bins["pixels"] > FEW * bins["pixels"].sum()]
                share = 100 * bins["pixels"] / bins["pixels"].sum()
                said, true = bins["foretold"] / bins["pixels"], bins["right"] / bins["pixels"]
                axis.plot(said, true, "-", color=colour, lw=1, label=kind)
                axis.scatter(said, true, s=3 * np.sqrt(share) + 2, color=colour)
            axis.set_title(f"{structure.replace('_', ' ')}, {task}", fontsize=7)
            axis.set_aspect("equal")
            axis.tick_params(labelsize=6)
    figure.axes[0].legend(fontsize=6)
    figure.supxlabel("foretold probability", fontsize=8)
    figure.supylabel("labels right", fontsize=8)
    _save(figure, path)


def contact_sheet(path: Path, pictures: list[Picture]) -> None:
    """The slices where the first method scored worst: the truth, then every method, with label contours."""
    worst = sorted(pictures, key=lambda picture: picture.score)[:WORST]
    columns = max(len(picture.names) for picture in worst)
    figure = _figure(1.9 * columns, 2.15 * len(worst))
    for line, picture in zip(figure.subplots(len(worst), columns, squeeze=False), worst, strict=True):
        for k, axis in enumerate(line):
            axis.set_axis_off()
            if k >= len(picture.names):
                continue
            axis.imshow(picture.images[k].T, cmap="gray", vmin=0, vmax=255)
            for value, colour in COLOURS.items():
                mask = (picture.labels[k] == value).T
                if mask.any():
                    axis.contour(mask, [0.5], colors=[np.array(colour) / 255], linewidths=0.8)
            axis.set_title(_wrapped(picture.names[k]), fontsize=7)
        text = line[0].text(0, -0.02, picture.title, transform=line[0].transAxes, fontsize=7, va="top")
        text.set_in_layout(False)
    _save(figure, path)


def _wrapped(name: str) -> str:
    return textwrap.fill(name.replace(":", ": "), 28)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=90)
