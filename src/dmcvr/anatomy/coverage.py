"""What of the left ventricle the slices do not show: how much lies beyond the first and the last, as an estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dmcvr.anatomy.apex import beyond_ml
from dmcvr.anatomy.complete import Anatomy, Ends
from dmcvr.anatomy.sections import CAVITY, WHOLE

#: From the widest section to the base, as a share of the way from there to the apex.
BASE_SHARE = 0.54

#: A first slice at the widest place is believed to miss no more than this (mm): further off, it says nothing.
MOST_BASE_MM = 25.0


@dataclass(frozen=True)
class Coverage:
    """Of the phase that misses most; nothing is missing where a slice beyond shows that the ventricle ends.

    ============  ==============================================================================
    open_mm       width of the cavity in the last slice of the stack, as a disc of its area
    cavity_ml     of the cavity beyond that slice
    muscle_ml     of the myocardium beyond it
    base_ml       of the cavity nearer to the base than the first slice, if the LV is widest there
    completed     whether what is missing was completed
    ============  ==============================================================================
    """

    open_mm: float = 0.0
    cavity_ml: float = 0.0
    muscle_ml: float = 0.0
    base_ml: float = 0.0
    completed: bool = False

    @classmethod
    def of(cls, anatomy: Anatomy, *, completed: bool) -> Coverage:
        """Over all phases."""
        apices = [_beyond_the_last(ends) for ends in anatomy.ends]
        bases = [_before_the_first(ends) for ends in anatomy.ends]
        return cls(*max(apices, default=(0.0, 0.0, 0.0)), max(bases, default=0.0), completed)


def _beyond_the_last(ends: Ends) -> tuple[float, float, float]:
    sections = ends.sections
    if WHOLE not in ends.tips or ends.tips[WHOLE][0].shown:
        return 0.0, 0.0, 0.0
    tip, depth = ends.tips[WHOLE]
    whole = beyond_ml(sections, WHOLE, tip.last, depth)
    if CAVITY not in ends.tips or ends.tips[CAVITY][0].shown:
        return 0.0, 0.0, whole
    inner, inner_depth = ends.tips[CAVITY]
    cavity = beyond_ml(sections, CAVITY, inner.last, inner_depth)
    width = 2 * float(np.sqrt(sections.area_mm2[inner.last, CAVITY] / np.pi))
    return width, cavity, max(whole - cavity, 0.0)


def _before_the_first(ends: Ends) -> float:
    sections = ends.sections
    area = sections.area_mm2[:, CAVITY]
    if CAVITY not in ends.tips or WHOLE not in ends.sheets or area[0] == 0 or area[0] < area.max():
        return 0.0
    way = BASE_SHARE * (ends.tips[CAVITY][1] - float(sections.depth_mm[0]))
    return float(area[0]) * min(way, MOST_BASE_MM) / 1000
