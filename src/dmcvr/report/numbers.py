"""The measures as a person reads them: headline figures, and a table with units, index, normal range and convention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dmcvr.quality.flags import EF_GAP_POINTS
from dmcvr.report.phase import spoken_phase

#: Key in a ventricle's record, its name, unit, and digits.
FUNCTION = (
    ("edv_ml", "end-diastolic volume", "mL", 0),
    ("esv_ml", "end-systolic volume", "mL", 0),
    ("sv_ml", "stroke volume", "mL", 0),
    ("ef_percent", "ejection fraction", "%", 0),
    ("mass_g", "mass", "g", 0),
)

#: Key in a phase's record, its name and unit.
SIZES = (
    ("lv_cavity_ml", "LV cavity", "mL"),
    ("lv_mass_g", "LV mass", "g"),
    ("rv_cavity_ml", "RV cavity", "mL"),
)

#: Key in the record of the valves' planes, and its name.
VALVES = {"mapse_mm": "mitral excursion (MAPSE)", "tapse_mm": "tricuspid excursion (TAPSE)"}

#: A curve of global strain, and the name of its peak.
STRAIN = {
    "gls_endocardial": "longitudinal strain (GLS)",
    "gcs_endocardial": "circumferential strain (GCS)",
    "grs": "radial strain (GRS)",
}

MOTION = {*VALVES.values(), *STRAIN.values()}


@dataclass(frozen=True)
class Line:
    """One measure: by the dense volume, over body surface, by slices; normal range where one is known.

    `interval` is where the true value is meant to lie. `beside` is the same quantity measured another way, where one
    number should be one: EF by slices, mass at ES. The two may be `apart` enough to be told.
    """

    name: str
    unit: str
    value: str
    indexed: str
    summed: str
    range: str
    outside: str
    source: str
    beside: str = ""
    apart: bool = False
    interval: str = ""


def lines(measures: dict[str, Any]) -> list[Line]:
    """A line for each measure of function, else (no ED and ES) for each phase's volumes."""
    dense, summed = measures["dense_volume"], measures["slice_summation"]
    normal = measures.get("reference") or []
    sure = measures.get("intervals") or {"measures": {}, "phases": {}}
    known, of_phase = sure["measures"], sure["phases"]
    found = []
    for side in ("lv", "rv"):
        for key, name, unit, digits in FUNCTION:
            value = dense.get(side, {}).get(key)
            if value is None:
                continue
            indexed = dense[side].get(f"{key}_per_m2")
            spoken = f"{side.upper()} {name}"
            reference = [entry for entry in normal if entry["name"] in (spoken, f"{spoken} index")]
            found.append(
                Line(
                    spoken,
                    unit,
                    number(value, digits),
                    "" if indexed is None else f"{number(indexed, 0)} {unit}/m²",
                    number(summed.get(side, {}).get(key), digits),
                    *_normal(reference),
                    *_beside(measures.get("consistency") or {}, side, key),
                    interval=_interval(known.get(f"{side}_{key}"), digits),
                )
            )
    if found:
        return found + _motion(measures)
    return [
        Line(
            f"{name}, {spoken_phase(phase)}" if len(dense["phases"]) > 1 else f"{name} ({spoken_phase(phase)})",
            unit,
            number(dense["phases"][phase][key], 0),
            "",
            number(summed["phases"][phase][key], 0),
            *_normal([]),
            interval=_interval(of_phase.get(phase, {}).get(key), 0),
        )
        for phase in dense["phases"]
        for key, name, unit in SIZES
    ]


def headline(found: list[Line]) -> list[Line]:
    """The figures on top of the page: ejection fractions first, then sizes."""
    first = [line for line in found if "ejection" in line.name]
    rest = [
        line for line in found if "ejection" not in line.name and "stroke" not in line.name and line.name not in MOTION
    ]
    return (first + rest)[:7]


def number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(found: dict[str, Any] | None, digits: int) -> str:
    return "" if found is None else f"{number(found['low'], digits)}–{number(found['high'], digits)}"


def _motion(measures: dict[str, Any]) -> list[Line]:
    """How far the valves' planes move, and the peaks of global strain, where they are known."""
    found = []
    planes = measures.get("valve_planes") or {}
    for key, name in VALVES.items():
        if planes.get(key) is not None:
            found.append(Line(name, "mm", number(planes[key], 1), "", "–", *_normal([])))
    strain = measures.get("strain") or {}
    for key, name in STRAIN.items():
        peak = strain.get(f"{key}_peak_percent")
        if peak is not None:
            found.append(Line(name, "%", number(peak, 1).replace("-", "−"), "", "–", *_normal([])))
    return found


def _beside(both: dict[str, Any], side: str, key: str) -> tuple[str, bool]:
    """What stands beside a headline figure, and whether it says something else."""
    if key == "ef_percent" and both.get(side):
        slices, gap = both[side]["ef_slices_percent"], both[side]["ef_gap_points"]
        if abs(gap) > EF_GAP_POINTS:
            return f"{slices:.0f} % by slices: {abs(gap):.0f} points {'less' if gap > 0 else 'more'}", True
        return f"{slices:.0f} % by slices", False
    if key == "mass_g" and both.get("mass_es_g") is not None:
        return f"at ED; {both['mass_es_g']:.0f} g at ES", False
    return "", False


def _normal(entries: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Ranges, "above" or "below" where the value leaves all of them, and their sources."""
    ranges, where = [], set()
    for entry in entries:
        low, high, value = (float(entry[key]) for key in ("low", "high", "value"))
        sex = {"F": "women ", "M": "men "}.get(str(entry.get("sex")), "")
        ranges.append(f"{sex}{low:g}–{high:g} {entry['unit']}")
        where.add("below" if value < low else "above" if value > high else "")
    return "; ".join(ranges), where.pop() if len(where) == 1 else "", "; ".join({str(e["source"]) for e in entries})
