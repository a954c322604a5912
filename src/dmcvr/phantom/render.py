"""The picture of a heart on a fine grid, with the contrast of balanced SSFP: blood bright, muscle dark."""

from __future__ import annotations

import numpy as np

from dmcvr.phantom.body import Body
from dmcvr.phantom.paint import ellipsoid, paint
from dmcvr.phantom.shape import Array, HeartShape

BLOOD, MYOCARDIUM, FAT = 0.85, 0.28, 0.75

#: Atria and great vessels above the base: x, y of the centre, height above the base, semi-axes, in mm for
#: an epicardial radius of 34 mm. Left atrium, right atrium, aortic root, right-ventricular outflow tract.
VESSELS = (
    ((10.0, 8.0, 16.0), (25.0, 21.0, 26.0)),
    ((-42.0, 20.0, 15.0), (23.0, 23.0, 30.0)),
    ((-8.0, -13.0, 10.0), (13.0, 13.0, 80.0)),
    ((-36.0, -18.0, 10.0), (15.0, 14.0, 80.0)),
)


def render(shape: HeartShape, scene: Body) -> Array:
    """(I, J, K) float32 noise-free image of the heart within its scene; air is 0, blood about 0.85."""
    grid, step = scene.grid, scene.grid.step_mm
    x, y, z = grid.mesh()
    image = scene.body.copy()
    rho, theta, f = shape.polar(x, y, z)
    radius = rho * f

    epi = _lv_distance(rho, z, shape, shape.epi_semi_axes_mm) * f
    depth, slope = shape.rv_depth(theta, z)
    outer = shape.epi_radius(z) + depth
    lateral = (rho - outer) * f / np.sqrt(1 + np.square(slope / np.maximum(outer, 1)))
    thin = np.clip(1 - depth / np.float32(1.5), 0, 1)
    above = np.float32(shape.base_mm) - z

    fat_mm = 1.2 + 2.2 * np.clip(scene.coarse + 0.2, 0, 2.5)
    wall = np.maximum(lateral - np.float32(shape.rv_wall_mm) * (1 - thin), above)
    muscle = np.minimum(np.maximum(epi, above), wall)
    paint(image, muscle - fat_mm, FAT * (1 + 0.1 * scene.middle), step_mm=step, ink=0.4)
    _paint_vessels(image, shape, scene, above)
    flow = BLOOD * (1 + 0.05 * scene.coarse + 0.03 * scene.middle)
    muscle_value = MYOCARDIUM * (1 + 0.08 * scene.middle)
    paint(image, muscle, muscle_value, step_mm=step, ink=0.3)
    ridges = 2.2 * np.clip(scene.fine - 0.4, 0, 1.5)
    septal = shape.epi_radius(z) * f - radius
    rv = np.maximum(np.maximum(lateral + 3 * thin, septal), above)
    paint(image, rv + ridges * (lateral > -8), flow * np.float32(0.95), step_mm=step)
    paint(image, _lv_blood(shape, scene, rho, f, ridges, above), flow, step_mm=step)
    return np.asarray(image * (1 + 0.04 * scene.coarse), dtype=np.float32)


def _lv_distance(rho: Array, z: Array, shape: HeartShape, semi_axes_mm: tuple[float, float]) -> Array:
    radius, axis = semi_axes_mm
    zero = np.zeros((1, 1, 1), dtype=np.float32)
    return ellipsoid(rho, zero, z - np.float32(shape.equator_z_mm), (radius, radius, axis))


def _lv_blood(shape: HeartShape, scene: Body, rho: Array, f: Array, ridges: Array, above: Array) -> Array:
    """Signed distance to the blood of the left ventricle: the cavity less papillary muscles and trabeculae."""
    x, y, z = scene.grid.mesh()
    endo = _lv_distance(rho, z, shape, shape.lv_semi_axes_mm) * f
    s = (z - np.float32(shape.base_mm)) / np.float32(shape.lv_length_mm)
    blood = endo + ridges * np.clip(3 * s - 0.8, 0, 1) * (endo > -5)
    cx, cy = shape.centre(z)
    size = np.float32(shape.papillary_radius_mm) * np.sqrt(np.clip(1 - np.square((s - 0.55) / 0.32), 0, None))
    for angle in np.deg2rad(np.array(shape.papillary_deg, dtype=np.float32)):
        # From mid-cavity (chordae) the column nears the wall and merges with it towards the apex.
        away = shape.endo_radius(z) * np.clip(0.45 + 0.5 * s, 0, 1) * shape.stretch(angle, z)
        column = np.hypot(x - cx - away * np.cos(angle), y - cy - away * np.sin(angle)) - size
        blood = np.maximum(blood, np.where(size > 0, -column, np.float32(-9)) - 0.5 * scene.fine - 0.7 * scene.middle)
    return np.asarray(np.maximum(blood, above), dtype=np.float32)


def _paint_vessels(image: Array, shape: HeartShape, scene: Body, above: Array) -> None:
    """Atria, aortic root and outflow tract in their fat, cut off at the base."""
    x, y, z = scene.grid.mesh()
    cx, cy = shape.centre(z)
    dx, dy = x - cx, y - cy
    scale = np.float32(shape.epi_semi_axes_mm[0] / 34)
    step = scene.grid.step_mm
    flat = np.zeros((1, 1, 1), dtype=np.float32)
    groove = ellipsoid(dx + 16 * scale, dy - 2 * scale, flat, (57 * float(scale), 40 * float(scale), 1e4))
    paint(image, np.maximum(groove + 2 * scene.coarse, -above), FAT * (1 + 0.1 * scene.middle), step_mm=step, ink=0.4)
    rough = 1.8 * scene.coarse + 0.8 * scene.middle
    for (px, py, height), semi in VESSELS:
        a, b, c = (float(s * scale) for s in semi)
        vessel = ellipsoid(dx - px * scale, dy - py * scale, above - np.float32(height), (a, b, c)) + rough
        paint(image, np.maximum(vessel - 2, -above), MYOCARDIUM, step_mm=step)
        paint(image, np.maximum(vessel, -above), BLOOD * (1 + 0.06 * scene.coarse), step_mm=step)
