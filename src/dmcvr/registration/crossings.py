"""Where long-axis views cut the slices: along the line that both planes share, both show the same heart.

A view was taken in one breath-hold, its own. What is found along a line is how far the slice's heart lies beside the
view's, along that line; the view's own place is a constant that all its lines share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.exam.view import View, planes_of
from dmcvr.geometry.breath_hold import Crossing
from dmcvr.geometry.region import Frame

Array = NDArray[np.float64]

#: Samples along a line, in mm, over so many to either side of the slices' centre.
STEP_MM = 0.5
HALF_MM = 80.0

#: The slice's heart is looked for this far along the line, and the view's own this far beside its plane and along the
#: stack.
REACH_MM = 12.0
OFF_MM = np.arange(-6.0, 6.1, 2.0)

#: Of the line, the part within this distance of the slice's heart counts; less heart than this is none.
MARGIN_MM = 10.0
LEAST_MM = 15.0

#: Planes that meet at a smaller angle have no sharp line.
LEAST_ANGLE_DEG = 45.0

#: Length of line that tells one thing, and the standard deviation (mm) that a place has at least.
GRAIN_MM = 5.0
SUREST_MM = 0.4


@dataclass(frozen=True)
class _Plane:
    """One long-axis plane and its pictures of some phases, in the order of their indices in the stack."""

    name: str
    affine: Array
    phases: list[int]
    pictures: list[NDArray[np.float32]]


def crossings(
    views: Sequence[View],
    images: Float32[np.ndarray, "P N S S"],
    phases: Sequence[str],
    heart: Bool[np.ndarray, "N S S"],
    frame: Frame,
    positions_mm: Float64[np.ndarray, " N"],
    normal: Float64[np.ndarray, " 3"],
    near_mm: Float64[np.ndarray, "N 2"],
) -> list[Crossing]:
    """What each view says of the slices on the frame's grid, whose shifts are about `near_mm`.

    Pictures of phases that the stack does not have, and planes that hardly cross the heart, say nothing.
    """
    found = [
        _crossing(plane, images[plane.phases], heart, frame, positions_mm, normal, near_mm)
        for plane in _planes(views, phases)
    ]
    return [crossing for crossing in found if crossing is not None]


def _planes(views: Sequence[View], phases: Sequence[str]) -> list[_Plane]:
    """The views' pictures, those of one plane together."""
    known = [view for view in views if view.phase in phases]
    return [
        _Plane(
            name,
            np.asarray(pictures[0].affine),
            [list(phases).index(view.phase) for view in pictures],
            [view.image for view in pictures],
        )
        for name, pictures in planes_of(known).items()
    ]


def _crossing(
    view: _Plane,
    images: NDArray[np.float32],
    heart: NDArray[np.bool_],
    frame: Frame,
    positions_mm: Array,
    normal: Array,
    near_mm: Array,
) -> Crossing | None:
    across = np.cross(view.affine[:3, 0], view.affine[:3, 1])
    across /= np.linalg.norm(across)
    line = np.cross(across, normal)
    if np.linalg.norm(line) < np.sin(np.deg2rad(LEAST_ANGLE_DEG)):
        return None
    line /= np.linalg.norm(line)
    side = np.cross(normal, line)  # in the slices' plane, beside the line
    direction, beside = np.array([line @ frame.u, line @ frame.v]), np.array([side @ frame.u, side @ frame.v])
    along = np.arange(-HALF_MM, HALF_MM + STEP_MM / 2, STEP_MM)
    reach = round(REACH_MM / STEP_MM)
    longer = np.arange(-HALF_MM - REACH_MM, HALF_MM + REACH_MM + STEP_MM / 2, STEP_MM)
    slices, scores = [], []
    for n, position in enumerate(positions_mm):
        centre = frame.centre + normal * (position - frame.centre @ normal)
        start = centre - side * ((across @ (centre - view.affine[:3, 3])) / (across @ side))
        origin = np.array([(start - centre) @ frame.u, (start - centre) @ frame.v]) + near_mm[n]
        window = _window(heart[n], origin, direction, along, frame)
        if window is None:
            continue
        theirs = np.stack([_of_view(view, start, line, normal, along, off) for off in OFF_MM])  # (Z, P, T)
        ours = np.stack(
            [_of_slice(images[:, n], origin + off * beside, direction, longer, frame) for off in OFF_MM]
        )  # (B, P, T + 2 reach)
        slices.append(n)
        scores.append(_correlation(theirs, ours, window, reach))
    if len(slices) < 3:
        return None
    every = np.stack(scores)  # (M, Z, B, A)
    z, b = np.unravel_index(every.max(axis=3).sum(axis=0).argmax(), (len(OFF_MM), len(OFF_MM)))
    place, sd = np.array([_peak(curve) for curve in every[:, z, b]]).T
    kept = np.isfinite(place)
    index = np.array(slices)[kept]
    if kept.sum() < 3:
        return None
    return Crossing(index, direction, place[kept] + near_mm[index] @ direction, sd[kept], view.name)


