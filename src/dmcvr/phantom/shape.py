"""The shape of a bi-ventricular heart in closed form: two truncated ellipsoids and a crescent.

Heart frame, in mm: x to the picture's right, y downwards, z from base to apex; the mitral plane at end-diastole
is z = 0. In every plane z = const the left ventricle is a disc around the bent centre line whose radius is
scaled by f(theta), with f^2 = 1 + harmonics of order 2 and 3. The mean of f^2 is one, so every disc keeps its
area; the centre line only shears. The volumes of the truncated ellipsoids therefore stay exact.

The left cavity includes papillary muscles and trabeculae, as in ACDC; only the picture shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MYOCARDIUM_G_PER_ML = 1.05


@dataclass(frozen=True, kw_only=True)
class HeartShape:
    """One heart at one phase; lengths in mm in the heart frame, angles in degrees in the picture (y down)."""

    base_mm: float  # z of the mitral plane
    lv_length_mm: float  # endocardium, mitral plane to apex
    lv_equator_mm: float  # from the mitral plane to the widest place
    lv_radius_mm: float  # endocardium at the equator
    wall_mm: float  # left-ventricular wall at the equator
    apex_wall_mm: float  # left-ventricular wall at the apex
    rv_length_mm: float  # tricuspid plane (at base_mm) to the right apex
    rv_width_mm: float  # septum to free wall at the base
    rv_wall_mm: float
    rv_angle_deg: float  # where the right ventricle lies at the base: 180 is the picture's left
    rv_twist_deg: float  # how far it turns to the inferior side on the way to its apex
    rv_half_angle_deg: float  # half of the angle that it embraces at the base
    tilt_x: float  # mm sideways per mm towards the apex
    tilt_y: float
    bend_x_mm: float  # sideways by the curvature, 40 mm away from mid-ventricle
    bend_y_mm: float
    ovality: float  # amplitude of the second harmonic of f^2
    ovality_deg: float
    ovality_turn_deg_per_mm: float
    triangularity: float  # amplitude of the third harmonic of f^2
    triangularity_deg: float
    papillary_radius_mm: float
    papillary_deg: tuple[float, float]  # anterolateral, posteromedial

    @classmethod
    def random(cls, rng: np.random.Generator) -> HeartShape:
        """A plausible adult heart at end-diastole: clinical volumes are drawn, radii follow from them."""
        edv_ml = float(np.exp(rng.uniform(np.log(100), np.log(205))))
        mass_g = float(np.clip(edv_ml * rng.uniform(0.75, 1.1), 85, 195))
        length = 79 * (edv_ml / 140) ** (1 / 3) * float(rng.uniform(0.95, 1.05))
        tilt, tilt_angle = float(rng.uniform(0.08, 0.25)), float(rng.uniform(0, 2 * np.pi))
        shape = cls(
            base_mm=0.0,
            lv_length_mm=length,
            lv_equator_mm=length * float(rng.uniform(0.2, 0.3)),
            lv_radius_mm=1.0,
            wall_mm=1.0,
            apex_wall_mm=float(rng.uniform(5, 7.5)),
            rv_length_mm=length * float(rng.uniform(0.82, 0.92)),
            rv_width_mm=1.0,
            rv_wall_mm=float(rng.uniform(2.5, 3.5)),
            rv_angle_deg=float(rng.uniform(163, 180)),
            rv_twist_deg=float(rng.uniform(5, 25)),
            rv_half_angle_deg=float(rng.uniform(80, 94)),
            tilt_x=tilt * float(np.cos(tilt_angle)),
            tilt_y=tilt * float(np.sin(tilt_angle)),
            bend_x_mm=float(rng.uniform(-3, 3)),
            bend_y_mm=float(rng.uniform(-3, 3)),
            ovality=float(rng.uniform(0.04, 0.14)),
            ovality_deg=float(rng.uniform(0, 180)),
            ovality_turn_deg_per_mm=float(rng.uniform(-0.6, 0.6)),
            triangularity=float(rng.uniform(0.0, 0.05)),
            triangularity_deg=float(rng.uniform(0, 120)),
            papillary_radius_mm=float(rng.uniform(4.6, 6.2)),
            papillary_deg=(float(rng.uniform(-50, -20)), float(rng.uniform(95, 130))),
        )
        rv_edv_ml = float(np.clip(edv_ml * rng.uniform(0.92, 1.12), 102, 220))
        return shape._with_volumes(edv_ml, mass_g / MYOCARDIUM_G_PER_ML)._with_rv_volume(rv_edv_ml)

    def end_systole(self, *, ejection_fraction: float, descent_mm: float) -> HeartShape:
        """The contracted heart: the base descends, the apex stays, the muscle keeps its volume to 2 %.

        Both ventricles eject the same volume, so the flows through the lungs and the body are equal.
        """
        apex_wall = self.apex_wall_mm * 1.2
        length = self.lv_length_mm + self.apex_wall_mm - descent_mm - apex_wall
        ratio = length / self.lv_length_mm
        shape = replace(
            self,
            base_mm=self.base_mm + descent_mm,
            lv_length_mm=length,
            lv_equator_mm=self.lv_equator_mm * ratio,
            apex_wall_mm=apex_wall,
            rv_length_mm=self.rv_length_mm * ratio,
            rv_wall_mm=self.rv_wall_mm * 1.25,
        )
        stroke_ml = self.lv_cavity_volume_ml() * ejection_fraction
        shape = shape._with_volumes(self.lv_cavity_volume_ml() - stroke_ml, self.lv_myocardial_volume_ml() * 0.98)
        return shape._with_rv_volume(self.rv_cavity_volume_ml() - stroke_ml)

    @property
    def lv_semi_axes_mm(self) -> tuple[float, float]:
        """Radius and long semi-axis of the endocardial ellipsoid."""
        return self.lv_radius_mm, self.lv_length_mm - self.lv_equator_mm

    @property
    def epi_semi_axes_mm(self) -> tuple[float, float]:
        """Radius and long semi-axis of the epicardial ellipsoid."""
        radius, axis = self.lv_semi_axes_mm
        return radius + self.wall_mm, axis + self.apex_wall_mm

    @property
    def equator_z_mm(self) -> float:
        """z of the plane where both ellipsoids are widest."""
        return self.base_mm + self.lv_equator_mm

    @property
    def apex_z_mm(self) -> float:
        """z of the epicardial apex."""
        return self.base_mm + self.lv_length_mm + self.apex_wall_mm

    def lv_cavity_volume_ml(self) -> float:
        """Volume inside the endocardium, papillary muscles included; exact."""
        return _truncated_ellipsoid_ml(*self.lv_semi_axes_mm, self.lv_equator_mm)

    def lv_epicardial_volume_ml(self) -> float:
        """Volume inside the left-ventricular epicardium, cavity included; exact."""
        return _truncated_ellipsoid_ml(*self.epi_semi_axes_mm, self.lv_equator_mm)

    def lv_myocardial_volume_ml(self) -> float:
        """Volume of the left-ventricular wall; exact."""
        return self.lv_epicardial_volume_ml() - self.lv_cavity_volume_ml()

    def lv_mass_g(self) -> float:
        """Mass of the left-ventricular wall at 1.05 g/mL."""
        return self.lv_myocardial_volume_ml() * MYOCARDIUM_G_PER_ML

    def rv_cavity_volume_ml(self) -> float:
        """Volume of the right cavity, by quadrature over z and theta."""
        linear, quadratic = self._rv_moments()
        return linear * self.rv_width_mm + quadratic * self.rv_width_mm**2

    def centre(self, z: Array) -> tuple[Array, Array]:
        """x and y of the centre line at z."""
        t = z - np.float32(40)
        bend = np.square(t / np.float32(40))
        x = np.float32(self.tilt_x) * t + np.float32(self.bend_x_mm) * bend
        y = np.float32(self.tilt_y) * t + np.float32(self.bend_y_mm) * bend
        return x, y

    def stretch(self, theta: Array, z: Array) -> Array:
        """The radial scale f(theta, z)."""
        phase2 = np.float32(np.deg2rad(self.ovality_deg)) + np.float32(np.deg2rad(self.ovality_turn_deg_per_mm)) * z
        phase3 = np.float32(np.deg2rad(self.triangularity_deg))
        square = 1 + np.float32(self.ovality) * np.cos(2 * (theta - phase2))
        square = square + np.float32(self.triangularity) * np.cos(3 * (theta - phase3))
        return np.asarray(np.sqrt(square), dtype=np.float32)

    def polar(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        """Radius over f, angle, and f at broadcast points: the left ventricle's contours are circles there."""
        cx, cy = self.centre(z)
        dx, dy = x - cx, y - cy
        theta = np.arctan2(dy, dx)
        f = self.stretch(theta, z)
        return np.hypot(dx, dy) / f, theta, f

    def epi_radius(self, z: Array) -> Array:
        """Radius over f of the epicardium at z; 0 past the apex."""
        return _profile(z - np.float32(self.equator_z_mm), *self.epi_semi_axes_mm)

    def endo_radius(self, z: Array) -> Array:
        """Radius over f of the endocardium at z; 0 past the apex."""
        return _profile(z - np.float32(self.equator_z_mm), *self.lv_semi_axes_mm)

    def rv_depth(self, theta: Array, z: Array) -> tuple[Array, Array]:
        """How far the right cavity reaches beyond the epicardium (over f), and its derivative by theta."""
        bump, slope = self._rv_bump(theta, z)
        return np.float32(self.rv_width_mm) * bump, np.float32(self.rv_width_mm) * slope

    def labels(self, x: Array, y: Array, z: Array) -> NDArray[np.uint8]:
        """Labels at broadcast points: 0 background, 1 LV cavity, 2 LV myocardium, 3 RV cavity."""
        rho, theta, _ = self.polar(x, y, z)
        epi = self.epi_radius(z)
        out = np.zeros(rho.shape, dtype=np.uint8)
        out[rho < epi + self.rv_depth(theta, z)[0]] = 3
        out[rho < epi] = 2
        out[rho < self.endo_radius(z)] = 1
        return np.where(z >= np.float32(self.base_mm), out, np.uint8(0))

    def _rv_bump(self, theta: Array, z: Array) -> tuple[Array, Array]:
        s = np.clip((z - np.float32(self.base_mm)) / np.float32(self.rv_length_mm), 0, 1)
        taper = (1 - s**2) ** 0.75
        half = np.float32(np.deg2rad(self.rv_half_angle_deg)) * (1 - np.float32(0.35) * s)
        middle = np.float32(np.deg2rad(self.rv_angle_deg)) - np.float32(np.deg2rad(self.rv_twist_deg)) * s
        turn = np.mod(theta - middle + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
        phase = np.clip(turn / half, -1, 1) * np.float32(np.pi / 2)
        return taper * np.cos(phase), -taper * np.sin(phase) * np.float32(np.pi / 2) / half

    def _rv_moments(self) -> tuple[float, float]:
        """mL per mm and mL per mm^2: the right volume is linear * width + quadratic * width^2."""
        step_z, step_theta = self.rv_length_mm / 200, 2 * np.pi / 360
        z = (self.base_mm + (np.arange(200, dtype=np.float32) + 0.5) * step_z).astype(np.float32)
        theta = ((np.arange(360, dtype=np.float32) + 0.5) * step_theta).astype(np.float32)[:, None]
        bump = self._rv_bump(theta, z)[0].astype(np.float64)
        area = self.stretch(theta, z).astype(np.float64) ** 2 * step_z * step_theta / 1000
        return float((area * bump * self.epi_radius(z)).sum()), float((area * bump**2 / 2).sum())

    def _with_volumes(self, cavity_ml: float, myocardium_ml: float) -> HeartShape:
        radius = np.sqrt(cavity_ml / _truncated_ellipsoid_ml(1.0, self.lv_semi_axes_mm[1], self.lv_equator_mm))
        outer = np.sqrt(
            (cavity_ml + myocardium_ml) / _truncated_ellipsoid_ml(1.0, self.epi_semi_axes_mm[1], self.lv_equator_mm)
        )
        return replace(self, lv_radius_mm=float(radius), wall_mm=float(outer - radius))

    def _with_rv_volume(self, cavity_ml: float) -> HeartShape:
        linear, quadratic = self._rv_moments()
        width = (np.sqrt(linear**2 + 4 * quadratic * cavity_ml) - linear) / (2 * quadratic)
        return replace(self, rv_width_mm=float(width))


def _truncated_ellipsoid_ml(radius_mm: float, axis_mm: float, cut_mm: float) -> float:
    """Volume of an ellipsoid of revolution between its apex and a plane `cut_mm` beyond its equator."""
    return float(np.pi * radius_mm**2 * (2 / 3 * axis_mm + cut_mm - cut_mm**3 / (3 * axis_mm**2)) / 1000)


def _profile(t: Array, radius_mm: float, axis_mm: float) -> Array:
    inside = np.clip(1 - np.square(t / np.float32(axis_mm)), 0, None)
    return np.asarray(np.float32(radius_mm) * np.sqrt(inside), dtype=np.float32)
