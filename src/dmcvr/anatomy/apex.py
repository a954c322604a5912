"""How far a structure reaches beyond the last slice that shows it, and how it closes there.

Towards its apex a ventricle is nearly an ellipsoid: the area of its sections falls along a parabola. Where that comes
to nothing is where it ends, and the slices say between which two of them. The last section shrinks to that tip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE, Sections

#: From the widest section to the tip, over the radius of a disc of that area: LV cavity, whole LV.
USUAL_LENGTH = {CAVITY: 2.4, WHOLE: 2.05}

#: What is foreseen of the way from the last section to the tip is wrong by this share (SD), and by this much at least.
UNSURE_SHARE, UNSURE_MM = 0.2, 0.7

#: What the last sections foresee is believed up to this factor more or less than the usual proportions.
MOST_UNUSUAL = 2.5

#: Beyond the last slice of a stack a structure is continued at most so far.
FARTHEST_MM = 30.0

#: The cap of myocardium is no thinner than this, nor than this share of the last ring's wall.
LEAST_CAP_MM, CAP_SHARE = 2.5, 0.4

#: Below this scale a section is a point. Beside the left ventricle's tip a crescent moves in no further than this.
LEAST_SCALE, LEAST_BESIDE = 0.05, 0.5

#: A centre line leans at most so far (mm per mm).
MOST_LEAN = 0.3


@dataclass(frozen=True)
class Tip:
    """Where a structure ends towards the apex, in one phase.

    ==========  =========================================================================
    last        the last slice that shows it
    depth_mm    where it ends, by what its sections foresee and the slices allow
    low_mm      it reaches at least so far
    high_mm     and at most so far
    sd_mm       how unsure that is
    shown       whether a slice beyond shows that it ends
    ==========  =========================================================================
    """

    last: int
    depth_mm: float
    low_mm: float
    high_mm: float
    sd_mm: float
    shown: bool


def find_tip(sections: Sections, structure: int) -> Tip | None:
    """None where no slice shows the structure."""
    seen = sections.seen(structure)
    if len(seen) == 0:
        return None
    last = int(seen[-1])
    low, shown = float(sections.depth_mm[last]), last + 1 < len(sections.depth_mm)
    high = float(sections.depth_mm[last + 1]) if shown else low + FARTHEST_MM
    way = _foreseen_mm(sections, structure, seen)
    sd = max(UNSURE_MM, UNSURE_SHARE * way)
    if not shown:
        return Tip(last, min(low + way, high), low, high, sd, shown)
    depth, sd = _between(low + way, sd, low, high)
    return Tip(last, depth, low, high, sd, shown)


def _between(mean: float, sd: float, low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of a normal distribution that is cut off at both sides."""
    a, b = (low - mean) / sd, (high - mean) / sd
    share = float(ndtr(b) - ndtr(a))
    at_a, at_b = (float(np.exp(-x * x / 2) / np.sqrt(2 * np.pi)) for x in (a, b))
    moved = (at_a - at_b) / share
    variance = 1 + (a * at_a - b * at_b) / share - moved**2
    return mean + sd * moved, sd * float(np.sqrt(max(variance, 0.0)))


def _foreseen_mm(sections: Sections, structure: int, seen: NDArray[np.intp]) -> float:
    """From the last section to the tip: mean of what the last sections foresee and of the usual proportions."""
    area, depth = sections.area_mm2[seen, structure], sections.depth_mm[seen]
    usual = sections.gap_mm(int(seen[-1])) / 2
    if structure in USUAL_LENGTH:
        largest = float(area.max())
        length = USUAL_LENGTH[structure] * np.sqrt(largest / np.pi)
        usual = float(length * (1 - np.sqrt(1 - area[-1] / largest)))
    if len(area) < 2 or area[-1] >= area[-2]:
        return usual
    slope = (area[-2] - area[-1]) / (depth[-1] - depth[-2])
    bend = 0.0
    if len(area) > 2:
        before = (area[-3] - area[-2]) / (depth[-2] - depth[-3])
        bend = max(0.0, (slope - before) / (depth[-1] - depth[-3]))
    slope += bend * (depth[-1] - depth[-2])  # at the last section
    found = 2 * area[-1] / (slope + np.sqrt(slope**2 + 4 * bend * area[-1]))
    return float((np.clip(found, usual / MOST_UNUSUAL, usual * MOST_UNUSUAL) + usual) / 2)


def cap_mm(sections: Sections) -> float:
    """How thick the cap of myocardium is at least, by the wall of the last ring."""
    rings = sections.seen(CAVITY)
    if len(rings) == 0:
        return LEAST_CAP_MM
    cavity, whole = np.sqrt(sections.area_mm2[rings[-1], [CAVITY, WHOLE]] / np.pi)
    return max(LEAST_CAP_MM, CAP_SHARE * float(whole - cavity))


