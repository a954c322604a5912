"""Sizes and places that no heart fits: another element of the header that says a plausible one is believed instead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.io.dicom.grid import Grid
from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.runs import SAME_PLACE_MM

#: Width of a picture that shows a heart, be it a cropped one.
FIELD_MM = (30.0, 700.0)

#: Size of a pixel that shows a heart.
PIXEL_MM = (0.3, 5.0)

#: Distance between neighbouring slices of a stack.
APART_MM = (1.0, 45.0)

#: From the first slice of a stack to the last.
REACH_MM = (10.0, 300.0)

#: Slices of a stack.
MAX_SLICES = 120

#: A thicker slice is no slice.
MAX_THICKNESS_MM = 30.0


def mended(frames: list[DicomFrame], notes: list[str]) -> list[DicomFrame]:
    """The frames, series by series, with what no heart fits replaced by what another element says; notes say it."""
    series: dict[tuple[object, ...], list[DicomFrame]] = defaultdict(list)
    for frame in frames:
        series[frame.study, frame.series, frame.series_number, frame.shape].append(frame)
    told: dict[str, None] = {}
    found: list[DicomFrame] = []
    for members in series.values():
        for mend in (_pixels, _places, _thickness):
            members, note = mend(members)
            if note:
                told[note] = None
        found += members
    notes += told
    return found


def check_stack(grid: Grid, places_mm: Sequence[float]) -> None:
    """Raise `InputError` for a stack that no heart fits: its pixels, field of view, slices or gaps."""
    pixel, width = grid.frame.pixel_mm, _field(grid.frame)
    apart = float(np.median(np.diff(sorted(places_mm)))) if len(places_mm) > 1 else 0.0
    reach = float(np.ptp(places_mm))
    wrong = ""
    if not all(PIXEL_MM[0] <= size <= PIXEL_MM[1] for size in pixel):
        wrong = f"pixels of {pixel[0]:.3g} x {pixel[1]:.3g} mm"
    elif not FIELD_MM[0] <= width <= FIELD_MM[1]:
        wrong = f"pictures {width:.0f} mm wide"
    elif not APART_MM[0] <= apart <= APART_MM[1]:
        wrong = f"slices {apart:.3g} mm apart"
    elif not REACH_MM[0] <= reach <= REACH_MM[1]:
        wrong = f"a stack {reach:.0f} mm long"
    elif len(places_mm) > MAX_SLICES:
        wrong = f"{len(places_mm)} slices"
    if wrong:
        raise InputError(
            f"No heart fits what the headers of series say: {wrong}, and no other element says better. Export the "
            "exam again, or choose another stack (--series)."
        )


def _field(frame: DicomFrame) -> float:
    return max(size * count for size, count in zip(frame.pixel_mm, frame.shape, strict=True))


def has_plausible_pixels(frame: DicomFrame) -> bool:
    """Whether pixels and field of view are of sizes that show a heart."""
    sizes = all(PIXEL_MM[0] <= size <= PIXEL_MM[1] for size in frame.pixel_mm)
    return sizes and FIELD_MM[0] <= _field(frame) <= FIELD_MM[1]


def _pixels(frames: list[DicomFrame]) -> tuple[list[DicomFrame], str]:
    """Pixels of the size that the field of view tells, where the pixel spacing is no heart's."""
    first = frames[0]
    if has_plausible_pixels(first) or first.field_mm is None:
        return frames, ""
    size = first.field_mm / max(first.shape)
    if not PIXEL_MM[0] <= size <= PIXEL_MM[1] or not FIELD_MM[0] <= first.field_mm <= FIELD_MM[1]:
        return frames, ""
    scaled = []
    for frame in frames:
        affine = frame.affine.copy()
        for k in (0, 1):
            affine[:3, k] *= size / frame.pixel_mm[k]
        scaled.append(replace(frame, affine=affine, pixel_mm=(size, size)))
    was = " x ".join(f"{value:.3g}" for value in first.pixel_mm)
    return scaled, f"Pixels of {was} mm fit no heart: {size:.3g} mm was taken, as the field of view says."


def _places(frames: list[DicomFrame]) -> tuple[list[DicomFrame], str]:
    """Places by another element, where the image positions put all slices of a stack at one place or in a heap."""
    normal = frames[0].normal
    heights = np.array([frame.affine[:3, 3] @ normal for frame in frames])
    if len(frames) < 2 or not _is_heap(heights):
        return frames, ""
    own = [frame.other_corner for frame in frames]
    if all(corner is not None for corner in own):
        corners = np.array(own)
        if _is_stack(corners @ normal, len(frames)):
            text = "the vendor's own element was believed."
            return [_at(f, c) for f, c in zip(frames, corners, strict=True)], _heap(heights) + text
    locations = np.array([np.nan if f.location_mm is None else f.location_mm for f in frames])
    if np.isfinite(locations).all() and _is_stack(locations, len(frames)):
        moved = [
            _at(f, f.affine[:3, 3] + (at - height) * normal + (heights[0] - locations[0]) * normal)
            for f, at, height in zip(frames, locations, heights, strict=True)
        ]
        return moved, _heap(heights) + "the slice locations were believed. Check the order of the slices."
    return frames, ""


def _heap(heights: NDArray[np.float64]) -> str:
    return f"The image positions put all slices within {np.ptp(heights):.1f} mm: "


def _is_heap(heights: NDArray[np.float64]) -> bool:
    """Whether places lie closer than slices of a heart: all at one, or several much too near."""
    places = _merged(heights)
    return len(places) == 1 or float(np.median(np.diff(places))) < APART_MM[0]


def _merged(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places along a line, ascending; those of one slice, which may differ a little, once."""
    ordered = np.sort(heights)
    return ordered[np.concatenate([[True], np.diff(ordered) > SAME_PLACE_MM])]


def _is_stack(heights: NDArray[np.float64], count: int) -> bool:
    """Whether places along a line are those of a stack: at least three, apart and in all as a heart needs."""
    places = _merged(heights)
    return (
        3 <= len(places) <= min(MAX_SLICES, max(3, count))
        and APART_MM[0] <= float(np.median(np.diff(places))) <= APART_MM[1]
        and REACH_MM[0] <= float(np.ptp(places)) <= REACH_MM[1]
    )


def _at(frame: DicomFrame, corner: NDArray[np.float64]) -> DicomFrame:
    affine = frame.affine.copy()
    affine[:3, 3] = corner
    return replace(frame, affine=affine)


def _thickness(frames: list[DicomFrame]) -> tuple[list[DicomFrame], str]:
    """The distance between slices as their thickness, where the header's thickness is none."""
    first = frames[0]
    if first.thickness_mm is None or 0.5 <= first.thickness_mm <= MAX_THICKNESS_MM:
        return frames, ""
    apart = first.apart_mm if first.apart_mm is not None and 0.5 <= first.apart_mm <= MAX_THICKNESS_MM else None
    said = "no thickness was taken from it." if apart is None else f"{apart:.3g} mm was taken, the slices' spacing."
    return [
        replace(f, thickness_mm=apart) for f in frames
    ], f"A slice {first.thickness_mm:.3g} mm thick is none: {said}"
