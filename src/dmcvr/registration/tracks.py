"""The tracks of a heart through its slices: centres of its structures, and grey values slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.geometry.breath_hold import BreathHolds
from dmcvr.geometry.locate import Region
from dmcvr.geometry.smooth_axis import Track
from dmcvr.registration.crossings import crossings
from dmcvr.registration.translation import translations

Array = NDArray[np.float64]

#: A structure counts where it has this area, and this share of its largest: towards its end the centre is anywhere.
LEAST_MM2 = 150.0
LEAST_SHARE = 0.2

#: The smallest cross-sections are taken for this many times less sure (variance) than the largest.
MOST_DOUBT = 8.0

#: Grey values count within the heart and this far around it (mm); the chest does not move with it.
AROUND_MM, FADE_MM = 6.0, 1.5

#: Lines in which views cut the slices are read where the slices are thought to lie, then where they are found to lie.
VIEW_ROUNDS = 2

#: Kept around the heart for the search, in mm.
MARGIN_MM = 24.0


def find_breath_holds(
    stack: SliceStack, region: Region, labels: UInt8[np.ndarray, "P N S S"], views: Sequence[View] = ()
) -> BreathHolds:
    """Where each slice's heart lies, by all phases' grey values and labels, and by long-axis views if there are any."""
    frame, positions = region.located.frame, stack.positions_mm
    tracks = find_tracks(region.images, labels, frame.pixel_mm)
    holds = BreathHolds.of(tracks, (), positions, frame)
    heart = np.asarray((labels > 0).any(axis=0))
    for _ in range(VIEW_ROUNDS if views else 0):
        near = holds.found_mm
        lines = crossings(views, region.images, stack.phases, heart, frame, positions, stack.normal, near)
        holds = BreathHolds.of(tracks, lines, positions, frame)
    return holds


def find_tracks(
    images: Float32[np.ndarray, "P N S S"], labels: UInt8[np.ndarray, "P N S S"], pixel_mm: float
) -> list[Track]:
    """The tracks of what is seen in three slices at least; images (P, N, S, S) on one grid."""
    masks = {"cavity": labels == 1, "whole": (labels == 1) | (labels == 2), "right": labels == 3}
    centres = {name: _centres(mask, pixel_mm) for name, mask in masks.items()}
    tracks = [_track(name, np.diff(place, axis=1), area) for name, (place, area) in centres.items()]
    tracks.append(_track("grey", _beside(images, labels > 0, centres["whole"][0], pixel_mm), None))
    return [track for track in tracks if track is not None]


def _centres(masks: NDArray[np.bool_], pixel_mm: float) -> tuple[Array, Array]:
    """(P, N, 2) centroids in mm, not a number where there is too little, and (P, N) areas in mm2."""
    area = masks.sum(axis=(2, 3)) * pixel_mm**2
    rows, columns = (masks.sum(axis=axis) @ np.arange(masks.shape[2]) for axis in (3, 2))
    enough = area > np.maximum(LEAST_MM2, LEAST_SHARE * area.max(axis=1, keepdims=True))
    count = np.where(enough, area / pixel_mm**2, np.nan)[..., None]
    return np.stack([rows, columns], axis=-1) / count * pixel_mm, np.where(enough, area, 0.0)


def _beside(images: NDArray[np.float32], heart: NDArray[np.bool_], centres: Array, pixel_mm: float) -> Array:
    """(P, N - 1, 2) how far the next slice's heart lies beside each slice's, in mm, by grey values."""
    moved = np.full((*images.shape[:1], images.shape[1] - 1, 2), np.nan)
    start = np.diff(centres, axis=1)
    pairs = np.argwhere(np.isfinite(start).all(axis=2))
    if len(pairs) == 0:
        return moved
    box = _box(heart, pixel_mm)
    near = images[box]
    weights = [_closeness(heart[box][p, n], pixel_mm) for p, n in pairs]
    p, n = pairs.T
    found = translations(near[p, n], near[p, n + 1], np.stack(weights), start[p, n] / pixel_mm)
    moved[p, n] = found * pixel_mm
    return moved


def _box(heart: NDArray[np.bool_], pixel_mm: float) -> tuple[slice, ...]:
    """All phases and slices, cropped around the heart of all."""
    margin = int(np.ceil(MARGIN_MM / pixel_mm))
    bounds = [np.flatnonzero(heart.any(axis=tuple({0, 1, 2, 3} - {axis}))) for axis in (2, 3)]
    inside = (slice(max(0, int(seen[0]) - margin), int(seen[-1]) + margin + 1) for seen in bounds)
    return slice(None), slice(None), *inside


def _closeness(heart: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.float32]:
    """1 within the heart, fading out around it."""
    away = ndimage.distance_transform_edt(~heart) * pixel_mm
    return np.asarray(1 / (1 + np.exp((away - AROUND_MM) / FADE_MM)), dtype=np.float32)


def _track(name: str, beside: Array, area: Array | None) -> Track | None:
    """From (P, N - 1, 2) steps to the next slice, in mm: their median over the phases, summed along the longest run."""
    known = np.isfinite(beside).all(axis=2)
    seen = known.any(axis=0)
    runs, count = ndimage.label(seen)
    if count == 0:
        return None
    run = np.flatnonzero(runs == 1 + np.argmax(np.bincount(runs)[1:]))
    if len(run) < 2:
        return None
    slices = np.append(run, run[-1] + 1)
    place = np.concatenate([np.zeros((1, 2)), np.cumsum(np.nanmedian(beside[:, run], axis=0), axis=0)])
    doubt = np.ones(len(slices))
    if area is not None:
        largest = area.max(axis=0)[slices]
        doubt = np.clip(largest.max() / np.maximum(largest, 1e-6), 1, MOST_DOUBT)
    return Track(name, slices, place, doubt)