def beyond_ml(sections: Sections, structure: int, last: int, tip_mm: float) -> float:
    """How much of a structure lies beyond its last section, in mL."""
    way = max(tip_mm - float(sections.depth_mm[last]), 0.0)
    share = 1 / 2 + _fullness(sections, structure, last, way) / 6 if way > 0 else 0.0
    return float(sections.area_mm2[last, structure]) * way * share / 1000


def beyond(
    sections: Sections, structure: int, last: int, tip_mm: float, depth_mm: Float64[np.ndarray, " K"]
) -> Float32[np.ndarray, "K S S"]:
    """Signed distances (K, S, S) in mm beyond the last section.

    A left ventricle's section shrinks to a point on its centre line. A right one's, a crescent, follows the left
    ventricle's wall and grows thin.
    """
    way = max(tip_mm - float(sections.depth_mm[last]), 1e-3)
    share = np.clip((depth_mm - sections.depth_mm[last]) / way, 0, None)
    scale = np.sqrt(np.clip((1 - share) * (1 + _fullness(sections, structure, last, way) * share), 0, None))
    shrunk = _crescents if structure == RIGHT else _discs
    return shrunk(sections, structure, last, tip_mm, depth_mm, scale)


def _discs(
    sections: Sections,
    structure: int,
    last: int,
    tip_mm: float,
    depth_mm: Float64[np.ndarray, " K"],
    scale: Float64[np.ndarray, " K"],
) -> Float32[np.ndarray, "K S S"]:
    field, centre = sections.fields[last, structure], sections.centre(last, structure)
    middles = centre + np.outer(depth_mm - sections.depth_mm[last], _lean(sections, structure, last))
    return np.stack(
        [
            s * _scaled(field, s, centre, middle)
            if s > LEAST_SCALE
            else _from_point(field.shape, middle, sections.pixel_mm, depth - tip_mm)
            for s, depth, middle in zip(scale, depth_mm, middles, strict=True)
        ]
    ).astype(np.float32)


def _crescents(
    sections: Sections,
    structure: int,
    last: int,
    tip_mm: float,
    depth_mm: Float64[np.ndarray, " K"],
    scale: Float64[np.ndarray, " K"],
) -> Float32[np.ndarray, "K S S"]:
    field, radius = sections.fields[last, structure], np.sqrt(sections.area_mm2[:, WHOLE])
    left = sections.centre(last, WHOLE) if radius[last] > 0 else sections.centre(last, structure)
    beside = np.interp(depth_mm, sections.depth_mm, radius) / radius[last] if radius[last] > 0 else np.ones_like(scale)
    thinner = -float(field.min()) * (1 - scale) + np.clip(depth_mm - tip_mm, 0, None)
    nearer = np.clip(beside, LEAST_BESIDE, 1)
    return np.stack([q * _scaled(field, q, left, left) + gone for q, gone in zip(nearer, thinner, strict=True)]).astype(
        np.float32
    )


def _scaled(
    field: Float32[np.ndarray, "S S"], scale: float, centre: Float64[np.ndarray, " 2"], to: Float64[np.ndarray, " 2"]
) -> Float32[np.ndarray, "S S"]:
    """A section made smaller around its centre, which moves."""
    found = ndimage.affine_transform(field, np.full(2, 1 / scale), centre - to / scale, order=1, mode="nearest")
    return np.asarray(found, dtype=np.float32)


def _from_point(
    shape: tuple[int, ...], middle: Float64[np.ndarray, " 2"], pixel_mm: float, away_mm: float
) -> Float32[np.ndarray, "S S"]:
    """Distance in mm from a point so far above or below the plane."""
    a, b = np.ogrid[: shape[0], : shape[1]]
    across = np.hypot(a - middle[0], b - middle[1]) * pixel_mm
    return np.asarray(np.hypot(across, away_mm), dtype=np.float32)


def _fullness(sections: Sections, structure: int, last: int, way_mm: float) -> float:
    """How the area falls to the tip: 0 evenly (a paraboloid), 1 slowly first (half an ellipsoid)."""
    seen = sections.seen(structure)
    if len(seen) < 2:
        return 0.5
    before, area = sections.area_mm2[seen[-2:], structure]
    slope = (before - area) / float(np.diff(sections.depth_mm[seen[-2:]])[0])
    return float(np.clip(1 - slope * way_mm / area, 0, 1))


def _lean(sections: Sections, structure: int, last: int) -> Float64[np.ndarray, " 2"]:
    """Of the centre line at the last section, in pixels per mm."""
    seen = [n for n in sections.seen(WHOLE if structure == CAVITY else structure) if n <= last][-4:]
    if structure == RIGHT or len(seen) < 3:
        return np.zeros(2)
    centres = np.array([sections.centre(n, WHOLE) for n in seen])
    lean = np.polyfit(sections.depth_mm[seen], centres, 1)[0]
    length = float(np.linalg.norm(lean)) * sections.pixel_mm
    return np.asarray(lean * min(1.0, MOST_LEAN / max(length, 1e-9)))
