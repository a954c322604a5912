"""Which of a folder's frames are the short-axis cine, and in what order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.source import LONG_AXIS_CINE, SCOUT, SHORT_AXIS, SHORT_AXIS_CINE, Piece, Source
from dmcvr.exam.stack import Patient
from dmcvr.io.dicom.headers import DicomFrame, scan
from dmcvr.io.dicom.runs import Run, centre, find_runs, most_common

#: Fewer positions are no stack.
MIN_SLICES = 3

#: A slice of another series joins a stack if it is at least this share of a spacing away from all its slices.
NEW_PLACE = 0.6

#: A cine whose normal is at least so far from the short axis' is a long-axis view.
LONG_AXIS_FROM_DEG = 60.0

#: Trigger times that differ more from one another make the slices' heartbeats differ: said, not corrected.
UNEQUAL_BEATS = 0.15


@dataclass(frozen=True)
class Selection:
    """The frames of the exam: one tuple of P frames for each of N slices, and what was understood.

    `times_ms` are the phases' times after the R wave, the median over the slices; None if unknown.
    """

    slices: tuple[tuple[DicomFrame, ...], ...]
    times_ms: tuple[float, ...] | None
    patient: Patient
    source: Source


def select(path: Path, *, layout: str = "dicom") -> Selection:
    """Choose the short-axis cine among the DICOM under `path` (headers only).

    Raises `InputError` where there is none, or where cines of several patients or studies are found.
    """
    frames, ignored = scan(path)
    if not frames:
        raise InputError(f"{path} holds no MR picture with a place in the world ({_found(ignored)}).")
    runs, duplicates = find_runs(frames)
    if duplicates:
        ignored["duplicates"] += duplicates
    notes: list[str] = []
    main = _main(runs, path, notes)
    taken = _members(main, runs)
    slices, times_ms = _in_phase(taken, notes)
    used = {id(frame) for slice_ in slices for frame in slice_}
    source = Source(
        layout=layout,
        pieces=tuple(_piece(run, main, used) for run in runs),
        ignored=dict(ignored),
        notes=tuple(notes),
    )
    return Selection(slices, times_ms, _patient([run.first for run in taken]), source)


def _main(runs: list[Run], path: Path, notes: list[str]) -> Run:
    """The series that the stack starts from."""
    cines, stills = (
        [run for run in runs if not run.technique and run.is_cine is cine and _reach(run, runs) >= MIN_SLICES]
        for cine in (True, False)
    )
    candidates = [run for run in cines if run.is_oblique_as_a_short_axis]
    if not candidates and cines:
        candidates = cines
        notes.append("No cine lies as a short axis usually does: the one with the most slices was taken. Check it.")
    if not candidates:
        candidates = [run for run in stills if run.is_oblique_as_a_short_axis]
        notes.append("There is no short-axis cine: a stack of still pictures was taken.")
    if not candidates:
        kinds = Counter(run.technique or ("cine" if run.is_cine else "still") for run in runs)
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        raise InputError(
            f"{path} holds no short-axis stack: of {len(runs)} series none has {MIN_SLICES} parallel slices of a "
            f"heart ({listed}). See: dmcvr inspect"
        )
    for what in ("patient", "study"):
        several = {getattr(run.first, what) for run in candidates}
        if len(several) > 1:
            plural = "studies" if what == "study" else "patients"
            raise InputError(f"{path} holds short-axis stacks of {len(several)} {plural}: give the folder of one.")
    return max(candidates, key=lambda run: (_reach(run, runs), *_rank(run)))


def _rank(run: Run) -> tuple[int, int, bool, int]:
    """Of runs for the same place: more slices, more phases, as acquired rather than derived, the later one."""
    return run.slices, run.phases, "DERIVED" not in run.first.image_type, run.first.series_number or 0


def _reach(run: Run, runs: list[Run]) -> int:
    """How many slices a stack has that starts from this run."""
    return sum(len(positions) for positions in _members(run, runs).values())


def _members(main: Run, runs: list[Run]) -> dict[Run, list[int]]:
    """The runs of the stack and which of their positions: the main run's, then others' at new places."""
    gap = NEW_PLACE * (main.spacing_mm or main.first.thickness_mm or 5.0)
    normal = main.normal
    places = [place for place, _ in main.positions]
    members = {main: list(range(main.slices))}
    others = [r for r in runs if r is not main and r.is_cine is main.is_cine and not r.technique and main.joins(r)]
    for run in sorted(others, key=_rank, reverse=True):
        sign = 1.0 if run.normal @ normal > 0 else -1.0
        for index, (place, _) in enumerate(run.positions):
            if min(abs(sign * place - other) for other in places) >= gap:
                places.append(sign * place)
                members.setdefault(run, []).append(index)
    return members


def _in_phase(
    members: dict[Run, list[int]], notes: list[str]
) -> tuple[tuple[tuple[DicomFrame, ...], ...], tuple[float, ...] | None]:
    """Slices in order of position, all with as many phases as most have, and the phases' times."""
    normal = next(iter(members)).normal
    cut = [(run.positions[i][1], run.has_times) for run, indices in members.items() for i in indices]
    cut.sort(key=lambda item: float(centre(item[0][0]) @ normal))
    count = most_common([len(frames) for frames, _ in cut])
    timed = all(has_times for _, has_times in cut)
    slices, times = [], []
    for number, (frames, _) in enumerate(cut, start=1):
        if len(frames) * 2 < count:
            notes.append(f"Slice {number} of {len(cut)} has {len(frames)} of {count} phases and was left out.")
            continue
        if len(frames) != count:
            notes.append(
                f"Slice {number} of {len(cut)} has {len(frames)} phases, most have {count}: those nearest in the "
                "cycle were taken."
            )
            frames = _spread(frames, count, timed)
        slices.append(frames)
        times.append([frame.trigger_ms or 0.0 for frame in frames])
    lengths = np.array([row[-1] for row in times])
    if timed and count > 1 and np.ptp(lengths) > UNEQUAL_BEATS * np.median(lengths):
        notes.append(
            f"The heart rate changed between slices (last phase at {lengths.min():.0f} to {lengths.max():.0f} ms)."
        )
    if not timed:
        if count > 1:
            notes.append("The headers give no trigger times: phases are in the order of their numbers.")
        return tuple(slices), None
    return tuple(slices), tuple(round(float(time), 3) for time in np.median(times, axis=0))


