"""The picture of a heart on a fine grid: blood bright, muscle dark, as its tissues are."""

from __future__ import annotations

from functools import reduce

import numpy as np

from dmcvr.phantom.body import Body
from dmcvr.phantom.paint import paint
from dmcvr.phantom.shape import HeartShape, Solids
from dmcvr.phantom.solid import Array, Plane, blend, ellipsoid
from dmcvr.phantom.vessels import WALL_MM, Vessels, vessels

#: Leaflets: half of their thickness, and how far closed ones bulge from the valve's plane into the ventricle.
LEAFLET_MM, TENT_MM = 0.9, 4.0

#: What is painted of a heart lies within this distance of its ventricles, before and behind along each axis.
MARGIN_MM = ((24.0, 24.0), (36.0, 34.0), (66.0, 24.0))


def render(shape: HeartShape, scene: Body) -> Array:
    """(I, J, K) float32 noise-free image of the heart within its scene; air is 0, blood about 0.85."""
    image, tissues = scene.body.copy(), scene.tissues
    box = scene.grid.around(shape.box(4.0), MARGIN_MM)
    near, step = scene.within(box), scene.grid.step_mm
    x, y, z = near.grid.mesh()
    part = image[box]
    solids = shape.solids(x, y, z)
    above = vessels(shape, solids, x, y, z, near.up)

    free_wall = np.maximum(solids.rv_cavity, solids.thin * 3)
    wall = free_wall - np.float32(shape.rv_wall_mm) * (1 - solids.thin)
    muscle = np.minimum(solids.lv_whole, wall)
    _paint_fat(part, near, muscle, above)
    rough = 1.6 * near.coarse + 0.6 * near.middle
    chambers = [vessel + rough for vessel in above.all]
    for vessel in chambers:
        paint(part, vessel - np.float32(WALL_MM), tissues.myocardium, step_mm=step)
    paint(part, muscle, tissues.myocardium * (1 + 0.08 * near.middle), step_mm=step, ink=0.3 * tissues.outline)

    mixed = 1 + 0.05 * near.coarse + 0.03 * near.middle
    flow, right_flow = tissues.blood * mixed, tissues.right_blood * mixed
    for vessel in chambers:
        paint(part, vessel, flow * (1 + 0.03 * near.middle), step_mm=step)
    ridges = 2.2 * np.clip(near.fine - 0.4, 0, 1.5)
    inner = ridges * (solids.lateral > -8) * (solids.outflow > 0) * (1 - solids.thin)
    paint(part, solids.rv_cavity + inner, right_flow, step_mm=step)
    paint(part, _lv_blood(shape, near, solids, ridges), flow, step_mm=step)
    _paint_leaflets(part, near, shape, solids)
    part *= 1 + np.float32(0.04) * near.coarse
    return image


def _paint_fat(part: Array, near: Body, muscle: Array, above: Vessels) -> None:
    """Fat over muscle and vessels, thick in the grooves between them."""
    step = near.grid.step_mm
    z = near.grid.mesh()[2]
    thick = 1.6 + 2.6 * np.clip(near.coarse + 0.2, 0, 2.5)
    groove = reduce(lambda a, b: blend(a, b, 16), (above.left_atrium, above.right_atrium, above.trunk, above.aorta))
    whole = blend(groove - 2, muscle, 14)
    paint(
        part,
        whole - thick * np.clip(1.3 - np.abs(z) / 90, 0.5, 1),
        near.tissues.heart_fat * (1 + 0.1 * near.middle),
        step_mm=step,
        ink=0.4 * near.tissues.outline,
    )


def _lv_blood(shape: HeartShape, near: Body, solids: Solids, ridges: Array) -> Array:
    """Signed distance to the blood of the left ventricle: the cavity less papillary muscles and trabeculae."""
    x, y, z = near.grid.mesh()
    endo = solids.lv_cavity
    s = (z - np.float32(shape.base_mm)) / np.float32(shape.lv_length_mm)
    blood = endo + ridges * np.clip(3 * s - 0.8, 0, 1) * (endo > -5)
    cx, cy = shape.centre(z)
    size = np.float32(shape.papillary_radius_mm) * np.sqrt(np.clip(1 - np.square((s - 0.55) / 0.26), 0, None))
    for angle in np.deg2rad(np.array(shape.papillary_deg, dtype=np.float32)):
        # From mid-cavity (chordae) the column nears the wall and merges with it towards the apex.
        away = shape.endo_radius(z) * np.clip(0.5 + 0.5 * s, 0, 1) * shape.stretch(angle, z)
        column = np.hypot(x - cx - away * np.cos(angle), y - cy - away * np.sin(angle)) - size
        blood = np.maximum(blood, np.where(size > 0, -column, np.float32(-9)) - 0.5 * near.fine - 0.7 * near.middle)
    return np.asarray(blood, dtype=np.float32)


def _paint_leaflets(part: Array, near: Body, shape: HeartShape, solids: Solids) -> None:
    """Closed valves as thin sheets that bulge into the ventricle; open ones are too thin to be seen."""
    x, y, z = near.grid.mesh()
    for name, inside, share in (
        ("mitral", solids.lv_cavity, 1 - shape.opening),
        ("tricuspid", solids.rv_cavity, 1 - shape.opening),
        ("aortic", solids.lv_cavity, 0.7),
        ("pulmonary", solids.rv_cavity, 0.7),
    ):
        plane: Plane = shape.planes[name]
        px, py, pz = (np.float32(p) for p in plane.point)
        away = ellipsoid(x - px, y - py, z - pz, (1, 1, 1)) + 1
        bulge = TENT_MM * np.clip(1 - np.square(away / 18), 0, 1)
        sheet = np.abs(plane.beyond(x, y, z) + bulge) - np.float32(LEAFLET_MM)
        sheet = np.maximum(sheet, inside - 3)
        cover = np.clip(0.5 - sheet / np.float32(near.grid.step_mm), 0, 1) * np.float32(0.55 * share)
        part += cover * (np.float32(near.tissues.myocardium) - part)
