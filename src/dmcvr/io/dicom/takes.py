"""The pictures at one place as one heartbeat: which belong together, and in what order of time.

Place and time do not tell two pictures apart: scanners and anonymisers write trigger times that are constant, tied or
counted from the start of the scan, or none. Each place is judged by itself, by what its own headers say soundly; a
place that was taken twice, or that shows several heartbeats, gives one whole take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.io.dicom.headers import DicomFrame

#: A slice of a cine has at least this many phases.
MIN_CINE_PHASES = 5

#: Pictures of one take follow one another; between two takes of a slice there is a breath.
BETWEEN_TAKES_S = 3.0

#: A take or heartbeat with fewer pictures than this share of the fullest is not whole.
WHOLE = 0.9

#: Phases of a cine follow one another at most so far apart: slower than that is a picture a heartbeat.
MAX_STEP_MS = 300.0

#: Trigger times of a cine reach at least so far.
MIN_REACH_MS = 100.0

#: How far phases may reach beyond the heartbeat that the header gives before it is more than one.
ONE_BEAT = 1.4

#: A heartbeat is not longer; phases that reach further are more than one whatever the header says.
MAX_BEAT_MS = 2000.0

#: Of the steps from picture to picture, trigger times that rise in so many follow the same order.
MOSTLY = 0.8

TRIGGER = "trigger times"

Key = Callable[[DicomFrame], Any]

#: What may tell the order of the pictures at a place, the soundest first.
ORDERS: dict[str, Key] = {
    TRIGGER: lambda f: None if f.trigger_ms is None else round(f.trigger_ms, 3),
    "temporal index": lambda f: f.temporal,
    "instance numbers": lambda f: (f.number, f.index) if f.number is not None or f.frames_in_file > 1 else None,
    "acquisition times": lambda f: f.acquired_s,
    "content times": lambda f: f.written_s,
    "file names": lambda f: (natural(f.path.name), str(f.path.parent), f.index),
}
#: Those of them that count pictures as they were taken, whatever the phase.
_RUNNING = ("instance numbers", "acquisition times", "content times", "file names")

#: Those that start anew with every heartbeat.
_BEATING = (TRIGGER, "temporal index")


@dataclass(frozen=True, eq=False)
class Take:
    """One heartbeat at one place.

    ============  ===================================================================================================
    frames        P, in order of time
    times_ms      P, ascending, as the headers count them; None where no header tells them soundly
    order         what gave the order: a key of `ORDERS`
    beat_ms       length of the heartbeat; None if unknown
    others        other orders that the headers allow, as indices of `frames`: for the picture to decide
    copies        pictures that were there twice
    left          pictures of other takes or heartbeats at this place
    why           what was left and why: "taken twice (the later was used)"; ""
    ============  ===================================================================================================
    """

    frames: tuple[DicomFrame, ...]
    times_ms: tuple[float, ...] | None
    order: str
    beat_ms: float | None = None
    others: tuple[tuple[str, tuple[int, ...]], ...] = ()
    copies: int = 0
    left: int = 0
    why: str = ""

    @property
    def first(self) -> DicomFrame:
        return self.frames[0]

    @property
    def is_beat(self) -> bool:
        """Whether these are phases of one heartbeat, as far as headers tell: not a picture a heartbeat, nor a map."""
        if len(self.frames) < MIN_CINE_PHASES or self.is_map:
            return False
        if self.order == TRIGGER and self.times_ms is not None:
            steps = np.diff(self.times_ms)
            return bool(self.times_ms[-1] - self.times_ms[0] > MIN_REACH_MS and np.median(steps) <= MAX_STEP_MS)
        clock = sorted({f.acquired_s for f in self.frames if f.acquired_s is not None})
        return len(clock) < len(self.frames) / 2 or 1000 * float(np.median(np.diff(clock))) <= MAX_STEP_MS

    @property
    def is_map(self) -> bool:
        """Whether inversion or echo times differ from picture to picture: a parametric map, not a heartbeat."""
        several = (len({f.contrast[k] for f in self.frames if f.contrast[k] is not None}) for k in (0, 1))
        return max(several) > max(2, len(self.frames) // 3)


def take_of(frames: Iterable[DicomFrame]) -> Take:
    """The pictures at one place as one take of one heartbeat, in order of time."""
    given = list(frames)
    once = _without_copies(given)
    groups, why = _takes(once)
    group = groups[-1]
    take = _in_order(group)
    if len(groups) == 1:
        take, beats = _one_beat(take)
        if beats:
            why = beats
    left = len(once) - len(take.frames)
    return replace(take, copies=len(given) - len(once), left=left, why=why)


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts "2.dcm" before "10.dcm"."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts)


def is_sound(frames: list[DicomFrame], key: Key) -> bool:
    """Whether a key knows every picture and tells all apart."""
    values = [key(frame) for frame in frames]
    return None not in values and len(set(values)) == len(values)


def _without_copies(frames: list[DicomFrame]) -> list[DicomFrame]:
    """One of those pictures that agree in everything that tells order or time, where that tells others apart."""
    kept: dict[object, DicomFrame] = {}
    for frame in frames:
        clock = frame.acquired_s, frame.written_s, frame.acquisition
        kept.setdefault(
            (frame.trigger_ms, frame.temporal, frame.number, frame.index, clock, frame.contrast, frame.image_type),
            frame,
        )
    return list(kept.values()) if len(kept) >= max(MIN_CINE_PHASES, len(frames) / 4) else frames


def _takes(frames: list[DicomFrame]) -> tuple[list[list[DicomFrame]], str]:
    """Pictures by take or heartbeat, the one to use last; and a word on why there are several."""
    beating = next((key for name in _BEATING if _varies(frames, key := ORDERS[name])), None)
    for groups in _partitions(frames, beating):
        if not _are_takes(groups, len(frames)) or (beating is not None and not _overlap(groups, beating)):
            continue
        groups.sort(key=_begin)
        fullest = max(len(group) for group in groups)
        whole = [group for group in groups if len(group) >= WHOLE * fullest]
        chosen = whole[-1]
        which = "the later" if chosen is groups[-1] else "the last whole one"
        times = "twice" if len(groups) == 2 else f"{len(groups)} times"
        text = f"{len(groups)} heartbeats" if _are_beats(groups) else f"taken {times}"
        return [*(g for g in groups if g is not chosen), chosen], f"{text} ({which} was used)"
    return [frames], ""


def _partitions(frames: list[DicomFrame], beating: Key | None) -> Iterator[list[list[DicomFrame]]]:
    """Ways to part the pictures into takes, the best founded first."""
    for name in _RUNNING:
        key = ORDERS[name]
        ordered = sorted(frames, key=key) if is_sound(frames, key) else []
        if ordered and beating is not None:
            groups = _at_drops(ordered, beating)
            yield groups
            if len(groups) == 1 and (name != "file names" or is_sound(frames, beating)):
                return  # time rises all along: one take
        if name == "acquisition times" or (name == "content times" and len({f.acquired_s for f in frames}) > 1):
            yield _apart(frames, key)
        numbers = {frame.acquisition for frame in frames}
        if ordered and name == "instance numbers" and len(numbers) > 1:
            yield [[f for f in ordered if f.acquisition == number] for number in numbers]
    if beating is not None:
        yield _pairs(frames, beating)


def _varies(frames: list[DicomFrame], key: Key) -> bool:
    values = [key(frame) for frame in frames]
    return None not in values and len(set(values)) >= MIN_CINE_PHASES


def _at_drops(ordered: list[DicomFrame], beating: Key) -> list[list[DicomFrame]]:
    """Parted where a time that starts anew with every heartbeat does so."""
    groups: list[list[DicomFrame]] = []
    for frame in ordered:
        if groups and beating(frame) >= beating(groups[-1][-1]):
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def _overlap(groups: list[list[DicomFrame]], beating: Key) -> bool:
    """Whether the groups cover the same part of the heartbeat: not one beat that is stored from its middle on."""
    ranges = [(min(map(beating, group)), max(map(beating, group))) for group in groups]
    low, high = ranges[int(np.argmax([b - a for a, b in ranges]))]
    shared = [(min(b, high) - max(a, low)) / max(b - a, 1e-6) for a, b in ranges]
    return min(shared) > 0.5


def _apart(frames: list[DicomFrame], clock: Key) -> list[list[DicomFrame]]:
    """Parted where the clock shows a breath between."""
    if any(clock(frame) is None for frame in frames):
        return [frames]
    groups: list[list[DicomFrame]] = []
    for frame in sorted(frames, key=clock):
        if groups and clock(frame) - clock(groups[-1][-1]) < BETWEEN_TAKES_S:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def _pairs(frames: list[DicomFrame], beating: Key) -> list[list[DicomFrame]]:
    """Where every time is there equally often and nothing else tells: the first of each, the second of each, ..."""
    by_time: dict[object, list[DicomFrame]] = {}
    for frame in sorted(frames, key=ORDERS["file names"]):
        by_time.setdefault(beating(frame), []).append(frame)
    counts = {len(group) for group in by_time.values()}
    return [list(group) for group in zip(*by_time.values(), strict=True)] if len(counts) == 1 else [frames]


def _are_takes(groups: list[list[DicomFrame]], count: int) -> bool:
    """Whether a partition is one into takes: several, each with phases enough, one at most cut short."""
    if not 1 < len(groups) <= count // MIN_CINE_PHASES:
        return False
    sizes = sorted(len(group) for group in groups)
    short = 1 if len(groups) < 4 else 2  # the first and the last beat of many may be cut
    return sizes[-1] >= MIN_CINE_PHASES and all(size * 2 >= sizes[-1] for size in sizes[short:])


def _are_beats(groups: list[list[DicomFrame]]) -> bool:
    """Whether the groups follow one another without a breath between, by a clock that runs from picture to picture."""
    for name in ("acquisition times", "content times"):
        key = ORDERS[name]
        if any(key(frame) is None for group in groups for frame in group):
            continue
        ends = [(min(map(key, group)), max(map(key, group))) for group in groups]
        between = [b[0] - a[1] for a, b in zip(ends, ends[1:], strict=False)]
        if max(between) >= BETWEEN_TAKES_S:
            return False
        if min(between) > 0 and all(is_sound(group, key) for group in groups):
            return True
    return False


def _begin(group: list[DicomFrame]) -> tuple[float, float, Any]:
    """When a take began, as far as anything tells."""
    acquired = [f.acquired_s for f in group if f.acquired_s is not None]
    written = [f.written_s for f in group if f.written_s is not None]
    clock = min(acquired or [0.0]), min(written or [0.0])
    return (*clock, min((f.acquisition or 0, f.number or 0, f.index, natural(f.path.name)) for f in group))


def _in_order(frames: list[DicomFrame]) -> Take:
    """In order of the soundest key; trigger times that are tied in part still count where the next key is no order."""
    sound = {name: sorted(frames, key=key) for name, key in ORDERS.items() if is_sound(frames, key)}
    name, ordered = next(iter(sound.items()))
    trigger = ORDERS[TRIGGER]
    if name not in _BEATING and _varies(frames, trigger):
        rises = np.diff([trigger(frame) for frame in ordered]) >= 0
        ordered = ordered if rises.mean() > MOSTLY else sorted(ordered, key=trigger)  # stable: ties stay as they were
    beat = _beat_ms(ordered)
    at = {id(frame): index for index, frame in enumerate(ordered)}
    others = {other: tuple(at[id(frame)] for frame in found) for other, found in sound.items() if name != TRIGGER}
    return Take(
        frames=tuple(ordered),
        times_ms=_times_ms(ordered, beat) if name == TRIGGER else None,
        order=name,
        beat_ms=beat,
        others=tuple((other, order) for other, order in others.items() if order != tuple(range(len(order)))),
    )


def _times_ms(ordered: list[DicomFrame], beat: float | None) -> tuple[float, ...]:
    """Trigger times in ms; some are written in seconds or microseconds, which the heartbeat's length shows."""
    times = np.array([frame.trigger_ms or 0.0 for frame in ordered])
    reach = float(times[-1] - times[0])
    fits = [k for k in (1.0, 1000.0, 0.001) if beat and 0.5 < reach * k / beat < 1.2]
    return tuple(float(time) for time in times * (fits[0] if fits and fits[0] != 1 else 1.0))


