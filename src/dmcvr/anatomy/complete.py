"""Close what was filled between the slices: an apex under a cap of muscle, a base that ends at its valves.

The acquired slices keep their labels. Between two slices that show a structure whole, the method's scores stay as they
are; beyond the last that shows it, and where a valve cuts it, the anatomy decides. Long-axis views tell the anatomy
where apex and valves are, and move the borders between and beyond the slices to where they show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8
from scipy import ndimage

from dmcvr.anatomy import apex, base
from dmcvr.anatomy.heartbeat import smooth, steady
from dmcvr.anatomy.outlines import LEAST_MM, Believed, Lattice, Surface, Told, moved_mm
from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE, Sections
from dmcvr.anatomy.seen import Prior, Seen, Slices, see
from dmcvr.exam.view import View
from dmcvr.geometry.plan import Plan, blend
from dmcvr.labels.base import base_is_first
from dmcvr.labels.distances import margins, scores_of, signed_distances
from dmcvr.labels.segment import SegmentViews

#: From phase to phase the apex moves so far (mm, SD); over a heartbeat the base so far.
APEX_STEP_MM, BASE_EXCURSION_MM = 0.7, 12.0

#: Steps (mm) at which the short axis alone is filled, to be compared with views.
PRIOR_STEP_MM = 2.5

#: Where views show the base, to within this (mm, SD).
SEEN_BASE_SD_MM = 1.5

#: Farther (mm) than this from the heart nothing is moved, and not more often than this.
AROUND_MM, ROUNDS = 26.0, 2

#: A dense slice so near (mm) to an acquired one is that one.
SAME_MM = 0.05


@dataclass(frozen=True)
class Ends:
    """Where one phase's structures end.

    ========  ==================================================================================================
    sections  the acquired slices
    tips      by structure: towards the apex
    sheets    by structure (WHOLE, with the cavity; RIGHT): towards the base, and the mean depth of each top part
    ========  ==================================================================================================
    """

    sections: Sections
    tips: dict[int, tuple[apex.Tip, float]]
    sheets: dict[int, tuple[base.Sheet, float]]


@dataclass(frozen=True)
class Completed:
    """One phase's scores on a dense grid.

    =========  ============  ====================================================================
    scores     (M, 4, S, S)  float32, continuous; the largest of the four is the label
    completed  (M, S, S)     bool: heart that was added, or taken away, by what the anatomy says
    =========  ============  ====================================================================
    """

    scores: Float32[np.ndarray, "M 4 S S"]
    completed: Bool[np.ndarray, "M S S"]


@dataclass(frozen=True)
class Anatomy:
    """Where an exam's ventricles end, in every phase.

    ======  =================================================================
    ends    P of them
    sign    1 where positions along the stack's normal grow from base to apex
    seen    by long-axis views; None without any
    slices  that the views were compared with
    ======  =================================================================
    """

    ends: tuple[Ends, ...]
    sign: int
    seen: Seen | None = None
    slices: Slices | None = None

    @classmethod
    def of(
        cls, labels: UInt8[np.ndarray, "P N S S"], positions_mm: Float64[np.ndarray, " N"], pixel_mm: float
    ) -> Anatomy:
        """From the labels (P, N, S, S) of slices at these positions along the stack's normal."""
        return cls._found(labels, positions_mm, pixel_mm, None, None)

    def with_views(
        self, views: Sequence[View], phases: Sequence[str], slices: Slices, segment: SegmentViews
    ) -> Anatomy:
        """The same, and what long-axis views of these phases show, labelled by a network; `slices` are those that this
        anatomy was found in."""
        seen = see(views, phases, slices, self._prior(slices), segment)
        if not seen.planes:
            return replace(self, seen=seen, slices=slices)
        return self._found(slices.labels, slices.positions_mm, slices.frame.pixel_mm, seen, slices)

    @classmethod
    def _found(
        cls,
        labels: UInt8[np.ndarray, "P N S S"],
        positions_mm: Float64[np.ndarray, " N"],
        pixel_mm: float,
        seen: Seen | None,
        slices: Slices | None,
    ) -> Anatomy:
        sign = 1 if base_is_first(labels) else -1
        phases = [Sections.of(phase, sign * positions_mm, pixel_mm) for phase in labels]
        tips: list[dict[int, tuple[apex.Tip, float]]] = [{} for _ in phases]
        sheets: list[dict[int, tuple[base.Sheet, float]]] = [{} for _ in phases]
        for structure in (WHOLE, CAVITY, RIGHT):
            found = {p: tip for p, s in enumerate(phases) if (tip := apex.find_tip(s, structure)) is not None}
            if seen is not None and slices is not None:
                axis, beside = sign * slices.normal, structure == RIGHT
                found = {p: _tip_seen(tip, seen.tip_mm(p, structure, axis), beside=beside) for p, tip in found.items()}
            for (p, tip), depth in zip(found.items(), _tip_depths(found), strict=True):
                tips[p][structure] = (tip, depth)
        for structure in (WHOLE, RIGHT):
            ends = {p: end for p, s in enumerate(phases) if (end := base.find_sheet(s, structure)) is not None}
            if seen is not None and slices is not None and structure == WHOLE:
                ends = {p: _sheet_seen(end, phases[p], p, seen, slices, sign) for p, end in ends.items()}
            for (p, end), depth in zip(ends.items(), _sheet_depths(ends), strict=True):
                sheets[p][structure] = (end, depth)
        every = (Ends(s, _under_a_cap(s, tip), sheet) for s, tip, sheet in zip(phases, tips, sheets, strict=True))
        return cls(tuple(every), sign, seen, slices)

    def base_seen(self, phases: Iterable[int]) -> bool:
        """Whether long-axis views show the left ventricle's base in all of these phases."""
        if self.seen is None or self.slices is None:
            return False
        axis = self.sign * self.slices.normal
        return all(self.seen.tops(phase, axis) is not None for phase in phases)

    @property
    def reach_mm(self) -> tuple[float, float] | None:
        """The least and the greatest position along the stack's normal that hearts reach; None without any."""
        depths = [d for e in self.ends for _, d in (*e.tips.values(), *e.sheets.values())]
        if self.seen is not None and self.slices is not None and depths:
            depths += (self.sign * self.slices.normal @ self.seen.reach).tolist()
        return None if not depths else (min(self.sign * d for d in depths), max(self.sign * d for d in depths))

    def complete(
        self, scores: Float32[np.ndarray, "M 4 S S"], positions_mm: Float64[np.ndarray, " M"], phase: int
    ) -> Completed:
        """One phase's scores (M, 4, S, S) at these positions along the normal, which may lie beyond the stack."""
        ends = self.ends[phase]
        depth = self.sign * positions_mm
        near = np.abs(depth[:, None] - ends.sections.depth_mm).min(axis=1) <= SAME_MM
        out, completed = scores.copy(), np.zeros((len(depth), *scores.shape[2:]), dtype=bool)
        fields = _fields(ends, depth, ~near)
        touched = np.flatnonzero(np.any([use for use, _ in fields.values()] or [~near & near], axis=0))
        if len(touched) > 0:
            parts = margins(np.moveaxis(scores[touched], 1, 0))
            for structure, (use, field) in fields.items():
                parts[structure, use[touched]] = field
            out[touched] = _whole(parts)
        if self.seen is not None and self.seen.planes:
            out = self._as_seen(out, positions_mm, phase)
        if len(touched) > 0:
            before, after = (part[touched].argmax(axis=1) for part in (scores, out))
            beyond = (depth < ends.sections.depth_mm[0]) | (depth > ends.sections.depth_mm[-1])
            added = np.any([_added(use, field, touched) for use, field in fields.values()], axis=0)
            completed[touched] = (after != before) | ((after > 0) & (added | beyond[touched, None, None]))
        return Completed(out, completed)

    def _as_seen(
        self, scores: Float32[np.ndarray, "M 4 S S"], positions_mm: Float64[np.ndarray, " M"], phase: int
    ) -> Float32[np.ndarray, "M 4 S S"]:
        """Scores whose borders are where views show them, as far as slices let them move."""
        assert self.seen is not None
        assert self.slices is not None
        lattice, box = Lattice(self.slices, positions_mm), _around(scores, self.slices.frame.pixel_mm)
        if box is None:
            return scores
        parts = margins(np.moveaxis(scores, 1, 0))
        moved, ends = np.zeros(parts.shape[1:], dtype=bool), self.ends[phase]
        for structure, (tip, _) in ends.tips.items():
            sheet = ends.sheets[RIGHT if structure == RIGHT else WHOLE][0]
            believed = Believed.of(sheet.first, sheet.whole, tip.last, ends.sections.depth_mm, self.sign)
            for _ in range(ROUNDS):
                surface = Surface.of(parts[structure], lattice.step_mm, box)
                told = None if surface is None else Told.of(self.seen.planes, structure, phase, surface, lattice)
                if surface is None or told is None:
                    break
                by = moved_mm(surface, lattice, told, believed)
                for n in believed.sure:
                    by[np.abs(positions_mm - self.slices.positions_mm[n]) <= SAME_MM] = 0
                parts[structure] = surface.moved(by)
                moved |= np.abs(by) > LEAST_MM
                if not told.far:
                    break
        out = scores.copy()
        slices = moved.any(axis=(1, 2))
        out[slices] = np.where(moved[slices, None], _whole(parts[:, slices]), scores[slices])
        return out

    def _prior(self, slices: Slices) -> Prior | None:
        """What the short axis alone says: neighbours' distances interpolated, and completed."""
        reach = self.reach_mm
        if reach is None:
            return None
        low, high = (min(reach[0], slices.positions_mm[0]), max(reach[1], slices.positions_mm[-1]))
        heights = np.arange(low - PRIOR_STEP_MM, high + 2 * PRIOR_STEP_MM, PRIOR_STEP_MM)
        plan = Plan.between(slices.positions_mm, heights)
        found = [
            self.complete(scores_of(blend(signed_distances(phase), plan)), heights, p).scores
            for p, phase in enumerate(slices.labels)
        ]
        affine = slices.frame.affine_at(float(heights[0]), slices.normal)
        affine[:3, 2] *= PRIOR_STEP_MM
        return Prior.of(np.moveaxis(np.stack(found), 1, 4), affine, self.sign * slices.normal)


