"""Long-axis views beside a stack: which can be used, which picture shows which of its phases, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from dmcvr.errors import InputError
from dmcvr.exam.view import UNKNOWN_VIEW, View, misplaced, numbered
from dmcvr.io.dicom.geometry import has_plausible_pixels
from dmcvr.io.dicom.phases import InPhase, frames_in_beat
from dmcvr.io.dicom.pixels import read_pixels, smoothest
from dmcvr.io.dicom.runs import Run
from dmcvr.io.dicom.stacks import Stack
from dmcvr.io.dicom.views import LongAxisView, find_long_axis
from dmcvr.io.exam import LongAxis
from dmcvr.io.long_axis import same_plane


@dataclass(frozen=True, eq=False)
class Matched:
    """A long-axis view beside a stack.

    =======  ====  ================================================================
    view
    frames   (P,)  for each phase of the stack which of the view's; -1 for none
    why_not        why it cannot be used; "" where it can
    =======  ====  ================================================================
    """

    view: LongAxisView
    frames: Int[np.ndarray, " P"]
    why_not: str

    @property
    def phases(self) -> int:
        """How many of the stack's phases have a picture."""
        return 0 if self.why_not else int(np.count_nonzero(self.frames >= 0))


def match_views(
    runs: list[Run], chosen: Stack, phased: InPhase, affines: Float64[np.ndarray, "N 4 4"]
) -> tuple[Matched, ...]:
    """The long-axis views among runs, for a stack whose slices lie so; by headers alone."""
    found = []
    for view in find_long_axis(runs, chosen.grid.normal):
        frames = frames_in_beat(view.take, phased)
        why = _why_not(view, chosen, affines)
        if not why and not (frames >= 0).any():
            why = "none of its pictures is near one of the stack in the heartbeat"
        found.append(Matched(view, frames, why))
    return tuple(found)


def _why_not(view: LongAxisView, chosen: Stack, affines: Float64[np.ndarray, "N 4 4"]) -> str:
    run, stack = view.run, chosen.runs[0]
    if (run.first.study, run.first.patient) != (stack.first.study, stack.first.patient):
        return "it is of another study"
    if not run.same_exam(stack):
        return "it is in another frame of reference, so that its place cannot be compared"
    if run.technique:
        return f"its description reads as {run.technique}"
    if not has_plausible_pixels(run.first):
        return "no heart fits its pixels"
    if not same_plane([frame.affine for frame in view.frames], [frame.shape for frame in view.frames]):
        return "its headers put pictures of one heartbeat at different places"
    return misplaced(view.affine, run.first.shape, affines, chosen.grid.frame.shape)


def planes_of_views(views: Sequence[Matched]) -> tuple[LongAxis, ...]:
    """Those that can be used, not read yet."""
    used = [matched for matched in views if matched.phases]
    names = numbered([matched.view.view or UNKNOWN_VIEW for matched in used])
    return tuple(_plane(name, matched) for name, matched in zip(names, used, strict=True))


def _plane(name: str, matched: Matched) -> LongAxis:
    view, series = matched.view, matched.view.run.label

    def load(phases: Sequence[str]) -> tuple[View, ...]:
        wanted = {phase: int(phase) for phase in phases if phase.isdecimal() and int(phase) < len(matched.frames)}
        shown = {phase: int(matched.frames[number]) for phase, number in wanted.items()}
        shown = {phase: frame for phase, frame in shown.items() if frame >= 0}
        others = view.take.others
        needed = range(len(view.frames)) if others else sorted(set(shown.values()))
        pixels = read_pixels([view.frames[k] for k in needed])
        pictures = {k: pixels[view.frames[k].path, view.frames[k].index] for k in needed}
        order = smoothest(list(pictures.values()), others)[1] if others else None
        thickness = view.take.first.thickness_mm
        found = []
        for phase, frame in shown.items():
            image = pictures[frame if order is None else order[frame]]
            if not np.isfinite(image).all() or image.min() == image.max():
                raise InputError("a picture of it is empty.")
            found.append(View(name, phase, image, view.affine, thickness_mm=thickness, series=series))
        return tuple(found)

    return LongAxis(name, series, load)
