"""Each slice's shift as an arrow, from where its heart lay to where it was moved, base on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Size of the picture, of a slice's row and of the margins, in SVG units.
WIDTH, ROW, TOP, LEFT, RIGHT, GAP = 620, 24, 40, 66, 116, 22

#: The scale reaches so far, at least, in mm.
LEAST_MM = 2.0


@dataclass(frozen=True)
class Arrow:
    """A slice's shift along one direction: from `start` to the line of the reference; `low` to `high` is one SD."""

    start: float
    low: float
    high: float
    middle: float


@dataclass(frozen=True)
class Row:
    """A slice: its number as the input has it, its arrows along both directions, and the whole length in words."""

    number: int
    y: float
    arrows: tuple[Arrow, Arrow]
    words: str


@dataclass(frozen=True)
class Shifts:
    """What the template draws: the lines of the reference, ticks (x, mm), titles (x, words), and rows."""

    rows: list[Row]
    middles: tuple[float, float]
    ticks: list[tuple[float, str]]
    titles: list[tuple[float, str]]
    bottom: float
    height: float
    width: int = WIDTH
    top: int = TOP
    left: int = LEFT
    right: int = WIDTH - RIGHT


def shifts(holds: dict[str, Any] | None, *, base_first: bool) -> Shifts | None:
    """The picture of a record of breath-holds (see `dmcvr.geometry.breath_hold`); None where no slice was moved."""
    if not holds or not holds.get("moved") or not holds.get("slices"):
        return None
    slices = holds["slices"]
    reach = max(LEAST_MM, *(abs(s[key]) + s["sd_mm"] for s in slices for key in ("right_mm", "down_mm")))
    half = (WIDTH - LEFT - RIGHT - GAP) / 4
    middles = (LEFT + half, WIDTH - RIGHT - half)
    scale = half / reach

    def arrow(middle: float, mm: float, sd_mm: float) -> Arrow:
        start, low, high = (round(middle + scale * value, 1) for value in (mm, mm - sd_mm, mm + sd_mm))
        return Arrow(start, low, high, round(middle, 1))

    order = list(range(len(slices)))
    rows = []
    for place, n in enumerate(order if base_first else order[::-1]):
        entry = slices[n]
        pair = (
            arrow(middles[0], entry["right_mm"], entry["sd_mm"]),
            arrow(middles[1], entry["down_mm"], entry["sd_mm"]),
        )
        words = f"{entry['length_mm']:.1f} ± {entry['sd_mm']:.1f} mm"
        rows.append(Row(n + 1, TOP + ROW * (place + 0.5), pair, words))
    tick = next(step for step in (1, 2, 5, 10, 20, 50) if step >= reach / 2)
    ticks = [
        (round(middle + scale * mm, 1), f"{mm:+g}" if mm else "0")
        for middle in middles
        for mm in (-tick, 0, tick)
        if abs(mm) <= reach
    ]
    titles = [(middles[0], "to the right (LV side)"), (middles[1], "down (inferior)")]
    bottom = TOP + ROW * len(slices)
    return Shifts(rows, middles, ticks, titles, bottom, bottom + 36)
