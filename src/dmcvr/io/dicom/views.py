"""Long-axis views: which cines they are, and how each cuts the heart."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.runs import USUAL_AXIS, Run, angle_deg
from dmcvr.io.dicom.takes import Take

#: A cine whose normal is at least so far from the short axis' is a long-axis view.
LONG_AXIS_FROM_DEG = 60.0

#: More parallel slices are no view.
MAX_VIEW_SLICES = 3

#: Where each view cuts the short axis, in degrees as `cut_deg` counts them: 60 from one view to the next.
_CUTS_DEG = {"4-chamber": 5.0, "2-chamber": 65.0, "3-chamber": 125.0}

#: A description that is further from the cut than this is not believed.
BELIEVED_DEG = 40.0

_WORDS = {
    "RVOT": r"rvot|rv outflow",
    "2-chamber": r"2 ?ch|2 ?chamber|two chamber|vla",
    "3-chamber": r"3 ?ch|3 ?chamber|three chamber|lvot",
    "4-chamber": r"4 ?ch|4 ?chamber|four chamber|hla",
}


@dataclass(frozen=True, eq=False)
class LongAxisView:
    """One plane of a long-axis cine.

    ========  ========  ====================================================================
    run                 the series' run that it is of
    view                "2-chamber", "3-chamber", "4-chamber", "RVOT", or "" if unknown
    take                its pictures of one heartbeat, in order of time
    affine    (4, 4)    pixel (column, row, 0, 1) to RAS+ mm
    frames    P         in order of time
    times_ms  P         after the R wave; None if no header tells
    ========  ========  ====================================================================
    """

    run: Run
    view: str
    take: Take

    @property
    def affine(self) -> Float64[np.ndarray, "4 4"]:
        return self.take.first.affine

    @property
    def frames(self) -> tuple[DicomFrame, ...]:
        return self.take.frames

    @property
    def times_ms(self) -> tuple[float, ...] | None:
        return self.take.times_ms


def find_long_axis(runs: list[Run], normal: Float64[np.ndarray, " 3"]) -> tuple[LongAxisView, ...]:
    """The long-axis views among runs, for a short-axis stack with this normal (3,)."""
    return tuple(
        LongAxisView(run, view_of(run, normal), take)
        for run in runs
        if is_long_axis(run, normal)
        for _, take in run.positions
    )


def is_long_axis(run: Run, normal: Float64[np.ndarray, " 3"]) -> bool:
    """Whether a run is a cine of a few slices across the short axis."""
    return run.is_cine and run.slices <= MAX_VIEW_SLICES and angle_deg(run.normal, normal) > LONG_AXIS_FROM_DEG


def view_of(run: Run, normal: Float64[np.ndarray, " 3"]) -> str:
    """Which view a long-axis run is, by its cut through the short axis, whose normal (3,) is given; "" if unknown.

    A description decides between cuts that its own plane allows. The outflow of the right ventricle is known by its
    description alone: its plane cuts as a 2-chamber view does, beside the left ventricle.
    """
    angle = cut_deg(run.normal, normal)
    text = " ".join(re.findall(r"[a-z0-9]+", run.first.words))
    said = [view for view, words in _WORDS.items() if re.search(rf"\b({words})\b", text)]
    if said == ["RVOT"]:
        return "RVOT"
    away = {view: abs((angle - cut + 90) % 180 - 90) for view, cut in _CUTS_DEG.items()}
    if len(said) == 1 and away[said[0]] < BELIEVED_DEG:
        return said[0]
    view = min(away, key=lambda name: away[name])
    return view if away[view] < BELIEVED_DEG else ""


def cut_deg(plane: Float64[np.ndarray, " 3"], normal: Float64[np.ndarray, " 3"]) -> float:
    """Where a plane cuts the short axis, in [0, 180): 0 where from the patient's right to the left."""
    axis = normal * np.sign(normal @ USUAL_AXIS)  # from base to apex
    left = np.array([-1.0, 0.0, 0.0]) - (np.array([-1.0, 0.0, 0.0]) @ axis) * axis
    left /= np.linalg.norm(left)
    down = np.cross(axis, left)
    cut = np.cross(plane, axis)
    return float(np.degrees(np.arctan2(cut @ down, cut @ left)) % 180)
