"""`dmcvr evaluate`: a protocol over held-out patients, its rows and its table."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dmcvr.engine import Engine
from dmcvr.errors import InputError
from dmcvr.evaluate.protocols import PROTOCOLS, Row
from dmcvr.io.acdc import list_patients, read_acdc
from dmcvr.io.folder import check_output_folder, whole_folder
from dmcvr.stages import Stages
from dmcvr.train.split import BUNDLED_SPLIT, Split

#: Columns that say what a row is about; the others are numbers.
KEYS = ("task", "method", "phase")


def evaluate(
    protocol: str,
    data: Path,
    *,
    output: Path | None = None,
    patients: Literal["validation", "development"] = "validation",
    split: Path | None = None,
    steps: int | None = None,
    device: str = "auto",
    weights: str | Path = "compact",
    stages: Stages | None = None,
) -> str:
    """Run a protocol on a split's held-out patients; returns a Markdown table of means over patients.

    With `output`, also writes rows.csv and run.json. Raises `InputError` where no such patient is in `data`.
    """
    stages = stages or Stages()
    if output is not None:
        check_output_folder(output)
    names = getattr(Split.read(split or BUNDLED_SPLIT), patients)
    folders = [folder for folder in list_patients(data) if folder.name in names]
    if not folders:
        raise InputError(f"None of the split's {patients} patients is under {data}: give a split with --split.")
    engine = Engine.load(weights, device=device, steps=steps)
    rows: list[Row] = []
    with stages(protocol, len(folders)) as advance:
        for folder in folders:
            rows += PROTOCOLS[protocol](folder.name, read_acdc(folder, with_labels=True), engine)
            advance()
    table = summary_table(rows)
    if output is not None:
        record = {
            "protocol": protocol,
            "patients": [folder.name for folder in folders],
            "steps": engine.steps,
            "weights_sha256": engine.info.sha256 if engine.info else None,
            "table": table,
        }
        with whole_folder(output) as partial:
            _write_csv(partial / "rows.csv", rows)
            (partial / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return table


def summary_table(rows: list[Row]) -> str:
    """Markdown: a line for each task, method and phase; the mean over patients, and for errors |mean| too."""
    keys = [key for key in KEYS if any(key in row for row in rows)]
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(str(row[key]) for key in keys)].append(row)
    columns = [c for c in rows[0] if c not in (*KEYS, "patient")]
    heads = [c if "error" not in c else f"{c}: mean abs (bias)" for c in columns]
    lines = ["| " + " | ".join([*keys, "patients", *heads]) + " |"]
    lines.append("|" + "---|" * (len(keys) + 1 + len(heads)))
    for group, members in groups.items():
        cells = [_cell(c, np.array([row[c] for row in members], dtype=float)) for c in columns]
        lines.append("| " + " | ".join([*group, str(len({row["patient"] for row in members})), *cells]) + " |")
    return "\n".join(lines)


def _cell(column: str, values: Any) -> str:
    if "error" in column:
        return f"{np.nanmean(np.abs(values)):.2f} ({np.nanmean(values):+.2f})"
    return f"{np.nanmean(values):.2f}" if column.endswith("_db") else f"{np.nanmean(values):.3f}"


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
