"""The one result type: what a reconstruction is, in memory and in its folder of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.exam.volume import Volume

#: The values of `Result.observed`. Completed is what was added to the heart, or taken from it, by what anatomy says.
OBSERVED = {"not seen": 0, "acquired": 1, "interpolated": 2, "completed": 3}


@dataclass(frozen=True)
class Result:
    """A 3D (or, with several phases, 4D) heart.

    ===========  ============  ==========================================================================
    image        (P, I, J, K)  grey values in the exam's own unit, float32
    labels       (P, I, J, K)  0 background, 1 LV cavity, 2 LV myocardium, 3 RV cavity, uint8
    acquired     stack         what went in; None where a folder does not hold it (unequal spacing)
    measures     dict          volumes (mL), mass (g) and function, as in measures.json
    run          dict          how it was made, as in run.json
    observed     (P, I, J, K)  where the labels come from: `OBSERVED`, uint8; None where that was not kept
    uncertainty  (P, I, J, K)  how likely each label is to be another, in percent, uint8; None where not asked for
    drawn        images        mean and SD (P, I, J, K) of images from other noise, float32; None where not asked for
    views        pictures      long-axis views in these phases and in the frame of the image; plane by plane
    ===========  ============  ==========================================================================
    """

    image: Volume
    labels: Volume
    acquired: SliceStack | None
    measures: dict[str, Any]
    run: dict[str, Any]
    observed: Volume | None = field(default=None, kw_only=True)
    uncertainty: Volume | None = field(default=None, kw_only=True)
    drawn: tuple[Volume, Volume] | None = field(default=None, kw_only=True)
    views: tuple[View, ...] = field(default=(), kw_only=True)

    @property
    def mirrored(self) -> bool:
        """Whether the files' frame, as far as the picture tells, shows a mirror image of the heart."""
        return bool(self.run.get("heart", {}).get("mirrored_geometry"))

    @property
    def unmirrored(self) -> bool:
        """Whether it was written in a frame of its own, because the files' frame mirrors the heart."""
        return bool(self.run.get("heart", {}).get("unmirrored"))

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases' names, in the order of the arrays."""
        return tuple(str(phase) for phase in self.run["phases"])
