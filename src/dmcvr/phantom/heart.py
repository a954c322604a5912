"""Hearts as people have them: sizes, groups, and how one beats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from dmcvr.phantom.shape import MYOCARDIUM_G_PER_ML, HeartShape

#: Normal, dilated, hypertrophic, and an enlarged right ventricle with a flattened septum.
Kind = Literal["normal", "dilated", "hypertrophic", "right"]

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Group:
    """How the hearts of a kind differ: the ends of what is drawn evenly."""

    edv_ml: Range  # left ventricle
    mass_g_per_ml: Range  # of its wall, over its end-diastolic volume
    ejection_fraction: Range
    right_to_left: Range  # end-diastolic volumes
    descent_mm: Range  # of the base


GROUPS: dict[Kind, Group] = {
    "normal": Group(
        edv_ml=(100, 205),
        mass_g_per_ml=(0.75, 1.05),
        ejection_fraction=(0.50, 0.68),
        right_to_left=(0.95, 1.15),
        descent_mm=(9, 15),
    ),
    "dilated": Group(
        edv_ml=(200, 310),
        mass_g_per_ml=(0.60, 0.80),
        ejection_fraction=(0.18, 0.40),
        right_to_left=(0.60, 0.80),
        descent_mm=(4, 9),
    ),
    "hypertrophic": Group(
        edv_ml=(95, 170),
        mass_g_per_ml=(1.25, 1.80),
        ejection_fraction=(0.58, 0.74),
        right_to_left=(0.90, 1.10),
        descent_mm=(6, 11),
    ),
    "right": Group(
        edv_ml=(90, 150),
        mass_g_per_ml=(0.75, 1.05),
        ejection_fraction=(0.48, 0.62),
        right_to_left=(1.40, 1.90),
        descent_mm=(8, 13),
    ),
}

#: The kinds of a population in turn: of six hearts three are normal.
IN_TURN: tuple[Kind, ...] = ("normal", "normal", "dilated", "normal", "hypertrophic", "right")

#: Contraction over a heartbeat: systole, early filling, a pause, and the atria's beat.
_TIMES = (0.0, 0.05, 0.12, 0.22, 0.32, 0.36, 0.41, 0.46, 0.56, 0.66, 0.82, 0.92, 1.0)
_CONTRACTION = (0.0, 0.06, 0.32, 0.75, 0.97, 1.0, 0.96, 0.78, 0.34, 0.24, 0.2, 0.05, 0.0)

#: Time from one beat to the next.
CYCLE_MS = 900.0

#: Share of the cycle at which the contraction is full.
SYSTOLE = 0.36


@dataclass(frozen=True)
class Heart:
    """A heart that beats: its shape at end-diastole, and how far it contracts."""

    kind: Kind
    relaxed: HeartShape
    ejection_fraction: float
    descent_mm: float  # of the base towards the apex, by end-systole

    @classmethod
    def random(cls, rng: np.random.Generator, kind: Kind = "normal") -> Heart:
        """A plausible adult heart: clinical volumes are drawn, radii follow from them."""
        group = GROUPS[kind]
        edv_ml = float(np.exp(rng.uniform(*np.log(group.edv_ml))))
        mass_g = max(70.0, edv_ml * float(rng.uniform(*group.mass_g_per_ml)))
        ejected, descent = float(rng.uniform(*group.ejection_fraction)), float(rng.uniform(*group.descent_mm))
        rv_edv_ml = max(edv_ml * float(rng.uniform(*group.right_to_left)), 1.6 * ejected * edv_ml)
        shape = _random_shape(rng, kind, edv_ml)
        shape = shape.fitted(cavity_ml=edv_ml, myocardium_ml=mass_g / MYOCARDIUM_G_PER_ML, rv_cavity_ml=rv_edv_ml)
        return cls(kind, shape, ejected, descent)

    def at(self, contraction: float, *, opening: float = 0.0) -> HeartShape:
        """The heart contracted by this share: the base descends, the apex stays, the muscle keeps its volume to 2 %.

        Both ventricles eject the same volume, so the flows through the lungs and the body are equal. The roofs of the
        atria stay: they fill as the base descends.
        """
        relaxed = self.relaxed
        if contraction == 0:
            return replace(relaxed, opening=opening)
        descent = contraction * self.descent_mm
        apex_wall = relaxed.apex_wall_mm * (1 + 0.2 * contraction)
        length = relaxed.lv_length_mm + relaxed.apex_wall_mm - descent - apex_wall
        ratio = length / relaxed.lv_length_mm
        x, y, z = relaxed.pulmonary_mm
        shape = replace(
            relaxed,
            base_mm=relaxed.base_mm + descent,
            lv_length_mm=length,
            lv_equator_mm=relaxed.lv_equator_mm * ratio,
            apex_wall_mm=apex_wall,
            septal_excess=relaxed.septal_excess * (1 + 0.3 * contraction),
            rv_length_mm=relaxed.rv_length_mm * ratio,
            rv_wall_mm=relaxed.rv_wall_mm * (1 + 0.25 * contraction),
            outflow_radius_mm=relaxed.outflow_radius_mm * (1 - 0.15 * contraction),
            pulmonary_mm=(x, y + 0.2 * descent, z + 0.6 * descent),
            left_atrium_mm=relaxed.left_atrium_mm * (1 + 0.12 * contraction),
            right_atrium_mm=relaxed.right_atrium_mm * (1 + 0.12 * contraction),
            opening=opening,
        )
        stroke_ml = relaxed.lv_cavity_volume_ml() * self.ejection_fraction * contraction
        return shape.fitted(
            cavity_ml=relaxed.lv_cavity_volume_ml() - stroke_ml,
            myocardium_ml=relaxed.lv_myocardial_volume_ml() * (1 - 0.02 * contraction),
            rv_cavity_ml=relaxed.rv_cavity_volume_ml() - stroke_ml,
        )

    def beat(self, phases: int) -> tuple[HeartShape, ...]:
        """The heart at ED and ES for two phases; for more, at equal times over the cycle, the first one ED."""
        if phases == 2:
            return self.at(0.0), self.at(1.0)
        return tuple(self.at(c, opening=o) for c, o in zip(*_cycle(np.arange(phases) / phases), strict=True))


def _cycle(times: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Contraction and the inflow valves' opening at these shares of the cycle."""
    contraction = PchipInterpolator(_TIMES, _CONTRACTION)
    filling = np.clip(-contraction.derivative()(times) / 2, 0, 1) * (times > SYSTOLE + 0.05)
    return [float(c) for c in contraction(times)], [float(o) for o in filling]


