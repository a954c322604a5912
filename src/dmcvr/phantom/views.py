"""Long-axis views: where a technologist puts them, and how they are taken from the same heart as the slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.phantom.frame import Grid, HeartFrame
from dmcvr.phantom.scan import Coil, Scan, with_noise
from dmcvr.phantom.shape import HeartShape
from dmcvr.phantom.solid import Array

#: Side, pixel size and thickness of a view, as a clinical protocol has them.
VIEW_PX, VIEW_PIXEL_MM, VIEW_THICKNESS_MM = 160, 1.4, 6.0

#: Planes are put by hand: this far off (SD) in mm, and in degrees.
OFF_MM, OFF_DEG = 1.5, 3.0

#: Samples through the slice's thickness.
SAMPLES = 4

VIEWS = ("2-chamber", "3-chamber", "4-chamber", "RVOT")

#: Directions in the world (RAS+) to which the picture's first and second axis should turn.
_LEFT, _BACK, _DOWN, _FRONT = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0), (0.0, 0.57, -0.82)


@dataclass(frozen=True)
class ViewPlane:
    """A view's pixels: affine (4, 4) index (i, j, k, 1) to the heart frame in mm; the third axis is a unit normal."""

    name: str
    affine: NDArray[np.float64]

    def points(self, shift_mm: NDArray[np.float64], depth_mm: float = 0.0) -> tuple[Array, Array, Array]:
        """x, y, z (I, J, 1) in the heart frame of what each pixel shows, when the breath-hold moved it."""
        i, j = np.meshgrid(np.arange(VIEW_PX), np.arange(VIEW_PX), indexing="ij")
        back = shift_mm / VIEW_PIXEL_MM
        index = np.stack([i - back[0], j - back[1], np.full(i.shape, depth_mm), np.ones(i.shape)])
        x, y, z = np.einsum("ab,bij->aij", self.affine[:3], index).astype(np.float32)[..., None]
        return x, y, z


def view_planes(shape: HeartShape, frame: HeartFrame, rng: np.random.Generator) -> tuple[ViewPlane, ...]:
    """The planes of `VIEWS` for the heart at end-diastole; they stay where they are while it beats."""
    valves = {name: np.array(plane.point) for name, plane in shape.planes.items()}
    apices = {name: np.array(point) for name, point in shape.apices.items()}
    mitral, apex = valves["mitral"], apices["lv_epicardium"]
    axis = apex - mitral
    right = 0.5 * (valves["tricuspid"] + apices["rv_cavity"])
    four = _across(right - mitral, axis)
    three = _across(valves["aortic"] - mitral, axis)
    beside = np.cross(axis / np.linalg.norm(axis), four)
    two = beside + 0.15 * four  # clear of the right ventricle
    inflow = valves["tricuspid"] + 0.3 * (apices["rv_cavity"] - valves["tricuspid"])
    middle = 0.5 * (mitral + apex)
    outflow = np.cross(valves["pulmonary"] - inflow, 0.6 * right + 0.4 * apices["rv_cavity"] - inflow)
    planes = {
        "2-chamber": (middle, np.cross(axis, two), (_BACK, _DOWN)),
        "3-chamber": (middle, np.cross(axis, three), (_BACK, _DOWN)),
        "4-chamber": (middle, np.cross(axis, four), (_LEFT, _FRONT)),
        "RVOT": (0.5 * (valves["pulmonary"] + right), outflow, (_BACK, _DOWN)),
    }
    return tuple(ViewPlane(name, _affine(*planes[name], frame, rng)) for name in VIEWS)


def acquire_view(
    fine: Array,
    grid: Grid,
    plane: ViewPlane,
    shift_mm: NDArray[np.float64],
    coil: Coil,
    scan: Scan,
    rng: np.random.Generator,
) -> Array:
    """(I, J) the view of a fine image (I', J', K') on `grid`: the mean over its thickness, shaded, with noise."""
    start = np.array([grid.x[0], grid.y[0], grid.z[0]])[:, None]
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    slab = np.zeros((VIEW_PX, VIEW_PX), dtype=np.float32)
    for depth in steps * VIEW_THICKNESS_MM:
        points = np.stack([p.ravel() for p in plane.points(shift_mm, float(depth))])
        index = (points - start) / grid.step_mm
        slab += ndimage.map_coordinates(fine, index, order=1, mode="nearest").reshape(slab.shape) / SAMPLES
    gain = coil.gain(*plane.points(np.zeros(2)))[..., 0]
    return np.asarray(with_noise(slab, scan.noise, rng) * gain, dtype=np.float32)


def view_labels(shape: HeartShape, plane: ViewPlane, shift_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(I, J) labels in the middle of the view's thickness."""
    return shape.labels(*plane.points(shift_mm))[..., 0]


def _across(direction: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector of a direction's part across an axis."""
    across = direction - axis * (direction @ axis) / (axis @ axis)
    return np.asarray(across / np.linalg.norm(across))


def _affine(
    middle: NDArray[np.float64],
    normal: NDArray[np.float64],
    toward: tuple[tuple[float, ...], tuple[float, ...]],
    frame: HeartFrame,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    normal = normal / np.linalg.norm(normal)
    normal = normal + np.deg2rad(OFF_DEG) * rng.standard_normal(3)
    normal = normal / np.linalg.norm(normal)
    turn = np.stack([frame.u, frame.v, frame.axis])  # world to heart frame
    first = _across(turn @ np.array(toward[0]), normal)
    second = np.cross(normal, first)
    second *= np.sign(second @ (turn @ np.array(toward[1])))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first * VIEW_PIXEL_MM, second * VIEW_PIXEL_MM
    affine[:3, 2] = np.cross(first, second)
    middle = middle + OFF_MM * rng.standard_normal() * normal
    affine[:3, 3] = middle - (first + second) * VIEW_PIXEL_MM * (VIEW_PX - 1) / 2
    return affine