def _whole(parts: Float32[np.ndarray, "3 T S S"]) -> Float32[np.ndarray, "T 4 S S"]:
    """Scores of margins: the cavity lies within the left ventricle, the right one beside it."""
    cavity, whole, right = parts[CAVITY], parts[WHOLE], parts[RIGHT]
    return scores_of(np.stack([np.maximum(cavity, whole), whole, np.maximum(right, -whole)], axis=1))


def _around(scores: Float32[np.ndarray, "M 4 S S"], pixel_mm: float) -> tuple[slice, slice] | None:
    """The part of the slices that holds heart, and what is near it."""
    heart = (scores.argmax(axis=1) > 0).any(axis=0)
    if not heart.any():
        return None
    margin = round(AROUND_MM / pixel_mm)
    a, b = ndimage.find_objects(heart.astype(np.int8))[0]
    return slice(max(a.start - margin, 0), a.stop + margin), slice(max(b.start - margin, 0), b.stop + margin)


def _tip_seen(tip: apex.Tip, seen: tuple[float, float] | None, *, beside: bool) -> apex.Tip:
    """Where slices and views together say that a structure ends; planes that may lie beside its tip say how deep it
    reaches at least."""
    if seen is None or (beside and seen[0] < tip.depth_mm):
        return tip
    depth, sd = _together((tip.depth_mm, tip.sd_mm), seen)
    return replace(tip, depth_mm=float(np.clip(depth, tip.low_mm, tip.high_mm)), sd_mm=sd)


