"""The shape of a bi-ventricular heart in closed form: two ellipsoids, a crescent, an outflow tract, four valve planes.

Heart frame, in mm: x to the picture's right, y downwards, z from base to apex; the ridge between the mitral and the
aortic valve is at z = 0 at end-diastole. In every plane z = const the left ventricle is a disc around the bent centre
line whose radius is scaled by f(theta), with f^2 = 1 + harmonics of order 2 and 3 (the second gives the septum its
curvature). The mitral and the aortic plane close it like a roof: the mitral one falls to the posterolateral side, the
aortic one to the anteroseptal side. The right ventricle is a crescent around the left one's epicardium, closed by the
tricuspid plane, and joined to a tube that ends at the pulmonary plane, in front of the aortic root.

The left cavity includes papillary muscles and trabeculae, as in ACDC; only the picture shows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dmcvr.phantom.frame import Grid
from dmcvr.phantom.solid import Array, Plane, Point, blend, ellipsoid, tube

MYOCARDIUM_G_PER_ML = 1.05

#: Distance between samples when volumes are measured, and when sizes are fitted to volumes.
FINE_MM, COARSE_MM = 1.5, 4.0

#: Where the crescent is less deep than this it runs out, so that no sliver is left of it.
SHALLOW_MM = 4.0

#: Rounds of fitting at most, and the least depth of a right ventricle.
FITTING_STEPS, LEAST_RV_WIDTH_MM = 12, 4.0

#: Wall between the aortic root and the right ventricle's outflow tract.
ROOT_WALL_MM = 2.5


@dataclass(frozen=True, kw_only=True)
class HeartShape:
    """One heart at one phase; lengths in mm in the heart frame, angles in degrees in the picture (y down)."""

    base_mm: float  # z of the ridge between mitral and aortic valve
    lv_length_mm: float  # endocardium, ridge to apex
    lv_equator_mm: float  # from the ridge to the widest place
    lv_radius_mm: float  # endocardium at the equator
    wall_mm: float  # left-ventricular wall at the equator
    apex_wall_mm: float  # left-ventricular wall at the apex: the cap that closes it
    septal_excess: float  # how much of the cavity's radius the thick septum of a hypertrophic heart takes
    mitral_tilt_deg: float  # how far the mitral plane's normal leans to the posterolateral side
    aortic_tilt_deg: float  # how far the aortic plane's normal leans to the anteroseptal side
    mitral_toward_deg: float  # the posterolateral side
    tricuspid_drop_mm: float  # how far the tricuspid plane lies below the ridge, at the middle of the valve
    tricuspid_tilt_deg: float
    tricuspid_toward_deg: float  # the inferior and right side
    rv_length_mm: float  # from the height of the ridge to the right apex
    rv_width_mm: float  # septum to free wall at the base
    rv_wall_mm: float
    rv_angle_deg: float  # where the right ventricle lies at the base: 180 is the picture's left
    rv_twist_deg: float  # how far it turns to the inferior side on the way to its apex
    rv_half_angle_deg: float  # half of the angle that it embraces at the base
    outflow_radius_mm: float  # of the right ventricle's outflow tract
    pulmonary_mm: Point  # middle of the pulmonary valve
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
    aortic_radius_mm: float  # of the ascending aorta
    left_atrium_mm: float  # semi-axis across the stack
    right_atrium_mm: float
    atrial_roof_mm: float  # z of the atria's roofs, which stay in place
    opening: float = 0.0  # of mitral and tricuspid valve: 0 closed, 1 wide open

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

    @cached_property
    def planes(self) -> dict[str, Plane]:
        """The valve planes: mitral, aortic, tricuspid, pulmonary; each through the middle of its valve."""
        toward = np.deg2rad(self.mitral_toward_deg)
        across = float(self.endo_radius(_at(self.base_mm))[0])
        ridge = np.array([*self._axis_at(self.base_mm), self.base_mm]) - [*(0.1 * across * _unit(toward)), 0]
        valves = {}
        for name, tilt, side in (("mitral", self.mitral_tilt_deg, 0), ("aortic", self.aortic_tilt_deg, 180)):
            roof = Plane.tilted(_point(ridge), tilt, self.mitral_toward_deg + side)
            reach = across * (0.55 if side == 0 else 0.45)  # from the ridge to the middle of the valve
            x, y = ridge[:2] + reach * _unit(toward + np.deg2rad(side))
            valves[name] = replace(roof, point=(float(x), float(y), roof.height(float(x), float(y))))
        z = self.base_mm + self.tricuspid_drop_mm
        inflow = self._beside(z, self.rv_angle_deg - 20, 0.5)
        valves["tricuspid"] = Plane.tilted(inflow, self.tricuspid_tilt_deg, self.tricuspid_toward_deg)
        out = np.subtract(self.pulmonary_mm, self._outflow_start)
        valves["pulmonary"] = Plane(self.pulmonary_mm, _point(out / np.linalg.norm(out)))
        return valves

    @property
    def apices(self) -> dict[str, Point]:
        """The points farthest from the base: of the left cavity, the left epicardium and the right cavity."""
        inner, outer = self.base_mm + self.lv_length_mm, self.apex_z_mm
        right = self.base_mm + self.rv_length_mm
        return {
            "lv_cavity": (*self._axis_at(inner), inner),
            "lv_epicardium": (*self._axis_at(outer), outer),
            "rv_cavity": self._beside(right, self.rv_angle_deg - self.rv_twist_deg, 0.0),
        }

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
        """Radius over f of the endocardium at z, away from a thick septum; 0 past the apex."""
        return _profile(z - np.float32(self.equator_z_mm), *self.lv_semi_axes_mm)

    def solids(self, x: Array, y: Array, z: Array) -> Solids:
        """Signed distances to the ventricles at broadcast points."""
        rho, theta, f = self.polar(x, y, z)
        flat, t = np.zeros((1, 1, 1), dtype=np.float32), z - np.float32(self.equator_z_mm)
        epi_radius, epi_axis = self.epi_semi_axes_mm
        endo_radius, endo_axis = self.lv_semi_axes_mm
        inner = rho / (1 - np.float32(self.septal_excess) * self._septal(theta, z)) if self.septal_excess else rho
        roof = np.maximum(self.planes["mitral"].beyond(x, y, z), self.planes["aortic"].beyond(x, y, z))
        endo = ellipsoid(inner, flat, t, (endo_radius, endo_radius, endo_axis)) * f
        epi = ellipsoid(rho, flat, t, (epi_radius, epi_radius, epi_axis)) * f
        whole = np.maximum(epi, roof)
        bump, slope = self._rv_bump(theta, z)
        depth, slope = np.float32(self.rv_width_mm) * bump, np.float32(self.rv_width_mm) * slope
        around = self.epi_radius(z)
        outer = around + depth
        lateral = (rho - outer) * f / np.sqrt(1 + np.square(slope / np.maximum(outer, 1)))
        thin = np.clip(1 - depth / np.float32(SHALLOW_MM), 0, 1)
        crescent = np.maximum(lateral, (around - rho) * f)
        crescent = np.maximum(crescent + 2 * thin, self.planes["tricuspid"].beyond(x, y, z))
        outflow = np.maximum(self._outflow(x, y, z), self.planes["pulmonary"].beyond(x, y, z))
        root = self.aortic_root(x, y, z)
        right = np.maximum(blend(crescent, outflow, 8), np.maximum(-whole, np.float32(ROOT_WALL_MM) - root))
        return Solids(np.maximum(endo, roof), whole, right, root, outflow, lateral, thin)

    def aortic_root(self, x: Array, y: Array, z: Array) -> Array:
        """Signed distance to the aorta's blood, from its valve on."""
        valve = self.planes["aortic"]
        middle, out = np.array(valve.point), np.array(valve.normal)
        radius = self.aortic_radius_mm
        points = [middle - 4 * out, middle + 9 * out, middle + 22 * out]
        points += [points[-1] + np.array(step) for step in ((-8, -16, -24), (-14, -52, -48))]
        radii = [0.85 * radius, 1.12 * radius, 0.92 * radius, radius, radius]
        return np.maximum(tube(x, y, z, [_point(p) for p in points], radii), -valve.beyond(x, y, z))

    def labels(self, x: Array, y: Array, z: Array) -> NDArray[np.uint8]:
        """Labels at broadcast points: 0 background, 1 LV cavity, 2 LV myocardium, 3 RV cavity."""
        solids = self.solids(x, y, z)
        out = np.zeros(solids.lv_whole.shape, dtype=np.uint8)
        out[solids.rv_cavity < 0] = 3
        out[solids.lv_whole < 0] = 2
        out[solids.lv_cavity < 0] = 1
        return out

    def lv_cavity_volume_ml(self) -> float:
        """Volume of the left cavity, papillary muscles included, from samples 1.5 mm apart."""
        return self._volumes_ml[0]

    def lv_myocardial_volume_ml(self) -> float:
        """Volume of the left-ventricular wall."""
        return self._volumes_ml[1] - self._volumes_ml[0]

    def lv_epicardial_volume_ml(self) -> float:
        """Volume inside the left-ventricular epicardium, cavity included."""
        return self._volumes_ml[1]

    def lv_mass_g(self) -> float:
        """Mass of the left-ventricular wall at 1.05 g/mL."""
        return self.lv_myocardial_volume_ml() * MYOCARDIUM_G_PER_ML

    def rv_cavity_volume_ml(self) -> float:
        """Volume of the right cavity."""
        return self._volumes_ml[2]

    def box(self, step_mm: float, *, margin_mm: float = 4.0) -> Grid:
        """Samples over both ventricles."""
        z = np.linspace(self.base_mm - 30, self.apex_z_mm, 60, dtype=np.float32)
        (cx, cy), r = self.centre(z), self.epi_radius(z) * np.float32(1.1)
        low = np.array([(cx - r).min() - self.rv_width_mm, (cy - r).min() - 10, self.base_mm - 25])
        high = np.array([(cx + r).max() + 2, (cy + r).max() + 10, self.apex_z_mm])
        ends = np.array(self.pulmonary_mm)
        low = np.minimum(low, ends - self.outflow_radius_mm - 4) - margin_mm
        high = np.maximum(high, ends + self.outflow_radius_mm) + margin_mm
        axes = (np.arange(a, b, step_mm).astype(np.float32) for a, b in zip(low, high, strict=True))
        return Grid(*axes)

    def fitted(self, *, cavity_ml: float, myocardium_ml: float, rv_cavity_ml: float) -> HeartShape:
        """The same heart with radius, wall and right width such that it has these volumes (to about 0.3 %)."""
        shape, wanted = self, np.array([cavity_ml, cavity_ml + myocardium_ml, rv_cavity_ml])
        for _ in range(FITTING_STEPS):
            share = wanted / shape._covered_ml(COARSE_MM)
            radius = shape.lv_radius_mm * float(np.sqrt(share[0]))
            outer = (shape.lv_radius_mm + shape.wall_mm) * float(np.sqrt(share[1]))
            width = max(LEAST_RV_WIDTH_MM, shape.rv_width_mm * float(share[2]))
            shape = replace(shape, lv_radius_mm=radius, wall_mm=outer - radius, rv_width_mm=width)
            if np.abs(share - 1).max() < 0.003:
                break
        return shape

    @cached_property
    def _volumes_ml(self) -> tuple[float, float, float]:
        return self._covered_ml(FINE_MM)

    def _covered_ml(self, step_mm: float) -> tuple[float, float, float]:
        """Volumes of left cavity, whole left ventricle and right cavity: the share of each sample's cell inside."""
        solids = self.solids(*self.box(step_mm).mesh())
        inside = (solids.lv_cavity, solids.lv_whole, solids.rv_cavity)
        a, b, c = (float(np.clip(0.5 - d / np.float32(step_mm), 0, 1).sum()) * step_mm**3 / 1000 for d in inside)
        return a, b, c

    def _septal(self, theta: Array, z: Array) -> Array:
        """1 at the middle of the septum, 0 at the free wall and the apex."""
        turn = np.cos(theta - np.float32(np.deg2rad(self.rv_angle_deg)))
        s = np.clip((z - np.float32(self.base_mm)) / np.float32(self.lv_length_mm), 0, 1)
        return np.asarray(np.square(np.clip(turn, 0, None)) * (1 - s**2), dtype=np.float32)

    def _rv_bump(self, theta: Array, z: Array) -> tuple[Array, Array]:
        s = np.clip((z - np.float32(self.base_mm)) / np.float32(self.rv_length_mm), 0, 1)
        taper = (1 - s**2) ** 0.75
        half = np.float32(np.deg2rad(self.rv_half_angle_deg)) * (1 - np.float32(0.35) * s)
        middle = np.float32(np.deg2rad(self.rv_angle_deg)) - np.float32(np.deg2rad(self.rv_twist_deg)) * s
        turn = np.mod(theta - middle + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
        phase = np.clip(turn / half, -1, 1) * np.float32(np.pi / 2)
        return taper * np.cos(phase), -taper * np.sin(phase) * np.float32(np.pi / 2) / half

    @property
    def _outflow_start(self) -> Point:
        return self._beside(self.base_mm + 20, self.rv_angle_deg + 48, 0.55)

    def _outflow(self, x: Array, y: Array, z: Array) -> Array:
        end = np.array(self.pulmonary_mm)
        out = end - self._outflow_start
        end = end + 8 * out / np.linalg.norm(out)  # past the plane that cuts it
        return tube(x, y, z, (self._outflow_start, _point(end)), (0.8 * self.outflow_radius_mm, self.outflow_radius_mm))

    def _beside(self, z: float, angle_deg: float, share: float) -> Point:
        """The point beyond the epicardium in this direction, at this share of the right cavity's depth."""
        angle = np.deg2rad(np.array([[[angle_deg]]], dtype=np.float32))
        height = _at(z).reshape(1, 1, 1)
        depth = self.rv_width_mm * self._rv_bump(angle, height)[0]
        reach = float(((self.epi_radius(height) + share * depth) * self.stretch(angle, height))[0, 0, 0])
        x, y = self._axis_at(z)
        return x + reach * float(np.cos(angle[0, 0, 0])), y + reach * float(np.sin(angle[0, 0, 0])), z

    def _axis_at(self, z: float) -> tuple[float, float]:
        x, y = self.centre(_at(z))
        return float(x[0]), float(y[0])


@dataclass(frozen=True)
class Solids:
    """Signed distances (I, J, K) to the parts of a heart: what is labelled, and what a picture needs besides.

    =========  ==========================================================================================
    lv_cavity  inside the endocardium and below the roof of the two valves
    lv_whole   inside the epicardium, cavity included
    rv_cavity  crescent and outflow tract, below the tricuspid and the pulmonary plane
    root       the aorta's blood
    outflow    the right ventricle's outflow tract alone
    lateral    the right ventricle's free wall, and the left one's epicardium where there is no right one
    thin       1 where the crescent runs out, 0 where it is deep
    =========  ==========================================================================================
    """

    lv_cavity: Array
    lv_whole: Array
    rv_cavity: Array
    root: Array
    outflow: Array
    lateral: Array
    thin: Array


def _profile(t: Array, radius_mm: float, axis_mm: float) -> Array:
    inside = np.clip(1 - np.square(t / np.float32(axis_mm)), 0, None)
    return np.asarray(np.float32(radius_mm) * np.sqrt(inside), dtype=np.float32)


def _at(z: float) -> Array:
    return np.array([z], dtype=np.float32)


def _unit(angle: float) -> NDArray[np.float64]:
    return np.array([np.cos(angle), np.sin(angle)])


def _point(values: Iterable[float]) -> Point:
    x, y, z = (float(v) for v in values)
    return x, y, z
