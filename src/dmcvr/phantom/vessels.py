"""Atria and great vessels above the valves: drawn in the pictures, without a label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.phantom.shape import HeartShape, Solids
from dmcvr.phantom.solid import Array, Point, blend, ellipsoid, tube

#: Walls between neighbouring chambers.
SEPTUM_MM, WALL_MM = 2.2, 1.8


@dataclass(frozen=True)
class Vessels:
    """Signed distances (I, J, K) to the blood of what lies above the valves."""

    left_atrium: Array  # and its pulmonary veins
    right_atrium: Array  # and the venae cavae
    aorta: Array
    trunk: Array  # the pulmonary one

    @property
    def all(self) -> tuple[Array, ...]:
        return self.left_atrium, self.right_atrium, self.trunk, self.aorta


def vessels(shape: HeartShape, solids: Solids, x: Array, y: Array, z: Array, up: Point) -> Vessels:
    """The vessels around these ventricles; `up` is the direction to the patient's head in the heart frame."""
    planes, root = shape.planes, solids.root
    trunk = _trunk(shape, x, y, z, up)
    trunk = np.maximum(np.maximum(trunk, -planes["pulmonary"].beyond(x, y, z)), np.float32(SEPTUM_MM) - root)
    left = np.maximum(_left_atrium(shape, x, y, z), -planes["mitral"].beyond(x, y, z))
    left = np.maximum(left, np.float32(SEPTUM_MM) - np.minimum(root, trunk))
    right = np.maximum(_right_atrium(shape, x, y, z, up), -planes["tricuspid"].beyond(x, y, z))
    others = np.minimum(np.minimum(root, solids.outflow - 1), np.minimum(left, solids.lv_whole))
    right = np.maximum(right, np.float32(SEPTUM_MM) - others)
    return Vessels(left, right, root, trunk)


def _left_atrium(shape: HeartShape, x: Array, y: Array, z: Array) -> Array:
    """A rounded box over the mitral valve; four veins enter it from behind."""
    mx, my, mz = shape.planes["mitral"].point
    roof = shape.atrial_roof_mm + 4
    wide = shape.left_atrium_mm
    middle = np.array([mx + 2, my + 5, (roof + mz) / 2 - 3])
    half = float((mz - roof) / 2 + 6)
    body = ellipsoid(*_relative(x, y, z, middle), (1.1 * wide, wide, half))
    for side, down in ((1.0, -0.35), (1.0, 0.6), (-0.55, 0.75)):
        end = middle + np.array([side * (wide + 16), down * (wide + 14), -12.0])
        start = middle + 0.45 * (end - middle)
        body = blend(body, tube(x, y, z, (_point(start), _point(end)), (6.5, 5.5)), 5)
    return body


def _right_atrium(shape: HeartShape, x: Array, y: Array, z: Array, up: Point) -> Array:
    tx, ty, tz = shape.planes["tricuspid"].point
    roof = shape.atrial_roof_mm + 2
    wide = shape.right_atrium_mm
    middle = np.array([tx - 3, ty + 4, (roof + tz) / 2 - 1])
    half = float((tz - roof) / 2 + 5)
    body = ellipsoid(*_relative(x, y, z, middle), (wide, 1.1 * wide, half))
    head = np.array(up)
    superior = tube(x, y, z, [_point(middle + s * head + (2, 0, -6)) for s in (16, 52)], (9.0, 8.5))
    inferior = tube(x, y, z, [_point(middle - s * head + (2, 0, -6)) for s in (14, 44)], (10.0, 10.0))
    return blend(blend(body, superior, 6), inferior, 6)


def _trunk(shape: HeartShape, x: Array, y: Array, z: Array, up: Point) -> Array:
    """The pulmonary trunk: on from its valve, then up and back, and over to the right."""
    valve = shape.planes["pulmonary"]
    middle, out, head = np.array(valve.point), np.array(valve.normal), np.array(up)
    radius = shape.outflow_radius_mm
    bend = middle + 16 * out + 6 * head
    fork = bend + 16 * head + np.array([12.0, 8.0, -22.0])
    right = fork + np.array([-12.0, 26.0, -18.0])
    points = (middle - 4 * out, middle + 8 * out, bend, fork, right)
    return tube(x, y, z, [_point(p) for p in points], (0.9 * radius, 1.05 * radius, radius, 0.95 * radius, 9.0))


def _relative(x: Array, y: Array, z: Array, middle: NDArray[np.float64]) -> tuple[Array, Array, Array]:
    a, b, c = middle.astype(np.float32)
    return x - a, y - b, z - c


def _point(values: NDArray[np.float64]) -> Point:
    a, b, c = (float(v) for v in values)
    return a, b, c
