"""Whether labels show a heart at all: a left ventricle, walled all round, that tapers along the stack.

A network asked where the heart is gives an answer for a brain, too. In every stack of ACDC's 100 patients and of three
other scanners the wall that it finds is closed in three slices or more and makes 91 % of the cavity's border, and the
smallest slice of the whole LV is at most 52 % of the largest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from dmcvr.labels.enclosure import ENCLOSED, enclosed_share

#: A slice shows a ring where the myocardium makes this share of the cavity's border.
RING = 0.9

#: So many slices show a ring in a heart, but for stacks as short as that.
MIN_RINGS = 2

#: Over a stack at least this long, a ventricle's area changes by more than to this share of its largest.
TAPERS_OVER_MM = 40.0
TAPERS_TO = 0.85


@dataclass(frozen=True)
class HeartSeen:
    """What labels show of a left ventricle.

    ========  =================================================================================================
    enclosed  share of the cavity's border that is myocardium, over all slices and phases
    rings     slices in which the wall is closed around the cavity; of the phase with the most
    taper     the whole LV's smallest area of any slice over its largest, over all phases; 1 for a tube
    slices    of the stack
    long_mm   from the stack's first slice to its last
    ========  =================================================================================================
    """

    enclosed: float
    rings: int
    taper: float
    slices: int
    long_mm: float

    @classmethod
    def of(cls, labels: UInt8[np.ndarray, "P N H W"], positions_mm: Float64[np.ndarray, " N"]) -> HeartSeen:
        rings = [sum(enclosed_share(slice_, 1, 2) >= RING for slice_ in phase) for phase in labels]
        areas = np.count_nonzero((labels == 1) | (labels == 2), axis=(2, 3))
        taper = float(areas.min() / areas.max()) if areas.any() else 0.0
        long_mm = float(positions_mm[-1] - positions_mm[0])
        return cls(enclosed_share(labels, 1, 2), max(rings), taper, labels.shape[1], long_mm)

    @property
    def missing(self) -> str | None:
        """What a heart would show and these labels do not, in words; None where they show one."""
        if self.rings == 0 and self.enclosed == 0:
            return "no left ventricle with a wall was found"
        if self.enclosed < ENCLOSED:
            return f"the wall found makes {100 * self.enclosed:.0f} % of the cavity's border alone"
        if self.rings < min(MIN_RINGS, self.slices - 1):
            return f"a wall closed around a cavity was found in {self.rings} of {self.slices} slices"
        if self.taper > TAPERS_TO and self.long_mm >= TAPERS_OVER_MM:
            return f"what was found is as large in each of {self.slices} slices, as no ventricle is"
        return None
