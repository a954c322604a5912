"""The measures as a tidy table: one row a quantity, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COLUMNS = ("case", "quantity", "structure", "phase", "value", "low", "high", "unit", "convention")

#: How a key of measures.json ends, and the unit that says.
UNITS = {"_ml_per_m2": "mL/m2", "_g_per_m2": "g/m2", "_percent": "%", "_ml": "mL", "_mm": "mm", "_ms": "ms", "_g": "g"}

#: Where a ventricle's quantity is measured, where that is one phase.
_AT = {"edv": "ed_phase", "esv": "es_phase", "mass": "ed_phase"}

#: The strains of measures.json: global longitudinal, circumferential, radial.
STRAINS = ("gls_endocardial", "gls_midwall", "gcs_endocardial", "gcs_midwall", "grs")

Row = dict[str, Any]


def write_measures(path: Path, measures: dict[str, Any], case: str) -> None:
    """Write `tidy_rows` as CSV, each with the case's name; what is not known is an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows({"case": case, **row} for row in tidy_rows(measures))


def tidy_rows(measures: dict[str, Any]) -> Iterator[Row]:
    """Rows of `COLUMNS`, without the case, from what `dmcvr.clinical.measures` finds: all but the published ones.

    `low` and `high` are the interval's ends, where there is one. `convention` is a key of measures.json's
    "conventions", "wall_thickness", "strain", or empty.
    """
    sure = measures.get("intervals") or {"measures": {}, "phases": {}}
    curve = measures.get("volume_time") or {}
    for phase, time_ms in zip(curve.get("phases", ()), curve.get("times_ms") or (), strict=False):
        yield _row("time_ms", "", phase, time_ms, "")
    for convention in ("dense_volume", "slice_summation"):
        found = measures[convention]
        for phase, volumes in found["phases"].items():
            for key, value in volumes.items():
                if key == "lv_mass_g":
                    yield _row("mass_g", "lv_myocardium", phase, value, convention)
                else:
                    row = _row("volume_ml", key.removesuffix("_ml"), phase, value, convention)
                    yield row | (_ends(sure["phases"].get(phase, {}).get(key)) if convention == "dense_volume" else {})
        for side in ("lv", "rv"):
            for key, value in found.get(side, {}).items():
                phase = measures.get(_AT.get(key.split("_")[0], ""), "") or ""
                row = _row(key, side, phase, value, convention)
                yield row | (_ends(sure["measures"].get(f"{side}_{key}")) if convention == "dense_volume" else {})
    yield {**_row("body_surface_area", "", "", measures["bsa_m2"], "body_surface_area"), "unit": "m2"}
    wall = measures.get("wall_thickness")
    if wall:
        for segment, value in wall["segments_mm"].items():
            yield _row("wall_thickness_mm", f"aha_segment_{segment}", wall["phase"], value, "wall_thickness")
        for kind in ("mean", "max"):
            row = _row(
                f"wall_thickness_{kind}_mm", "lv_myocardium", wall["phase"], wall[f"{kind}_mm"], "wall_thickness"
            )
            yield row | _ends(sure["measures"].get(f"wall_{kind}_mm"))
    strain = measures.get("strain")
    if strain:
        for name in STRAINS:
            for phase, value in zip(strain["phases"], strain[f"{name}_percent"], strict=True):
                yield _row(f"{name}_percent", "lv", phase, value, "strain")
            yield _row(f"{name}_peak_percent", "lv", "", strain[f"{name}_peak_percent"], "strain")


def _ends(interval: dict[str, Any] | None) -> Row:
    return {} if interval is None else {"low": interval["low"], "high": interval["high"]}


def _row(key: str, structure: str, phase: str, value: float | None, convention: str) -> Row:
    """`key` is a quantity's name with its unit, as in measures.json."""
    ending = next((ending for ending in UNITS if key.endswith(ending)), "")
    indexed = "_index" if "_per_m2" in ending else ""
    quantity = key.removesuffix(ending) + indexed
    cells = (quantity, structure, phase, "" if value is None else value, "", "", UNITS.get(ending, ""), convention)
    return dict(zip(COLUMNS[1:], cells, strict=True))