def _sheet_seen(sheet: base.Sheet, sections: Sections, phase: int, seen: Seen, slices: Slices, sign: int) -> base.Sheet:
    """Where slices and views together say that the left ventricle ends."""
    tops = seen.tops(phase, sign * slices.normal)
    if tops is None:
        return sheet
    points, depth = tops
    to_frame = np.linalg.inv(slices.affine)
    place = to_frame[:2, :3] @ points + to_frame[:2, 3:]
    expected = ndimage.map_coordinates(base.heights(sections, sheet, sheet.height_mm), place, order=1, mode="nearest")
    lower = float(np.median(depth - expected))
    height, sd = _together((sheet.height_mm, sheet.sd_mm), (sheet.height_mm + lower, SEEN_BASE_SD_MM))
    return replace(sheet, height_mm=float(np.clip(height, sheet.low_mm, sheet.high_mm)), sd_mm=sd)


def _together(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Mean and SD of two estimates with theirs."""
    (a, sd_a), (b, sd_b) = one, other
    weight = sd_a**2 / (sd_a**2 + sd_b**2)
    return a + weight * (b - a), sd_b * float(np.sqrt(weight))


def _added(
    use: Bool[np.ndarray, " M"], field: Float32[np.ndarray, "K S S"], touched: Int[np.ndarray, " T"]
) -> Bool[np.ndarray, "T S S"]:
    """Where a completed structure lies, in the slices that were touched."""
    found = np.zeros((len(touched), *field.shape[1:]), dtype=bool)
    found[use[touched]] = field < 0
    return found


def _fields(
    ends: Ends, depth: Float64[np.ndarray, " M"], free: Bool[np.ndarray, " M"]
) -> dict[int, tuple[Bool[np.ndarray, " M"], Float32[np.ndarray, "K S S"]]]:
    """By structure: the dense slices in which the anatomy decides, and the signed distances (K, S, S) there."""
    found = {}
    sheets = {s: (sheet, base.heights(ends.sections, sheet, top)) for s, (sheet, top) in ends.sheets.items()}
    for structure, (tip, tip_mm) in ends.tips.items():
        use = free & (depth > ends.sections.depth_mm[tip.last])
        field = np.zeros((len(depth), *ends.sections.fields.shape[2:]), dtype=np.float32)
        if use.any():
            field[use] = apex.beyond(ends.sections, structure, tip.last, tip_mm, depth[use])
        sheet, height = sheets[RIGHT if structure == RIGHT else WHOLE]
        basal = free & (depth < ends.sections.depth_mm[sheet.whole])
        field[basal] = base.above(ends.sections, sheet, structure, height, depth[basal])
        found[structure] = (use | basal, field[use | basal])
    return found


def _tip_depths(found: dict[int, apex.Tip]) -> Float64[np.ndarray, " P"]:
    tips = found.values()
    numbers = (np.array([getattr(t, key) for t in tips]) for key in ("depth_mm", "sd_mm", "low_mm", "high_mm"))
    return steady(*numbers, step_mm=APEX_STEP_MM) if found else np.empty(0)


def _sheet_depths(found: dict[int, base.Sheet]) -> Float64[np.ndarray, " P"]:
    sheets = found.values()
    numbers = (np.array([getattr(s, key) for s in sheets]) for key in ("height_mm", "sd_mm", "low_mm", "high_mm"))
    return smooth(*numbers, excursion_mm=BASE_EXCURSION_MM) if found else np.empty(0)


def _under_a_cap(sections: Sections, tips: dict[int, tuple[apex.Tip, float]]) -> dict[int, tuple[apex.Tip, float]]:
    """The cavity ends under a cap of myocardium: it gives way where the slices let it, else the cap moves out."""
    if CAVITY not in tips or WHOLE not in tips:
        return tips
    (cavity, inner), (whole, outer) = tips[CAVITY], tips[WHOLE]
    cap = apex.cap_mm(sections)
    inner = max(min(inner, outer - cap), cavity.low_mm)
    outer = max(outer, inner + apex.LEAST_CAP_MM)
    return tips | {CAVITY: (cavity, inner), WHOLE: (whole, outer)}
