"""Where the ventricles end at their valves: a sheet over each, between the last section and the next slice without it.

Valve planes are oblique to the slices. One that cuts through a valve shows a part of the section below it, and the
edge where the rest is missing lies in the valve plane. From there the sheet rises over what the slice still shows and
falls beside it, at a valve's usual slope. Where no slice cuts a valve, its plane lies between two of them: half way, if
nothing else tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy import ndimage

from dmcvr.anatomy.sections import WHOLE, Sections
from dmcvr.labels.distances import signed_distances

#: Usual slope of a valve's plane against the slices: 17 degrees.
USUAL_SLOPE = 0.3

#: Valves cut no slice farther (mm) towards the apex than this from the first that shows left ventricle.
DEEPEST_MM = 22.0

#: A section is missing something where the next one towards the apex reaches this much (mm) deeper than its border.
DEEP_MM = 4.0

#: Less than this share of a section missing is its own shape.
CUT_SHARE = 0.04

#: Standard deviation (mm) of the sheet's mean height where a slice cuts the valve; where none does, of the gap's
#: share that an even chance has.
CUT_SD_MM, EVEN_SHARE = 1.5, 0.29

#: A valve's slope may be so much less or more than the usual one.
SLOPE_FACTORS = (0.3, 2.5)

#: Standard deviation (mm) of the blur that smooths a sheet.
SMOOTH_MM = 1.5

#: Towards the base the radius shrinks by no more than this from slice to slice.
MOST_NARROWING_MM = 3.0


@dataclass(frozen=True)
class Sheet:
    """A ventricle's end in one phase, over the gaps from the last whole section to the first slice without it.

    ==========  ============  =======================================================================
    structure                 WHOLE (the left ventricle) or RIGHT
    first                     the first slice, from the base, that shows the structure
    whole                     the first slice that no valve cuts; `first` where none is cut
    cuts        {n: (S, S)}   signed distance in mm from what is missing of slice n, negative there
    height_mm                 mean depth of the sheet's top part, the one above slice `first`
    low_mm                    that part lies no nearer to the base
    high_mm                   and no farther
    sd_mm                     how unsure that is
    shown                     whether a slice nearer to the base shows that the structure ends
    ==========  ============  =======================================================================
    """

    structure: int
    first: int
    whole: int
    cuts: dict[int, Float32[np.ndarray, "S S"]]
    height_mm: float
    low_mm: float
    high_mm: float
    sd_mm: float
    shown: bool


def find_sheet(sections: Sections, structure: int) -> Sheet | None:
    """None where no slice shows the structure."""
    seen = sections.seen(structure)
    if len(seen) == 0:
        return None
    first = int(seen[0])
    left = sections.seen(WHOLE)
    deepest = float(sections.depth_mm[left[0] if len(left) else first]) + DEEPEST_MM
    cuts: dict[int, Float32[np.ndarray, "S S"]] = {}
    for n in seen[:-1]:
        missing = _missing(sections, structure, int(n)) if sections.depth_mm[n] <= deepest else None
        if missing is None:
            break
        cuts[int(n)] = missing
    depth, shown = float(sections.depth_mm[first]), first > 0
    gap = depth - float(sections.depth_mm[first - 1]) if shown else sections.gap_mm(0)
    whole = max(cuts, default=first - 1) + 1
    rise, sd = gap / 2, EVEN_SHARE * gap
    if first in cuts and structure == WHOLE:  # the right one's outflow tract goes on
        rise, sd = float(_rise(sections, whole, cuts[first], gap)[sections.mask(first, structure)].mean()), CUT_SD_MM
    return Sheet(structure, first, whole, cuts, depth - rise, depth - gap, depth, sd, shown)


def heights(sections: Sections, sheet: Sheet, height_mm: float) -> Float64[np.ndarray, "S S"]:
    """Depth (S, S) in mm of the sheet over every pixel; the mean of its top part is moved to `height_mm`."""
    depth, first = sections.depth_mm, sheet.first
    at, gap = float(depth[first]), sheet.high_mm - sheet.low_mm
    if first in sheet.cuts and sheet.structure == WHOLE:
        steeper = np.clip((at - height_mm) / max(at - sheet.height_mm, 1e-3), *SLOPE_FACTORS)
        found = at - np.minimum(steeper * _rise(sections, sheet.whole, sheet.cuts[first], gap), gap)
    else:
        found = np.full(sections.fields.shape[2:], np.clip(height_mm, sheet.low_mm, at), dtype=np.float64)
    for n in sorted(sheet.cuts):  # what slice n lacks ends between it and the next
        falls = depth[n] - USUAL_SLOPE * sheet.cuts[n]
        if n + 1 in sheet.cuts:
            rises = depth[n + 1] - USUAL_SLOPE * sheet.cuts[n + 1]
            # A roof is below both of its planes; around an outflow tract there is a wall, which tells nothing.
            falls = np.maximum(falls, rises) if sheet.structure == WHOLE else rises
        found = np.where(sheet.cuts[n] < 0, np.clip(falls, depth[n], depth[n + 1]), found)
    return np.asarray(ndimage.gaussian_filter(found, SMOOTH_MM / sections.pixel_mm))


def whole_sections(sections: Sections, sheet: Sheet, structure: int) -> dict[int, Float32[np.ndarray, "S S"]]:
    """The sections from the whole one to the first, as they were without a valve that cuts them: (S, S) each.

    `structure` is the sheet's, or the cavity that ends at the same sheet.
    """
    found = {sheet.whole: sections.fields[sheet.whole, structure]}
    narrower = _narrowing_mm(sections, sheet)
    for n in range(sheet.whole - 1, sheet.first - 1, -1):
        completed = (found[n + 1] < -narrower) & (sheet.cuts[n] < 0)
        found[n] = _distance(sections.mask(n, structure) | completed) * np.float32(sections.pixel_mm)
    return found


def above(
    sections: Sections,
    sheet: Sheet,
    structure: int,
    height: Float64[np.ndarray, "S S"],
    depth_mm: Float64[np.ndarray, " K"],
) -> Float32[np.ndarray, "K S S"]:
    """Signed distances (K, S, S) in mm at depths nearer to the base than the last whole section."""
    walls = whole_sections(sections, sheet, structure)
    numbers = list(range(sheet.first, sheet.whole + 1))
    place = np.interp(depth_mm, sections.depth_mm[numbers], np.arange(len(numbers)))
    stacked = np.stack([walls[n] for n in numbers])
    lower = np.minimum(place.astype(int), max(0, len(numbers) - 2))
    upper = np.minimum(lower + 1, len(numbers) - 1)
    f = (place - lower)[:, None, None]
    between = (1 - f) * stacked[lower] + f * stacked[upper]
    from_sheet = (height[None] - depth_mm[:, None, None]) / np.hypot(1, USUAL_SLOPE)
    return np.asarray(np.maximum(between, from_sheet), dtype=np.float32)


def _rise(
    sections: Sections, whole: int, cut_mm: Float32[np.ndarray, "S S"], gap_mm: float
) -> Float64[np.ndarray, "S S"]:
    """How far (mm) the sheet lies above the slice, so far from the edge in which it cuts that.

    Two valves close the left ventricle like a roof, whose ridge is over the middle of the last whole section: beyond
    it the sheet falls again, half as steeply.
    """
    ridge = float(cut_mm.max()) / 2
    if sections.mask(whole, WHOLE).any():
        a, b = np.rint(sections.centre(whole, WHOLE)).astype(int)
        ridge = float(cut_mm[a, b]) if cut_mm[a, b] > 0 else ridge
    way = np.where(cut_mm > ridge, ridge - (cut_mm - ridge) / 2, cut_mm)
    return np.asarray(np.clip(USUAL_SLOPE * way, 0, gap_mm), dtype=np.float64)


def _missing(sections: Sections, structure: int, n: int) -> Float32[np.ndarray, "S S"] | None:
    """Signed distance in mm from what a section lacks of the next one towards the apex; None if nothing to speak of."""
    here, below = sections.mask(n, structure), sections.fields[n + 1, structure]
    inside = below < 0
    lacks = (below < -min(DEEP_MM, -0.5 * float(below.min()))) & ~here
    lacks = ndimage.binary_opening(lacks, iterations=max(1, round(1.5 / sections.pixel_mm)))
    if lacks.sum() * sections.pixel_mm**2 < CUT_SHARE * sections.area_mm2[n + 1, structure]:
        return None
    # Grown back to the walls and to what is there; elsewhere, the nearer of both decides.
    reach = int(np.ceil(1.5 * DEEP_MM / sections.pixel_mm))
    lacks = ndimage.binary_dilation(lacks, iterations=reach, mask=inside & ~here)
    to_lacking, to_present = (ndimage.distance_transform_edt(~part) for part in (lacks, here))
    return np.asarray((to_lacking - to_present) * sections.pixel_mm, dtype=np.float32)


def _narrowing_mm(sections: Sections, sheet: Sheet) -> float:
    """By how much the radius shrinks from one section to the next one towards the base."""
    n = sheet.whole
    if n + 1 >= len(sections.depth_mm):
        return 0.0
    below, here = np.sqrt(sections.area_mm2[[n + 1, n], sheet.structure] / np.pi)
    return float(np.clip(below - here, 0, MOST_NARROWING_MM))


def _distance(mask: Bool[np.ndarray, "S S"]) -> Float32[np.ndarray, "S S"]:
    """Signed distance in pixels, negative inside."""
    return signed_distances(mask[None].astype(np.uint8))[0, 0]
