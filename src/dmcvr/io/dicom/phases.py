"""Slices in phase: as many pictures each, at the same fractions of the heartbeat, and the times of those."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.exam.view import beats_apart, nearest_in_beat
from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.runs import most_common
from dmcvr.io.dicom.stacks import Slice
from dmcvr.io.dicom.takes import TRIGGER, Take

#: A slice with a phase count of its own is kept where every phase has a picture within this share of the heartbeat.
NEAR_ENOUGH = 0.1

#: Trigger times that differ more from one another make the slices' heartbeats differ: said, not corrected.
UNEQUAL_BEATS = 0.15

#: A first phase later than so many steps is counted from something else than the heartbeat's own R wave.
LATE_START = 1.5


@dataclass(frozen=True, eq=False)
class InPhase:
    """Frames by slice and phase.

    ==========  ===================================================================================================
    slices      those that are kept, in order of place
    frames      P for each of them
    times_ms    P times after the R wave, the median over the slices that tell them; None where none does
    others      for slices whose order no trigger time gives: other orders of their P frames, as indices
    out         slices that had to be left out, with the reason
    notes       sentences: what had to be assumed
    ==========  ===================================================================================================
    """

    slices: tuple[Slice, ...]
    frames: tuple[tuple[DicomFrame, ...], ...]
    times_ms: tuple[float, ...] | None
    others: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
    out: tuple[tuple[Slice, str], ...]
    notes: tuple[str, ...]


def in_phase(slices: tuple[Slice, ...], numbers: dict[int, int]) -> InPhase:
    """All slices with as many phases as most have; `numbers` names them, by their identity, in what is said."""
    takes = [slice_.take for slice_ in slices]
    count = most_common([len(take.frames) for take in takes])
    times = [_from_start(take) for take in takes]
    first = float(np.median([t[0] for t in times if t is not None] or [0.0]))
    frames: list[tuple[DicomFrame, ...]] = []
    clocks: list[NDArray[np.float64]] = []
    kept: list[Slice] = []
    others: list[tuple[tuple[str, tuple[int, ...]], ...]] = []
    out: list[tuple[Slice, str]] = []
    nearest: dict[int, list[int]] = {}
    for slice_, clock in zip(slices, times, strict=True):
        take = slice_.take
        if len(take.frames) == count:
            chosen = np.arange(count)
        else:
            chosen, worst = _spread(take, clock, count, first)
            if worst > NEAR_ENOUGH + 1e-3:
                far = (
                    f"{len(take.frames)} phases of {count}, for some phases none within {100 * worst:.0f} % of the beat"
                )
                out.append((slice_, f"it has {far}"))
                continue
            nearest.setdefault(len(take.frames), []).append(numbers[id(slice_)])
        kept.append(slice_)
        frames.append(tuple(take.frames[i] for i in chosen))
        others.append(take.others if len(take.frames) == count else ())
        if clock is not None and len(take.frames) == count:
            clocks.append(clock)
    notes = [
        f"{slices_in_words(which)} {'has' if len(which) == 1 else 'have'} {own} phases, most have {count}: for each "
        "phase the picture nearest in the heartbeat was taken."
        for own, which in sorted(nearest.items())
    ]
    notes += _on_order(kept, numbers) if count > 1 else []
    spans = np.array([clock[-1] - clock[0] for clock in clocks])
    if count > 1 and len(spans) and np.ptp(spans) > UNEQUAL_BEATS * np.median(spans):
        notes.append(
            f"The heart rate changed between slices (last phase at {spans.min():.0f} to {spans.max():.0f} ms)."
        )
    middle = tuple(round(float(t), 3) for t in np.median(clocks, axis=0)) if clocks else None
    return InPhase(tuple(kept), tuple(frames), middle, tuple(others), tuple(out), tuple(notes))


def _from_start(take: Take) -> NDArray[np.float64] | None:
    """(P,) times in ms after the R wave; those that count from something else are counted from the slice's first."""
    if take.times_ms is None or len(take.times_ms) < 2:
        return None if take.times_ms is None else np.asarray(take.times_ms)
    times = np.asarray(take.times_ms)
    late = times[0] < 0 or times[0] > LATE_START * float(np.median(np.diff(times)))
    return times - times[0] if late and not _has_lost_phases(take, times) else times


def _has_lost_phases(take: Take, times: NDArray[np.float64]) -> bool:
    """Whether phases that begin late still end with the heartbeat: the first ones are missing, the clock is right."""
    step = float(np.median(np.diff(times)))
    return take.beat_ms is not None and times[0] > 0 and abs(times[-1] + step - take.beat_ms) < LATE_START * step


def _spread(take: Take, clock: NDArray[np.float64] | None, count: int, first: float) -> tuple[NDArray[np.int64], float]:
    """Frames at `count` equal fractions of the heartbeat, each the nearest there is; and the furthest of them."""
    away = beats_apart(_fractions(take, clock, count, first), np.arange(count) / count)
    return np.asarray(away.argmin(axis=1), dtype=np.int64), float(away.min(axis=1).max())


def _fractions(take: Take, clock: NDArray[np.float64] | None, count: int, first: float) -> NDArray[np.float64]:
    """(Q,) where in the heartbeat a take's frames are, of a stack that has `count` phases, the first at `first` ms."""
    own = len(take.frames)
    if clock is not None:
        step = float(np.median(np.diff(clock))) if own > 1 else 1.0
        length = take.beat_ms or float(clock[-1] - clock[0]) + step
        return np.asarray((clock - min(first, float(clock[0]))) / max(length, 1e-6))
    indices = [frame.temporal for frame in take.frames]
    known = [index for index in indices if index is not None]
    if len(set(known)) == own < count and max(known) <= count:  # some of the phases are missing: which, is known
        return (np.array(known) - 1) / count
    return np.arange(own) / own


def frames_in_beat(take: Take, phased: InPhase) -> NDArray[np.int64]:
    """(P,) for each of a stack's phases the frame of another take nearest in the heartbeat; -1 where none is near.

    Both are fractions of their own beat, whose length is the header's, else that of all phases: of the stack the
    median over its slices. Where times are not known, phases are taken to be spread evenly.
    """
    count = len(phased.frames[0])
    wanted = np.arange(count) / count
    if phased.times_ms is not None and count > 1:
        times = np.asarray(phased.times_ms)
        beats = [slice_.take.beat_ms for slice_ in phased.slices if slice_.take.beat_ms is not None]
        wanted = times / (float(np.median(beats)) if beats else float(np.ptp(times)) * count / (count - 1))
    return nearest_in_beat(wanted, _fractions(take, _from_start(take), count, 0.0))


def _on_order(slices: list[Slice], numbers: dict[int, int]) -> list[str]:
    """A sentence for each way in which slices had to be ordered without trigger times."""
    ways: dict[str, list[int]] = {}
    for slice_ in slices:
        if slice_.take.order != TRIGGER and len(slice_.take.frames) > 1:
            ways.setdefault(slice_.take.order, []).append(numbers[id(slice_)])
    whole = len(slices)
    return [
        f"The headers give no trigger times that tell the phases apart{'' if len(which) == whole else _in(which)}: "
        f"phases are in the order of their {order}."
        for order, which in ways.items()
    ]


def _in(which: list[int]) -> str:
    text = slices_in_words(which)
    return f" in {text[0].lower()}{text[1:]}"


def slices_in_words(numbers: list[int]) -> str:
    """Slices in words: "Slice 3", "Slices 1-6, 9"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    text = ", ".join(f"{p[0]}" if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
    return f"{'Slice' if len(numbers) == 1 else 'Slices'} {text}"