def _spread(frames: tuple[DicomFrame, ...], count: int, timed: bool) -> tuple[DicomFrame, ...]:
    """`count` frames at equal fractions of the cycle, each the nearest there is."""
    if timed:
        times = np.array([frame.trigger_ms or 0.0 for frame in frames])
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        length = frames[0].interval_ms or float(times[-1] - times[0]) + step
        fractions = (times - times[0]) / max(length, 1e-6)
    else:
        fractions = np.arange(len(frames)) / len(frames)
    wanted = np.arange(count) / count
    return tuple(frames[int(np.argmin(np.abs(fractions - at)))] for at in wanted)


def _piece(run: Run, main: Run, used: set[int]) -> Piece:
    """A run as `dmcvr inspect` lists it."""
    taken = sum(any(id(frame) in used for frame in frames) for _, frames in run.positions)
    kind, why = _kind(run, main), ""
    if taken and taken < run.slices:
        why = f"{run.slices - taken} slices are elsewhere or have too few phases"
    elif not taken:
        why = _why_not(run, main, kind)
    if taken and run.repeated:
        why = "; ".join(filter(None, [why, f"{run.repeated} pictures are there twice"]))
    thicknesses = [frame.thickness_mm for frame in run.frames if frame.thickness_mm is not None]
    return Piece(
        name=f"series {run.first.series_number}" if run.first.series_number is not None else "series without a number",
        kind=kind,
        slices=run.slices,
        phases=run.phases,
        pixel_mm=run.first.pixel_mm,
        spacing_mm=None if run.spacing_mm is None else round(run.spacing_mm, 3),
        thickness_mm=round(float(np.median(thicknesses)), 3) if thicknesses else None,
        taken=taken > 0,
        why=why,
    )


def _kind(run: Run, main: Run) -> str:
    if run.technique:
        return run.technique
    angle = run.angle_deg(main)
    if angle < 5:
        return SHORT_AXIS_CINE if run.is_cine else SHORT_AXIS
    if run.is_cine:
        return LONG_AXIS_CINE if angle > LONG_AXIS_FROM_DEG and run.slices <= MIN_SLICES else "cine of another plane"
    straight = np.abs(run.normal).max() > 0.99
    return SCOUT if straight else "still pictures"


def _why_not(run: Run, main: Run, kind: str) -> str:
    if kind == SHORT_AXIS_CINE:
        return "repeats slices already taken" if main.joins(run) else "other pixels, orientation or frame of reference"
    if kind == SHORT_AXIS:
        return "no cine"
    if kind == LONG_AXIS_CINE:
        return "recognised; not part of the short-axis stack"
    return f"not the short-axis cine: {kind}"


def _patient(frames: list[DicomFrame]) -> Patient:
    """What any of the headers says of body size and sex."""
    person = Patient()
    for frame in frames:
        for name in ("height_cm", "weight_kg", "sex"):
            if getattr(person, name) is None:
                person = replace(person, **{name: getattr(frame.person, name)})
    return person


def _found(ignored: Counter[str]) -> str:
    return ", ".join(f"{number} x {what}" for what, number in ignored.items()) or "it is empty"
