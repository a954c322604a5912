"""Volume over the heartbeat, as SVG lines with axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Size of the picture and of its axes' margins, in SVG units.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 260, 52, 16, 14, 44


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
    """The LV and RV cavity of three or more phases; None for fewer."""
    if len(phases) < 3:
        return None
    known = measures.get("volume_time") or {}
    if known.get("phases", list(phases)) != list(phases):
        known = {}  # of all phases that were segmented; here are those that were reconstructed
    by_phase = measures["dense_volume"]["phases"]
    volumes = {
        name: known.get(f"{name}_cavity_ml") or [by_phase[p][f"{name}_cavity_ml"] for p in phases]
        for name in ("lv", "rv")
    }
    times = known.get("times_ms")
    along = [float(t) for t in times] if times else [float(n) for n in range(len(phases))]
    most = max(1.0, *volumes["lv"], *volumes["rv"])
    step = _step(most / 4)
    ceiling = step * (int(most / step) + 1)
    low, span = along[0], max(along[-1] - along[0], 1e-9)
    x = [LEFT + (t - low) / span * (WIDTH - LEFT - RIGHT) for t in along]
    points = {
        name: [
            (round(a, 1), round(HEIGHT - BOTTOM - v / ceiling * (HEIGHT - TOP - BOTTOM), 1))
            for a, v in zip(x, values, strict=True)
        ]
        for name, values in volumes.items()
    }
    y_ticks = [
        (round(HEIGHT - BOTTOM - v / ceiling * (HEIGHT - TOP - BOTTOM), 1), f"{v:g}")
        for v in (step * k for k in range(int(ceiling / step) + 1))
    ]
    every = max(1, len(phases) // 10)
    labels = [f"{t:.0f}" for t in along] if times else phases
    marks = [phases.index(p) if p in phases else None for p in (measures.get("ed_phase"), measures.get("es_phase"))]
    return Curve(
        lines={name: " ".join(f"{a},{b}" for a, b in line) for name, line in points.items()},
        points=points,
        x=[round(value, 1) for value in x],
        x_ticks=[(round(a, 1), label) for a, label in list(zip(x, labels, strict=True))[::every]],
        y_ticks=y_ticks,
        x_title="time in the heartbeat (ms)" if times else "phase",
        ed=marks[0],
        es=marks[1],
    )


def _step(wanted: float) -> float:
    """A round number of at least this."""
    return next(base * 10**power for power in range(6) for base in (1.0, 2.0, 5.0) if base * 10**power >= wanted)