def _window(heart: NDArray[np.bool_], origin: Array, direction: Array, along: Array, frame: Frame) -> Array | None:
    """(T,) how much each place along the line counts; None where it crosses too little heart."""
    points = _pixels(origin, direction, along, frame)
    inside = ndimage.map_coordinates(heart.astype(np.float32), points, order=1, mode="constant") > 0.5
    if inside.sum() * STEP_MM < LEAST_MM:
        return None
    away = ndimage.distance_transform_edt(~inside) * STEP_MM
    return np.asarray(np.clip(1.5 - away / MARGIN_MM, 0, 1))


def _of_view(view: _Plane, start: Array, line: Array, normal: Array, along: Array, off: float) -> Array:
    """(P, T) the view along the line, moved along the stack."""
    world = start + off * normal + along[:, None] * line
    to_pixel = np.linalg.inv(view.affine)
    points = (to_pixel[:2, :3] @ world.T) + to_pixel[:2, 3:]
    found = [ndimage.map_coordinates(image, points, order=1, mode="nearest") for image in view.pictures]
    return np.stack(found).astype(np.float64)


def _of_slice(images: NDArray[np.float32], origin: Array, direction: Array, along: Array, frame: Frame) -> Array:
    points = _pixels(origin, direction, along, frame)
    found = [ndimage.map_coordinates(image, points, order=1, mode="nearest") for image in images]
    return np.stack(found).astype(np.float64)


def _pixels(origin: Array, direction: Array, along: Array, frame: Frame) -> Array:
    places = origin + along[:, None] * direction
    return np.asarray((places / frame.pixel_mm + (frame.size - 1) / 2).T)


def _correlation(theirs: Array, ours: Array, window: Array, reach: int) -> Array:
    """(Z, B, A) weighted correlation at every displacement, its mean over the phases."""
    weight = window / window.sum()
    views = np.lib.stride_tricks.sliding_window_view(ours, len(window), axis=2)  # (B, P, A, T)
    their_mean = theirs @ weight
    centred = (theirs - their_mean[..., None]) * weight  # (Z, P, T)
    spread = np.sqrt((centred * (theirs - their_mean[..., None])).sum(axis=2))  # (Z, P)
    mean = views @ weight
    variance = np.square(views) @ weight - mean**2
    product = np.einsum("zpt,bpat->zbpa", centred, views)  # the centred one makes the other's mean vanish
    scale = spread[:, None, :, None] * np.sqrt(np.clip(variance, 1e-12, None))[None]
    return np.asarray((product / np.clip(scale, 1e-9, None)).mean(axis=2))


def _peak(curve: Array) -> tuple[float, float]:
    """Where a curve of correlations is highest, and how sure that is (mm); not a number at its ends."""
    k = int(curve.argmax())
    if not 2 <= k <= len(curve) - 3:
        return np.nan, np.nan
    low, top, high = curve[k - 2], curve[k], curve[k + 2]
    bend = max((2 * top - low - high) / (2 * STEP_MM) ** 2, 1e-6)
    offset = float(np.clip((high - low) / (2 * 2 * STEP_MM) / bend, -1, 1))
    grains = 2 * HALF_MM / 2 / GRAIN_MM
    sd = np.sqrt(max(1 - top, 0.02) / bend / grains + SUREST_MM**2)
    return (k - (len(curve) - 1) / 2) * STEP_MM + offset, float(sd)
