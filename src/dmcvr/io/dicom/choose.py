"""Which of a folder's frames are the short-axis cine, and in what order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from dmcvr.errors import InputError
from dmcvr.exam.source import Size, Source
from dmcvr.exam.stack import Patient
from dmcvr.io.dicom.geometry import check_stack, mended
from dmcvr.io.dicom.grid import HEART_RADIUS_MM, SAME_DEG, Grid
from dmcvr.io.dicom.headers import DicomFrame, is_dicomdir, scan
from dmcvr.io.dicom.listing import choices_of, names_of, piece_of
from dmcvr.io.dicom.long_axis import Matched, match_views
from dmcvr.io.dicom.phases import in_phase, slices_in_words
from dmcvr.io.dicom.runs import Run, find_runs
from dmcvr.io.dicom.stacks import MIN_SLICES, Slice, Stack, find_stacks


@dataclass(frozen=True)
class Selection:
    """The frames of the exam: one tuple of P frames for each of N slices, and what was understood.

    ========  =========  ==================================================================================
    slices    N x P      frames in order of place and time
    affines   (N, 4, 4)  pixel of each slice in the stack to RAS+ mm
    grid                 the stack's planes and pixels
    others    N          other orders of a slice's P frames that its headers allow: the picture decides
    times_ms  P          times after the R wave, the median over the slices; None if unknown
    views                long-axis views of the same heart, those that cannot be used too
    ========  =========  ==================================================================================
    """

    slices: tuple[tuple[DicomFrame, ...], ...]
    affines: Float64[np.ndarray, "N 4 4"]
    grid: Grid
    others: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
    times_ms: tuple[float, ...] | None
    patient: Patient
    source: Source
    views: tuple[Matched, ...]


def select(path: Path, *, layout: str = "dicom", series: str | None = None) -> Selection:
    """Choose the short-axis cine among the DICOM under `path` (headers only), or the stack that `series` is part of.

    Of a DICOMDIR, and of one file of a classic series, the folder is read. Raises `InputError` where there is no
    stack, where cines of several patients or studies are found, and for a series that is not there.
    """
    notes: list[str] = []
    frames, ignored, only = _frames(path, notes)
    frames = mended(frames, notes)
    runs, duplicates = find_runs(frames)
    if duplicates:
        ignored["duplicates"] += duplicates
    if only is not None and series is None:
        series = next(run.label for run in runs for frame in run.frames if frame.path == only)
    stacks = [*find_stacks([run for run in runs if run.is_cine]), *find_stacks([r for r in runs if r.is_still])]
    if only is not None and not any(series in stack.labels for stack in stacks):
        raise InputError(f"{path.name} is one picture, and its folder holds no stack: give the folder of the exam.")
    candidates = _candidates(stacks, runs, path) if series is None else _asked(stacks, runs, series)
    chosen = candidates[0]
    _say_kind(chosen, stacks, notes)
    numbers = {id(slice_): number for number, slice_ in enumerate(chosen.slices, start=1)}
    phased = in_phase(chosen.slices, numbers)
    _say_takes(phased.slices, numbers, notes)
    _say_again(chosen, numbers, notes)
    _say_laid(chosen, phased.slices, numbers, notes)
    notes += phased.notes
    left_out = _left_out(chosen, phased.out, numbers)
    choices = choices_of(stacks, chosen)
    same = [choice for choice in choices if choice.kind == choices[0].kind]
    if len(same) > 1 and series is None:
        others = "; ".join(f"{c.names}, {c.size} (--series {c.series})" for c in same[1:])
        notes.append(
            f"There are {len(same)} short-axis stacks: {same[0].names}, {same[0].size}, was taken. Others: {others}."
        )
    check_stack(chosen.grid, [slice_.place_mm for slice_ in phased.slices])
    affines = np.stack([chosen.grid.affine(slice_.frame) for slice_ in phased.slices])
    gaps = np.abs(np.diff(affines[:, :3, 3] @ chosen.grid.normal))
    size = Size(slices=len(phased.slices), phases=len(phased.frames[0]), apart_mm=round(float(np.median(gaps)), 3))
    used = {id(frame) for slice_ in phased.frames for frame in slice_}
    affines = np.stack([chosen.grid.affine(slice_.frame) for slice_ in phased.slices])
    views = match_views(runs, chosen, phased, affines)
    notes += [
        f"The long-axis view of series {view.view.run.label} was left out: {view.why_not}."
        for view in views
        if view.why_not
    ]
    source = Source(
        layout=layout,
        pieces=tuple(piece_of(run, chosen, used, views) for run in runs),
        ignored=dict(ignored),
        notes=(*left_out, *notes),
        choices=choices,
        left_out=left_out,
        size=size,
    )
    people = _patient([slice_.frame for slice_ in phased.slices])
    return Selection(phased.frames, affines, chosen.grid, phased.others, phased.times_ms, people, source, views)


def _frames(path: Path, notes: list[str]) -> tuple[list[DicomFrame], Counter[str], Path | None]:
    """The frames under a path, what else is there, and the file that was given where its folder was read instead."""
    only = None
    if path.is_file() and is_dicomdir(path):
        notes.append("A DICOMDIR was given: the folder that it stands in was read.")
        path = path.parent
    frames, ignored = scan(path)
    if path.is_file() and len(frames) == 1 and frames[0].frames_in_file == 1:
        notes.append("One picture of a series was given: the folder that it stands in was read.")
        only, path = path, path.parent
        frames, ignored = scan(path)
    if not frames:
        found = ", ".join(f"{number} x {what}" for what, number in ignored.items()) or "it is empty"
        raise InputError(f"{path} holds no MR picture with a place in the world ({found}).")
    return frames, ignored, only


def _candidates(stacks: list[Stack], runs: list[Run], path: Path) -> list[Stack]:
    """The stacks that lie as a short axis, of cines before stills; raises `InputError` where there is none."""
    cines = [stack for stack in stacks if stack.runs[0].is_cine]
    found = [stack for stack in cines if stack.runs[0].is_oblique_as_a_short_axis] or cines
    found = found or [stack for stack in stacks if stack.runs[0].is_oblique_as_a_short_axis]
    found = [stack for stack in found if not _is_scout(stack)]
    if not found:
        kinds = Counter(run.technique or ("cine" if run.is_cine else "still") for run in runs)
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        hint = " Give the folder of the whole exam, or see dmcvr inspect."
        raise InputError(
            f"{path} holds no short-axis stack: of {len(runs)} series none has {MIN_SLICES} parallel slices of a "
            f"heart ({listed}).{hint}"
        )
    for what in ("patient", "study"):
        several = {getattr(stack.slices[0].frame, what) for stack in found}
        if len(several) > 1:
            plural = "studies" if what == "study" else "patients"
            raise InputError(f"{path} holds short-axis stacks of {len(several)} {plural}: give the folder of one.")
    return found


def _is_scout(stack: Stack) -> bool:
    """Whether the scanner itself marks still pictures as a scout."""
    run = stack.runs[0]
    return not run.is_cine and "LOCALIZER" in run.first.image_type


def _asked(stacks: list[Stack], runs: list[Run], series: str) -> list[Stack]:
    """The stacks that a series is part of, the one with most of it first; raises `InputError` where there is none."""
    wanted = series.lower().removeprefix("series").strip()
    known = list(dict.fromkeys(run.label for run in runs))
    if wanted not in known:
        raise InputError(f"There is no series {series} here: choose one of {', '.join(known)} (see dmcvr inspect).")
    found = [stack for stack in stacks if wanted in stack.labels]
    if not found:
        raise InputError(
            f"Series {wanted} is part of no stack of {MIN_SLICES} or more parallel slices: choose another, see inspect."
        )
    return sorted(found, key=lambda stack: -sum(slice_.run.label == wanted for slice_ in stack.slices))


def _say_kind(chosen: Stack, stacks: list[Stack], notes: list[str]) -> None:
    """What is unusual in the stack that was chosen."""
    run = chosen.runs[0]
    if not run.is_cine:
        cines = any(stack.runs[0].is_cine for stack in stacks)
        notes.append("" if cines else "There is no short-axis cine: a stack of still pictures was taken.")
    elif not run.is_oblique_as_a_short_axis:
        notes.append("No cine lies as a short axis usually does: the one with the most slices was taken. Check it.")
    if chosen.technique:
        notes.append(
            f"The description of {names_of(chosen)} reads as {chosen.technique}; it was taken for what its pictures "
            "and times are. Check it."
        )
    notes[:] = [note for note in notes if note]


def _say_takes(slices: tuple[Slice, ...], numbers: dict[int, int], notes: list[str]) -> None:
    """Slices that were taken twice, or show several heartbeats."""
    ways: dict[str, list[int]] = {}
    for slice_ in slices:
        if slice_.take.why:
            ways.setdefault(slice_.take.why, []).append(numbers[id(slice_)])
    notes += [f"{slices_in_words(which)}: {why}." for why, which in ways.items()]


def _say_again(chosen: Stack, numbers: dict[int, int], notes: list[str]) -> None:
    """Slices of one stack that series scanned again."""
    ways: dict[tuple[str, str], list[int]] = {}
    for old in chosen.again:
        at = min(chosen.slices, key=lambda slice_: abs(slice_.place_mm - old.place_mm))
        if old.run.label != at.run.label and at.run.number > old.run.number:
            ways.setdefault((old.run.label, at.run.label), []).append(numbers[id(at)])
    for (old_label, label), which in ways.items():
        notes.append(
            f"{slices_in_words(which)}: scanned in series {old_label} and again in series {label} (the later was used)."
        )


def _say_laid(chosen: Stack, slices: tuple[Slice, ...], numbers: dict[int, int], notes: list[str]) -> None:
    """Slices that do not lie or are not made as most of the stack."""
    grid = chosen.grid
    tilted = [slice_ for slice_ in slices if grid.tilt_deg(slice_.frame) >= SAME_DEG]
    if tilted:
        most = max(grid.tilt_deg(slice_.frame) for slice_ in tilted)
        off = HEART_RADIUS_MM * np.sin(np.radians(most))
        notes.append(
            f"{slices_in_words([numbers[id(s)] for s in tilted])}: tilted by up to {most:.1f} degrees to the others, "
            f"and laid into the stack's planes (at the heart's rim {off:.1f} mm off, within the slice's thickness)."
        )
    other = [slice_ for slice_ in slices if not grid.fits(slice_.frame)]
    if other:
        notes.append(
            f"{slices_in_words([numbers[id(s)] for s in other])}: another matrix, pixel size or turn in the plane than "
            "the others', and resampled onto their pixels."
        )


def _left_out(chosen: Stack, out: tuple[tuple[Slice, str], ...], numbers: dict[int, int]) -> tuple[str, ...]:
    """A sentence for each slice that could not be used: why, and what that does to the volume."""
    kept = [s.place_mm for s in chosen.slices if all(s is not other for other, _ in out)]
    sentences = []
    for slice_, reason in (*out, *chosen.out):
        inside = kept and min(kept) < slice_.place_mm < max(kept)
        does = "the gap is filled from its neighbours"
        if not inside:
            short = min(abs(slice_.place_mm - place) for place in kept)
            does = f"the stack ends {short:.0f} mm earlier, and volumes are too small if the heart reaches there"
        name = f"Slice {numbers[id(slice_)]} of {len(chosen.slices)}" if id(slice_) in numbers else "A slice"
        sentences.append(f"{name} (series {slice_.run.label}) was left out: {reason}. So {does}.")
    return tuple(sentences)


def _patient(frames: list[DicomFrame]) -> Patient:
    """What any of the headers says of body size and sex."""
    person = Patient()
    for frame in frames:
        for name in ("height_cm", "weight_kg", "sex"):
            if getattr(person, name) is None:
                person = replace(person, **{name: getattr(frame.person, name)})
    return person
