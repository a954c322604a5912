"""Close what was filled between the slices: an apex under a cap of muscle, a base that ends at its valves.

The acquired slices keep their labels. Between two slices that show a structure whole, the method's scores stay as they
are; beyond the last that shows it, and where a valve cuts it, the anatomy decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8

from dmcvr.anatomy import apex, base
from dmcvr.anatomy.heartbeat import smooth, steady
from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE, Sections
from dmcvr.labels.base import base_is_first
from dmcvr.labels.distances import margins, scores_of

#: From phase to phase the apex moves so far (mm, SD); over a heartbeat the base so far.
APEX_STEP_MM, BASE_EXCURSION_MM = 0.7, 12.0

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

    =====  =================================================================
    ends   P of them
    sign   1 where positions along the stack's normal grow from base to apex
    =====  =================================================================
    """

    ends: tuple[Ends, ...]
    sign: int

    @classmethod
    def of(
        cls, labels: UInt8[np.ndarray, "P N S S"], positions_mm: Float64[np.ndarray, " N"], pixel_mm: float
    ) -> Anatomy:
        """From the labels (P, N, S, S) of slices at these positions along the stack's normal."""
        sign = 1 if base_is_first(labels) else -1
        phases = [Sections.of(phase, sign * positions_mm, pixel_mm) for phase in labels]
        tips: list[dict[int, tuple[apex.Tip, float]]] = [{} for _ in phases]
        sheets: list[dict[int, tuple[base.Sheet, float]]] = [{} for _ in phases]
        for structure in (WHOLE, CAVITY, RIGHT):
            found = {p: tip for p, s in enumerate(phases) if (tip := apex.find_tip(s, structure)) is not None}
            for (p, tip), depth in zip(found.items(), _tip_depths(found), strict=True):
                tips[p][structure] = (tip, depth)
        for structure in (WHOLE, RIGHT):
            ends = {p: end for p, s in enumerate(phases) if (end := base.find_sheet(s, structure)) is not None}
            for (p, end), depth in zip(ends.items(), _sheet_depths(ends), strict=True):
                sheets[p][structure] = (end, depth)
        every = (Ends(s, _under_a_cap(s, tip), sheet) for s, tip, sheet in zip(phases, tips, sheets, strict=True))
        return cls(tuple(every), sign)

    @property
    def reach_mm(self) -> tuple[float, float] | None:
        """The least and the greatest position along the stack's normal that hearts reach; None without any."""
        depths = [d for e in self.ends for _, d in (*e.tips.values(), *e.sheets.values())]
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
        if len(touched) == 0:
            return Completed(out, completed)
        parts = margins(np.moveaxis(scores[touched], 1, 0))
        for structure, (use, field) in fields.items():
            parts[structure, use[touched]] = field
        parts[CAVITY] = np.maximum(parts[CAVITY], parts[WHOLE])
        parts[RIGHT] = np.maximum(parts[RIGHT], -parts[WHOLE])
        out[touched] = scores_of(np.moveaxis(parts, 0, 1))
        before, after = (part[touched].argmax(axis=1) for part in (scores, out))
        beyond = (depth < ends.sections.depth_mm[0]) | (depth > ends.sections.depth_mm[-1])
        added = np.any([_added(use, field, touched) for use, field in fields.values()], axis=0)
        completed[touched] = (after != before) | ((after > 0) & (added | beyond[touched, None, None]))
        return Completed(out, completed)


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
