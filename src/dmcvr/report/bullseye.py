"""The 17 segments of the left ventricle as a bull's-eye (Cerqueira et al., Circulation 2002, 105:539), as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Rings from the base inwards: outer and inner radius, number of segments, angle of the first segment's middle
#: (degrees, counted from the right, anticlockwise): segments 1, 7 and 13 are anterior, on top.
RINGS = ((100, 74, 6, 90.0), (74, 48, 6, 90.0), (48, 20, 4, 90.0))

#: Shades from thin to thick, light to dark in one hue: legible without colour.
SHADES = ("#f1eef6", "#d0d1e6", "#a6bddb", "#74a9cf", "#2b8cbe", "#045a8d")

#: Wall thickness where the darkest shade begins, and where the lightest ends, in mm.
THIN_MM, THICK_MM = 4.0, 16.0


@dataclass(frozen=True)
class WallSegment:
    """One segment drawn: its outline, where its number stands, and how it is filled."""

    number: int
    path: str
    x: float
    y: float
    value: float | None
    fill: str
    dark: bool


def segments(thickness_mm: dict[str, float | None]) -> list[WallSegment]:
    """All 17 segments in order; a value that is missing is left white."""
    found = []
    number = 0
    for outer, inner, count, first in RINGS:
        width = 360 / count
        for k in range(count):
            number += 1
            middle = first + k * width
            path = _sector(outer, inner, middle - width / 2, middle + width / 2)
            x, y = _point((outer + inner) / 2, middle)
            found.append(_segment(number, path, x, y, thickness_mm))
    r = RINGS[-1][1]
    circle = f"M {-r} 0 A {r} {r} 0 1 0 {r} 0 A {r} {r} 0 1 0 {-r} 0 Z"
    return [*found, _segment(17, circle, 0, 0, thickness_mm)]


def shade(value_mm: float) -> int:
    """The shade of a thickness, 0 (thin) to 5 (thick)."""
    share = (value_mm - THIN_MM) / (THICK_MM - THIN_MM)
    return min(len(SHADES) - 1, max(0, math.floor(share * len(SHADES))))


def legend() -> list[tuple[str, str]]:
    """(shade, range in words) from thin to thick."""
    step = (THICK_MM - THIN_MM) / len(SHADES)
    edges = [THIN_MM + step * k for k in range(1, len(SHADES))]
    words = [f"< {edges[0]:g}", *(f"{a:g}–{b:g}" for a, b in zip(edges, edges[1:], strict=False)), f"≥ {edges[-1]:g}"]
    return list(zip(SHADES, words, strict=True))


def _segment(number: int, path: str, x: float, y: float, thickness_mm: dict[str, float | None]) -> WallSegment:
    value = thickness_mm.get(str(number))
    level = None if value is None else shade(value)
    fill = "none" if level is None else SHADES[level]
    return WallSegment(number, path, round(x, 2), round(y, 2), value, fill, level is not None and level >= 4)


def _point(radius: float, degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return radius * math.cos(angle), -radius * math.sin(angle)


def _sector(outer: float, inner: float, start: float, stop: float) -> str:
    (a, b), (c, d) = _point(outer, start), _point(outer, stop)
    (e, f), (g, h) = _point(inner, stop), _point(inner, start)
    return (
        f"M {a:.2f} {b:.2f} A {outer} {outer} 0 0 0 {c:.2f} {d:.2f} "
        f"L {e:.2f} {f:.2f} A {inner} {inner} 0 0 1 {g:.2f} {h:.2f} Z"
    )