def _random_shape(rng: np.random.Generator, kind: Kind, edv_ml: float) -> HeartShape:
    """Proportions; radius, wall and right width are still to be fitted to volumes."""
    long = {"normal": 1.0, "dilated": 0.95, "hypertrophic": 1.0, "right": 1.0}[kind]
    length = 88 * (edv_ml / 140) ** (1 / 3) * long * float(rng.uniform(0.95, 1.05))
    tilt, tilt_angle = float(rng.uniform(0.03, 0.14)), float(rng.uniform(0, 2 * np.pi))
    rv_angle = float(rng.uniform(168, 184))
    flat = kind == "right"
    radius = 23.5 * (edv_ml / 140) ** (1 / 3)
    valve = np.deg2rad(rv_angle + float(rng.uniform(58, 68)))
    reach = radius + 27.0
    atrium = float(rng.uniform(21, 25)) * (1.15 if kind == "dilated" else 1.0)
    return HeartShape(
        base_mm=0.0,
        lv_length_mm=length,
        lv_equator_mm=length * float(rng.uniform(0.3, 0.4)),
        lv_radius_mm=radius,
        wall_mm=9.0,
        apex_wall_mm=float(rng.uniform(4.5, 7)) * (1.4 if kind == "hypertrophic" else 1.0),
        septal_excess=float(rng.uniform(0.1, 0.25)) if kind == "hypertrophic" else 0.0,
        mitral_tilt_deg=float(rng.uniform(8, 18)),
        aortic_tilt_deg=float(rng.uniform(18, 30)),
        mitral_toward_deg=float(rng.uniform(20, 50)),
        tricuspid_drop_mm=float(rng.uniform(4, 9)),
        tricuspid_tilt_deg=float(rng.uniform(10, 22)),
        tricuspid_toward_deg=float(rng.uniform(105, 150)),
        rv_length_mm=length * float(rng.uniform(0.84, 0.94)),
        rv_width_mm=36.0,
        rv_wall_mm=float(rng.uniform(1.6, 2.5)) * (1.7 if flat else 1.0),
        rv_angle_deg=rv_angle,
        rv_twist_deg=float(rng.uniform(5, 22)),
        rv_half_angle_deg=float(rng.uniform(80, 92)),
        outflow_radius_mm=float(rng.uniform(11, 13.5)),
        pulmonary_mm=(reach * float(np.cos(valve)), reach * float(np.sin(valve)), float(rng.uniform(-22, -14))),
        tilt_x=tilt * float(np.cos(tilt_angle)),
        tilt_y=tilt * float(np.sin(tilt_angle)),
        bend_x_mm=float(rng.uniform(-2, 2)),
        bend_y_mm=float(rng.uniform(-2, 2)),
        ovality=float(rng.uniform(0.2, 0.32) if flat else rng.uniform(0.02, 0.12)),
        ovality_deg=rv_angle - 90 + float(rng.uniform(-15, 15)) if flat else float(rng.uniform(0, 180)),
        ovality_turn_deg_per_mm=0.0 if flat else float(rng.uniform(-0.4, 0.4)),
        triangularity=float(rng.uniform(0.0, 0.04)),
        triangularity_deg=float(rng.uniform(0, 120)),
        papillary_radius_mm=float(rng.uniform(4.2, 5.8)),
        papillary_deg=(float(rng.uniform(-50, -20)), float(rng.uniform(95, 130))),
        aortic_radius_mm=float(rng.uniform(12.5, 15)),
        left_atrium_mm=atrium,
        right_atrium_mm=float(rng.uniform(22, 26)) * (1.2 if flat else 1.0),
        atrial_roof_mm=-float(rng.uniform(46, 54)),
    )
