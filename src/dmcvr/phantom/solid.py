"""Solids by their signed distance (mm, negative inside), at points that broadcast to (I, J, K).

A distance is exact on the solid's surface and nearly so close to it; far away its sign alone is to be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """A plane through a point; its unit normal points out of what the plane closes."""

    point: Point
    normal: Point

    @classmethod
    def tilted(cls, point: Point, tilt_deg: float, toward_deg: float) -> Plane:
        """A plane across the z axis whose normal, which points to -z, leans this much to this side."""
        tilt, toward = np.deg2rad(tilt_deg), np.deg2rad(toward_deg)
        side = float(np.sin(tilt))
        return cls(point, (side * float(np.cos(toward)), side * float(np.sin(toward)), -float(np.cos(tilt))))

    def beyond(self, x: Array, y: Array, z: Array) -> Array:
        """How far points lie beyond the plane, along its normal."""
        parts = (
            np.float32(n) * (c - np.float32(p)) for c, p, n in zip((x, y, z), self.point, self.normal, strict=True)
        )
        a, b, c = parts
        return np.asarray(a + b + c, dtype=np.float32)

    def height(self, x: float, y: float) -> float:
        """z of the plane at x and y."""
        (px, py, pz), (nx, ny, nz) = self.point, self.normal
        return pz - (nx * (x - px) + ny * (y - py)) / nz


def ellipsoid(x: Array, y: Array, z: Array, semi_mm: Point) -> Array:
    """An axis-parallel ellipsoid around the origin."""
    a, b, c = (np.float32(s) for s in semi_mm)
    k0 = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    k1 = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2)
    return np.asarray(k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-6)), dtype=np.float32)


def tube(x: Array, y: Array, z: Array, points: Sequence[Point], radii_mm: Sequence[float]) -> Array:
    """A round tube along a line through points, each with its radius; its ends are round."""
    parts = [
        _segment(x, y, z, *ends, *radii)
        for ends, radii in zip(
            zip(points, points[1:], strict=False), zip(radii_mm, radii_mm[1:], strict=False), strict=True
        )
    ]
    out = parts[0]
    for part in parts[1:]:
        out = blend(out, part, 4.0)
    return out


def blend(a: Array, b: Array, width_mm: float) -> Array:
    """The union of two solids, its crease rounded over this width (the polynomial smooth minimum)."""
    share = np.clip(1 - np.abs(a - b) / np.float32(width_mm), 0, 1)
    return np.asarray(np.minimum(a, b) - np.square(share) * np.float32(width_mm / 4), dtype=np.float32)


def _segment(x: Array, y: Array, z: Array, a: Point, b: Point, radius_a: float, radius_b: float) -> Array:
    start, step = np.array(a, dtype=np.float32), np.subtract(b, a).astype(np.float32)
    dx, dy, dz = x - start[0], y - start[1], z - start[2]
    along = np.clip((dx * step[0] + dy * step[1] + dz * step[2]) / (step @ step), 0, 1)
    away = np.sqrt((dx - along * step[0]) ** 2 + (dy - along * step[1]) ** 2 + (dz - along * step[2]) ** 2)
    return np.asarray(away - np.float32(radius_a) - along * np.float32(radius_b - radius_a), dtype=np.float32)
