"""Volume and strain over the heartbeat, as SVG lines with axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Size of the picture and of its axes' margins, in SVG units.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 260, 52, 16, 14, 44

#: The strains that are drawn: on the endocardium, as most others measure them, and across the wall.
STRAINS = {"gls_endocardial": "longitudinal", "gcs_endocardial": "circumferential", "grs": "radial"}


@dataclass(frozen=True)
class Curve:
    """What the template draws; x and y of the marks are where a phase is, by its index."""

    lines: dict[str, str]
    points: dict[str, list[tuple[float, float]]]
    x: list[float]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    x_title: str
    ed: int | None
    es: int | None
    width: int = WIDTH
    height: int = HEIGHT
    bottom: int = HEIGHT - BOTTOM
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP


def curve(measures: dict[str, Any], phases: Sequence[str]) -> Curve | None:
    """The LV and RV cavity of three or more phases, in mL; None for fewer."""
    known = measures.get("volume_time") or {}
    if known.get("phases", list(phases)) != list(phases):
        known = {}  # of all phases that were segmented; here are those that were reconstructed
    by_phase = measures["dense_volume"]["phases"]
    volumes = {
        name: known.get(f"{name}_cavity_ml") or [by_phase[p][f"{name}_cavity_ml"] for p in phases]
        for name in ("lv", "rv")
    }
    return _drawn(volumes, measures, phases)


def strain_curve(measures: dict[str, Any], phases: Sequence[str]) -> Curve | None:
    """Global strain of three or more phases, in percent, by the names in `STRAINS`; None where it is not known."""
    strain = measures.get("strain") or {}
    found = {name: strain.get(f"{name}_percent") for name in STRAINS}
    known = {name: values for name, values in found.items() if values and None not in values}
    return _drawn(known, measures, phases) if known else None


def _drawn(values: dict[str, list[float]], measures: dict[str, Any], phases: Sequence[str]) -> Curve | None:
    """Lines over time, or over phases where times are not known; nothing of fewer than three."""
    if len(phases) < 3:
        return None
    times = (measures.get("volume_time") or {}).get("times_ms")
    along = [float(t) for t in times] if times else [float(n) for n in range(len(phases))]
    most, least = (choose(0.0, *(v for line in values.values() for v in line)) for choose in (max, min))
    step = _step(max(1.0, most - least) / 4)
    floor, ceiling = step * math.floor(least / step), step * (math.floor(most / step) + 1)
    low, span = along[0], max(along[-1] - along[0], 1e-9)
    x = [LEFT + (t - low) / span * (WIDTH - LEFT - RIGHT) for t in along]

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - floor) / (ceiling - floor) * (HEIGHT - TOP - BOTTOM), 1)

    points = {name: [(round(a, 1), y(v)) for a, v in zip(x, line, strict=True)] for name, line in values.items()}
    ticks = [floor + step * k for k in range(round((ceiling - floor) / step) + 1)]
    every = max(1, len(phases) // 10)
    labels = [f"{t:.0f}" for t in along] if times else phases
    marks = [phases.index(p) if p in phases else None for p in (measures.get("ed_phase"), measures.get("es_phase"))]
    return Curve(
        lines={name: " ".join(f"{a},{b}" for a, b in line) for name, line in points.items()},
        points=points,
        x=[round(value, 1) for value in x],
        x_ticks=[(round(a, 1), label) for a, label in list(zip(x, labels, strict=True))[::every]],
        y_ticks=[(y(v), f"{v:g}".replace("-", "−")) for v in ticks],
        x_title="time in the heartbeat (ms)" if times else "phase",
        ed=marks[0],
        es=marks[1],
    )


def _step(wanted: float) -> float:
    """A round number of at least this."""
    return next(base * 10**power for power in range(6) for base in (1.0, 2.0, 5.0) if base * 10**power >= wanted)
