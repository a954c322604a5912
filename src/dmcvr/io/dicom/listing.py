"""What was found, as `dmcvr inspect` lists it: series by their numbers, and the stacks to choose from."""

from __future__ import annotations

import numpy as np

from dmcvr.exam.source import LONG_AXIS_CINE, SCOUT, SHORT_AXIS, SHORT_AXIS_CINE, Choice, Piece
from dmcvr.io.dicom.long_axis import Matched
from dmcvr.io.dicom.runs import Run, angle_deg
from dmcvr.io.dicom.stacks import SAME_VIEW_DEG, Stack
from dmcvr.io.dicom.views import is_long_axis


def piece_of(run: Run, chosen: Stack, used: set[int], views: tuple[Matched, ...]) -> Piece:
    """A run as `dmcvr inspect` lists it; `used` are the identities of the frames that the exam is made of."""
    own = [view for view in views if view.view.run is run]
    taken = sum(any(id(frame) in used for frame in take.frames) for _, take in run.positions)
    kind = _kind(run, chosen)
    why = _of_view(own) if own else _why_not(run, chosen, kind)
    if taken:
        why = f"{run.slices - taken} slices are elsewhere, or were left out" if taken < run.slices else ""
    copies = sum(take.copies for _, take in run.positions)
    left = sum(take.left for _, take in run.positions)
    if taken and copies:
        why = "; ".join(filter(None, [why, f"{copies} pictures are there twice"]))
    if taken and left:
        why = "; ".join(filter(None, [why, f"{left} pictures are of other takes or heartbeats"]))
    thicknesses = [frame.thickness_mm for frame in run.frames if frame.thickness_mm is not None]
    return Piece(
        name=f"series {run.label}" if run.first.series_number is not None else f"series {run.label} (no number)",
        kind=kind,
        slices=run.slices,
        phases=run.phases,
        pixel_mm=run.first.pixel_mm,
        spacing_mm=_apart_mm(run, chosen) if taken else run.spacing_mm and round(run.spacing_mm, 3),
        thickness_mm=round(float(np.median(thicknesses)), 3) if thicknesses else None,
        taken=taken > 0,
        why=why,
        series=run.label,
        view=own[0].view.view if own else "",
        matched=max((view.phases for view in own), default=0),
    )


def _apart_mm(run: Run, stack: Stack) -> float | None:
    """Median distance between a run's slices; of a single one, the distance to its neighbour in the stack."""
    if run.spacing_mm is not None:
        return round(run.spacing_mm, 3)
    own = [slice_.place_mm for slice_ in stack.slices if slice_.run is run]
    others = [slice_.place_mm for slice_ in stack.slices if slice_.run is not run]
    return round(min(abs(a - b) for a in own for b in others), 3) if own and others else None


def choices_of(stacks: list[Stack], chosen: Stack) -> tuple[Choice, ...]:
    """The stacks that lie as the chosen one does, that one first; of those that share most slices, the best."""
    listed = [chosen]
    for stack in stacks:
        shown = {id(slice_.take) for other in listed for slice_ in other.slices}
        new = sum(id(slice_.take) not in shown for slice_ in stack.slices)
        near = angle_deg(stack.grid.normal, chosen.grid.normal) < SAME_VIEW_DEG
        if stack is not chosen and near and new * 2 > len(stack.slices):
            listed.append(stack)
    return tuple(
        Choice(
            series=_own_label(stack, listed),
            names=names_of(stack),
            kind=SHORT_AXIS_CINE if stack.runs[0].is_cine else SHORT_AXIS,
            slices=len(stack.slices),
            phases=stack.phases,
            doubt=stack.technique,
            taken=stack is chosen,
        )
        for stack in listed
    )


def names_of(stack: Stack) -> str:
    """Its series in words: "series 300", "series 5, 6 and 10 others"."""
    labels = stack.labels
    if len(labels) <= 3:
        return f"series {', '.join(labels)}"
    return f"series {', '.join(labels[:2])} and {len(labels) - 2} others"


def _own_label(stack: Stack, listed: list[Stack]) -> str:
    """A series that no better stack has more of."""
    others = {label for other in listed if other is not stack for label in other.labels}
    own = [label for label in stack.labels if label not in others] or list(stack.labels)
    counts = [slice_.run.label for slice_ in stack.slices]
    return max(own, key=counts.count)


def _kind(run: Run, chosen: Stack) -> str:
    if run.is_flow:
        return "flow"
    angle = angle_deg(run.normal, chosen.grid.normal)
    doubt = run.technique
    if angle < SAME_VIEW_DEG / 3:
        return SHORT_AXIS_CINE if run.is_cine else doubt or SHORT_AXIS
    if run.is_cine:
        return LONG_AXIS_CINE if is_long_axis(run, chosen.grid.normal) else "cine of another plane"
    straight = np.abs(run.normal).max() > 0.99
    return doubt or (SCOUT if straight else "still pictures")


def _of_view(planes: list[Matched]) -> str:
    """What a series of long-axis planes is used for, or why it is not."""
    view = planes[0].view.view
    name = f"{'an' if view == 'RVOT' else 'a'} {view or 'long-axis'} view"
    reason = next((plane.why_not for plane in planes if plane.why_not), "")
    count = max(plane.phases for plane in planes)
    if not count:
        return f"recognised as {name}, but {reason}"
    phases = "the phase" if len(planes[0].frames) == 1 else f"{count} of {len(planes[0].frames)} phases"
    return f"{name}, for {phases}{f'; of one plane, {reason}' if reason else ''}"


def _why_not(run: Run, chosen: Stack, kind: str) -> str:
    """Why nothing of a run was taken."""
    if kind == SHORT_AXIS_CINE:
        if any(slice_.run is run for slice_, _ in chosen.out):
            return next(reason for slice_, reason in chosen.out if slice_.run is run)
        doubt = f", by its description {run.technique}" if run.technique else ""
        return f"another stack, or slices that are there already{doubt}: --series {run.label} takes it"
    if kind == SHORT_AXIS:
        return "no cine"
    return f"not the short-axis cine: {kind}"
