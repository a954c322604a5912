"""index.html: all exams of a cohort at a glance, the worst first; its data beside it, in the folder index/.

The page itself is small. It loads the columns that it sorts and searches by at its start, others when they are shown,
and thumbnails and sentences with the rows that are on the screen.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dmcvr.cohort.columns import MAIN, Columns, Distance
from dmcvr.cohort.index_rows import DataFolder, RowFiles
from dmcvr.cohort.summary import ending_of
from dmcvr.cohort.whole import write_whole
from dmcvr.report.page import json_safe, page_policy, read, script_safe

#: Columns of the table until others are chosen.
SHOWN = 6

#: Words of a quantity's name that people write otherwise.
SPOKEN = {
    "bsa": "body surface",
    "aha": "AHA segment",
    "ef": "EF",
    "peak": "",
    "es": "at ES",
} | {word: word.upper() for word in ("lv", "rv", "edv", "esv", "sv", "gls", "gcs", "grs", "mapse", "tapse")}

#: Digits after the point that are shown of a unit.
DIGITS = {"mL": 0, "g": 0, "m2": 2}


def write_index(
    out: Path, columns: Columns, distance: Distance, files: RowFiles, *, of: int | None, report: str
) -> None:
    """Write the page and the data that it searches into `out`, whose rows are written; then sweep away older data.

    `of` is the number of exams that there will be, `report` where an exam's page is. Raises `InputError` where a file
    cannot be written.
    """
    folder = DataFolder(out / "index" / "columns")
    base = folder.write(_base(columns, distance, files), "exams-")
    known = {}
    for name, quantity in columns.quantities.items():
        known[name] = {
            "file": f"columns/{folder.write(_floats(columns.numbers(name)), f'{name}-')}",
            "label": spoken(name),
            "unit": _unit(quantity.unit),
            "digits": DIGITS.get(quantity.unit, 1),
        }
    count, measured = len(columns.exams), sum(columns.measured)
    shown = [name for name in MAIN if name in known][:SHOWN]
    data = {
        "base": f"columns/{base}",
        "columns": known,
        "shown": shown,
        "main": [
            {"name": name, "median": float(middle), "scale": float(scale)}
            for name, middle, scale in zip(distance.names, distance.medians, distance.scales, strict=True)
        ],
        "report": report,
    }
    text = _render(
        data,
        count=count,
        measured=measured,
        failed=count - measured,
        looks=int(np.count_nonzero(np.frombuffer(columns.looks, np.uint8))),
        of=of if of is not None and of > count else None,
        written=datetime.now().astimezone(),
        flags=sorted(columns.flags, key=lambda name: -len(columns.flags[name])),
        counts={name: len(rows) for name, rows in columns.flags.items()},
        measures=known,
        main=[known[name]["label"] for name in distance.names],
        shown=shown,
        version=version("dmcvr"),
    )
    write_whole(out / "index.html", text)
    files.sweep()
    folder.sweep()


def spoken(quantity: str) -> str:
    """A quantity's name as people say it, without its unit: lv_edv_by_slices_ml is "LV EDV by slices"."""
    words = quantity.removesuffix(ending_of(quantity)).split("_")
    text = " ".join(word for word in (SPOKEN.get(word, word) for word in words) if word)
    text = f"{text}, per body surface" if "_per_m2" in quantity else text
    return text[:1].upper() + text[1:]


def _unit(unit: str) -> str:
    return unit.replace("m2", "m²")


def _base(columns: Columns, distance: Distance, files: RowFiles) -> dict[str, Any]:
    """What the page needs of all exams before it shows the first."""
    return {
        "exams": columns.exams,
        "measured": _coded(columns.measured, "<u1"),
        "report": _coded(columns.report, "<u1"),
        "looks": _coded(columns.looks, "<u1"),
        "seconds": _floats(columns.seconds),
        "farthest": _floats(distance.farthest),
        "which": _coded(distance.which, "<i1"),
        "flags": {name: _coded(rows, "<u4") for name, rows in columns.flags.items()},
        "starts": _coded(files.starts, "<u4"),
        "files": files.names,
    }


def _floats(values: Sequence[float] | Any) -> str:
    return _coded(values, "<f4")


def _coded(values: Any, dtype: str) -> str:
    """Numbers as the base64 of their bytes."""
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode("ascii")


def _render(data: dict[str, Any], **context: Any) -> str:
    folder = Path(__file__).parent
    loader = PackageLoader("dmcvr.cohort", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = f"\n{script_safe((folder / 'index.js').read_text(encoding='utf-8'))}\n"
    return environment.get_template("index.html.j2").render(
        policy=page_policy([script], beside=True),
        css=Markup(read("report.css") + (folder / "index.css").read_text(encoding="utf-8")),
        script=Markup(script),
        data=Markup(json_safe(data)),
        **context,
    )