def _beat_ms(frames: list[DicomFrame]) -> float | None:
    """Length of the heartbeat by the header's interval, else by its heart rate."""
    intervals = [frame.interval_ms for frame in frames if frame.interval_ms is not None]
    if intervals:
        return float(np.median(intervals))
    rates = [frame.rate_bpm for frame in frames if frame.rate_bpm is not None and 30 < frame.rate_bpm < 220]
    return 60_000 / float(np.median(rates)) if rates else None


def _one_beat(take: Take) -> tuple[Take, str]:
    """Of phases that run on through several heartbeats, the last whole one; and a word on it."""
    times = np.asarray(take.times_ms if take.times_ms is not None else _clock_ms(take.frames))
    if len(times) < 2 * MIN_CINE_PHASES:
        return take, ""
    reach = float(times[-1] - times[0] + np.median(np.diff(times)))
    beat = take.beat_ms
    if beat is None or reach < ONE_BEAT * beat or not _is_certain(take, reach, beat):
        long = reach > MAX_BEAT_MS and np.median(np.diff(times)) <= MAX_STEP_MS
        return (
            take,
            f"phases over {reach:.0f} ms, perhaps of more than one heartbeat (all were used as one)" if long else "",
        )
    number = np.floor((times - times[0]) / beat + 1e-3).astype(int)
    sizes = np.bincount(number)
    if len(sizes) < 2 or sizes.max() < MIN_CINE_PHASES or len(times) / len(sizes) < MIN_CINE_PHASES / 2:
        return take, ""
    last = int(np.flatnonzero(sizes >= WHOLE * sizes.max())[-1])
    chosen = np.flatnonzero(number == last)
    frames = tuple(take.frames[i] for i in chosen)
    kept = None if take.times_ms is None else tuple(float(times[i] - times[0] - last * beat) for i in chosen)
    several = round(reach / beat, 1)
    return (
        Take(frames, kept, take.order, beat),
        f"{several:g} heartbeats ({'the last whole one' if last else 'the first'} was used)",
    )


def _is_certain(take: Take, reach: float, beat: float) -> bool:
    """Whether several beats are more than one element's word: it is too long for one, or the heart rate agrees."""
    rates = [frame.rate_bpm for frame in take.frames if frame.rate_bpm]
    agrees = bool(rates) and abs(60_000 / float(np.median(rates)) / beat - 1) < 0.15
    return reach > MAX_BEAT_MS * 0.75 or agrees


def _clock_ms(frames: tuple[DicomFrame, ...]) -> NDArray[np.float64]:
    """(P,) a clock that rises from picture to picture in fine steps, in ms; empty where there is none."""
    for name in ("acquisition times", "content times"):
        key = ORDERS[name]
        if is_sound(list(frames), key):
            times = 1000 * np.array([key(frame) for frame in frames], dtype=float)
            if np.all(np.diff(times) > 0):
                return times
    return np.empty(0)
