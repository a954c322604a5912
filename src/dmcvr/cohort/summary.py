"""One exam in a few kilobytes: numbers, flags and a thumbnail, as the ledger keeps them and the tables show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmcvr.io.tidy import STRAINS, UNITS

if TYPE_CHECKING:
    from dmcvr.reconstruction import Reconstruction

#: Characters of a weights file's hash that are kept.
SHORT = 12

#: Endings of a quantity's name and the unit that they say.
_UNITS = {**UNITS, "_m2": "m2", "_points": "points"}


def summarise(heart: Reconstruction, folder: Path | None) -> dict[str, Any]:
    """What a cohort keeps of an exam, ready for JSON.

    ==========  ==================================================================================================
    measures    {quantity: {"value", "unit", "low", "high"}}: function at ED and ES, by voxels and by slices, wall
                thickness, strain, excursion of the valves. None is a value that could not be measured; low and high
                bound it where an interval is known
    flags       as in run.json (name, level, text), but for those that are fine
    versions    "dmcvr", and "weights", the first characters of their SHA-256 (None if not from a file)
    seconds     of all steps together
    thumbnail   base64 of a WebP picture; None without a heart
    report      whether `folder` holds the exam's page
    ==========  ==================================================================================================
    """
    from dmcvr.cohort.thumbnail import thumbnail

    sha256 = heart.run["weights_sha256"]
    return {
        "measures": {name: _entry(name, value) for name, value in quantities(heart.measures)},
        "flags": [flag for flag in heart.run["flags"] if flag["level"] != "fine"],
        "versions": {"dmcvr": heart.run["dmcvr"], "weights": None if sha256 is None else sha256[:SHORT]},
        "seconds": round(sum(heart.run["seconds"].values()), 3),
        "thumbnail": thumbnail(heart),
        "report": folder is not None and (folder / "report.html").is_file(),
    }


def quantities(measures: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Name (with unit) and value of each number of measures.json that an exam has one of, in the order of a table."""
    marks = {"ED": "ed", "ES": "es", measures["ed_phase"]: "ed", measures["es_phase"]: "es"}
    yield from _function(measures["dense_volume"], marks)
    for name, value in _function(measures["slice_summation"], marks):
        ending = ending_of(name)
        yield f"{name.removesuffix(ending)}_by_slices{ending}", value
    both = measures["consistency"]
    if both["mass_es_g"] is not None:
        yield "lv_mass_es_g", both["mass_es_g"]
    yield "lv_mass_drift_percent", both["mass_drift_percent"]
    for side in ("lv", "rv"):
        yield f"{side}_ef_gap_points", (both[side] or {}).get("ef_gap_points")
    yield "bsa_m2", measures["bsa_m2"]
    strain = measures.get("strain") or {}
    for name in STRAINS:
        yield f"{name}_peak_percent", strain.get(f"{name}_peak_percent")
    planes = measures.get("valve_planes") or {}
    for name in ("mapse_mm", "tapse_mm"):
        yield name, planes.get(name)
    wall = measures.get("wall_thickness") or {}
    for kind in ("mean", "max"):
        yield f"wall_thickness_{kind}_mm", wall.get(f"{kind}_mm")
    for segment in range(1, 18):
        yield f"wall_thickness_aha_{segment}_mm", wall.get("segments_mm", {}).get(str(segment))


def ending_of(quantity: str) -> str:
    """How a quantity's name ends, where that says its unit; empty where it says none."""
    return next((ending for ending in _UNITS if quantity.endswith(ending)), "")


def _function(found: dict[str, Any], marks: dict[str | None, str]) -> Iterator[tuple[str, float | None]]:
    """Volumes and function of both ventricles; of an exam with one phase its volumes, at what `marks` say it is."""
    if "lv" in found:
        for side in ("lv", "rv"):
            yield from ((f"{side}_{key}", value) for key, value in found[side].items())
    elif len(found["phases"]) == 1:
        [(phase, volumes)] = found["phases"].items()
        mark = marks.get(phase)
        cavity = "cavity_ml" if mark is None else f"{mark}v_ml"
        yield f"lv_{cavity}", volumes["lv_cavity_ml"]
        yield "lv_mass_es_g" if mark == "es" else "lv_mass_g", volumes["lv_mass_g"]
        yield f"rv_{cavity}", volumes["rv_cavity_ml"]


def _entry(name: str, value: float | None) -> dict[str, Any]:
    return {"value": value, "unit": _UNITS.get(ending_of(name), ""), "low": None, "high": None}
