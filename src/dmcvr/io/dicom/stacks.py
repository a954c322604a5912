"""Stacks: the slices of one heart that belong together, of one series or of many, and those that stay out.

Of rest and stress, or of an early and a late scan, each is a stack of its own; a slice that was taken again is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dmcvr.io.dicom.grid import Grid, most_tilt_deg, same_pixels
from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.runs import Run, angle_deg, are_parallel
from dmcvr.io.dicom.takes import WHOLE, Take

#: Fewer positions are no stack.
MIN_SLICES = 3

#: A slice of another series joins a stack if it is at least this share of a spacing away from all its slices.
NEW_PLACE = 0.6

#: Slices further apart than so many thicknesses leave room for another between them.
ROOM = 1.5

#: Planes tilted by more are another view.
SAME_VIEW_DEG = 15.0

#: What a description says against a stack halves its slices when stacks are compared.
DOUBTED = 0.5


@dataclass(frozen=True, eq=False)
class Slice:
    """A position of a run, and where it stands in its stack."""

    run: Run
    take: Take
    place_mm: float

    @property
    def frame(self) -> DicomFrame:
        return self.take.first


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one heart in order of place.

    ========  ======================================================================================
    grid      the planes and pixels of most of them
    slices    one for each place
    again     slices of the same places that another take replaced
    out       slices that belong to the heart but cannot stand in the stack, each with the reason
    ========  ======================================================================================
    """

    grid: Grid
    slices: tuple[Slice, ...]
    again: tuple[Slice, ...] = ()
    out: tuple[tuple[Slice, str], ...] = ()

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Those that the slices are of, each once, in order of their series' numbers."""
        return tuple(sorted({slice_.run for slice_ in self.slices}, key=lambda run: (run.number, run.label)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its series, each once."""
        return tuple(dict.fromkeys(run.label for run in self.runs))

    @property
    def phases(self) -> int:
        return max(len(slice_.take.frames) for slice_ in self.slices)

    @property
    def technique(self) -> str:
        """What the descriptions of most slices say that this is, other than anatomy; or ""."""
        found = [slice_.run.technique for slice_ in self.slices]
        return max(set(found), key=found.count)

    @property
    def spacing_mm(self) -> float:
        return float(np.median(np.diff([slice_.place_mm for slice_ in self.slices])))

    @property
    def rank(self) -> tuple[float, int, bool, int]:
        """The better the larger: more slices (half, of a doubtful name), more phases, as acquired, the later."""
        derived = any("DERIVED" in run.first.image_type for run in self.runs)
        count = len(self.slices) * (DOUBTED if self.technique else 1)
        return count, self.phases, not derived, max(run.number for run in self.runs)


def find_stacks(runs: list[Run]) -> list[Stack]:
    """All stacks that runs of one kind (cines, or stills) make, the best first; a run may stand in several."""
    seeds = [[run] for run in runs if run.slices >= MIN_SLICES]
    for pool in _pools([run for run in runs if run.slices < MIN_SLICES]):
        seeds += _layers(pool)
    made: dict[frozenset[int], Stack] = {}
    for seed in sorted(seeds, key=lambda seed: -sum(run.slices for run in seed)):  # the larger gives planes and pixels
        rivals = {id(run) for other in seeds if other is not seed and _is_rival(other, seed) for run in other}
        stack = _grown(seed, [run for run in runs if run not in seed and id(run) not in rivals])
        if len(stack.slices) >= MIN_SLICES:
            made.setdefault(frozenset(id(slice_.take) for slice_ in stack.slices), stack)
    return sorted(made.values(), key=lambda stack: stack.rank, reverse=True)


def _pools(runs: list[Run]) -> list[list[Run]]:
    """Single slices of one exam in planes that lie alike."""
    pools: list[list[Run]] = []
    for run in runs:
        for pool in pools:
            if run.same_exam(pool[0]) and angle_deg(run.normal, pool[0].normal) < SAME_VIEW_DEG:
                pool.append(run)
                break
        else:
            pools.append([run])
    return pools


def _layers(pool: list[Run]) -> list[list[Run]]:
    """Single slices as one stack, or, where most places were scanned again later on, as one stack after another."""
    places = _at_places(pool)
    again = [sorted(run.number for run in runs) for runs in places if len(runs) > 1]
    if len(again) >= MIN_SLICES and len(again) * 2 >= len(places):
        border = min(numbers[1] for numbers in again)
        if max(numbers[0] for numbers in again) < border:
            later = [run for run in pool if run.number >= border]
            return [[run for run in pool if run.number < border], *_layers(later)]
    return [pool] if len(places) >= MIN_SLICES else []


def _at_places(pool: list[Run]) -> list[list[Run]]:
    """The runs of each place along the pool's common line."""
    grid = _grid([slice_ for run in pool for slice_ in _slices(run)])
    places: list[tuple[float, list[Run]]] = []
    placed = [(grid.place_mm(take.first), run) for run in pool for _, take in run.positions]
    for place, run in sorted(placed, key=lambda item: item[0]):
        if places and place - places[-1][0] < NEW_PLACE * (run.first.thickness_mm or 5.0):
            places[-1][1].append(run)
        else:
            places.append((place, [run]))
    return [runs for _, runs in places]


def _slices(run: Run) -> list[Slice]:
    return [Slice(run, take, 0.0) for _, take in run.positions]


def _grid(slices: list[Slice]) -> Grid:
    """The planes and pixels that most of the slices share."""
    groups: list[list[DicomFrame]] = []
    for slice_ in slices:
        frame = slice_.frame
        for group in groups:
            if same_pixels(frame, group[0]) and are_parallel(frame, group[0]):
                group.append(frame)
                break
        else:
            groups.append([frame])
    most = max(groups, key=len)
    return Grid(most[0], np.mean([frame.centre for frame in most], axis=0))


def _is_rival(other: list[Run], seed: list[Run]) -> bool:
    """Whether another seed scans the same places over again."""
    if not other[0].same_exam(seed[0]) or angle_deg(other[0].normal, seed[0].normal) > SAME_VIEW_DEG:
        return False
    own = [slice_ for run in seed for slice_ in _slices(run)]
    grid = _grid(own)
    places = np.array([grid.place_mm(slice_.frame) for slice_ in own])
    theirs = [grid.place_mm(slice_.frame) for run in other for slice_ in _slices(run)]
    near = _near_mm(places, seed[0])
    same = sum(np.abs(places - place).min() < near for place in theirs)
    return same >= MIN_SLICES and same * 2 >= len(theirs)


def _near_mm(places: np.ndarray, run: Run) -> float:
    """Slices closer than this are at one place."""
    gaps = np.diff(np.unique(places))
    thickness = run.first.thickness_mm or 5.0
    gaps = gaps[gaps > max(0.5, 0.4 * thickness)]  # not those between takes of one slice
    return NEW_PLACE * min(float(np.median(gaps)) if len(gaps) else thickness, ROOM * thickness)


def _grown(seed: list[Run], others: list[Run]) -> Stack:
    """The seed's slices, the later of those taken again, and what other runs have at new places."""
    grid = _grid([slice_ for run in seed for slice_ in _slices(run)])
    own = [_placed(run, grid) for run in seed]
    gap = _near_mm(np.array([s.place_mm for slices in own for s in slices]), seed[0])
    taken: list[Slice] = []
    again: list[Slice] = []
    out: list[tuple[Slice, str]] = []
    known = {id(run) for run in seed}
    for slices in sorted(own, key=lambda s: _worth(s[0].run), reverse=True):
        _add(slices, taken, again, gap, new_only=False)
    near = [run for run in others if angle_deg(run.normal, grid.normal) < SAME_VIEW_DEG and id(run) not in known]
    for run in sorted(near, key=_worth, reverse=True):
        slices = _placed(run, grid)
        reason = _reason(run, seed[0], grid)
        if not reason:
            _add(slices, taken, again, gap, new_only=True)
            continue
        within = [s for s in slices if _is_inside(s, taken, gap)]
        out += [(s, reason) for s in within if min(abs(s.place_mm - t.place_mm) for t in taken) >= gap]
    return Stack(
        grid,
        tuple(sorted(taken, key=lambda s: s.place_mm)),
        tuple(again),
        tuple(sorted(out, key=lambda item: item[0].place_mm)),
    )


def _placed(run: Run, grid: Grid) -> list[Slice]:
    return [replace(slice_, place_mm=grid.place_mm(slice_.frame)) for slice_ in _slices(run)]


def _worth(run: Run) -> tuple[int, int, bool, int]:
    """Of runs for the same place: more slices, more phases, as acquired rather than derived, the later one."""
    return run.slices, run.phases, "DERIVED" not in run.first.image_type, run.number


def _add(slices: list[Slice], taken: list[Slice], again: list[Slice], gap: float, *, new_only: bool) -> None:
    """Slices at new places are taken; a few later ones of the same kind replace those at their places."""
    for slice_ in slices:
        at = [k for k, other in enumerate(taken) if _same_place(other, slice_, gap)]
        if not at:
            taken.append(slice_)
        elif not new_only or not any(_replaces(slice_, taken[k]) for k in at):
            again.append(slice_)
        else:
            k = min(at, key=lambda k: abs(taken[k].place_mm - slice_.place_mm))
            again.append(taken[k])
            taken[k] = slice_


def _same_place(a: Slice, b: Slice, gap: float) -> bool:
    """Whether two runs have a slice there; positions of one run are all its own."""
    return a.run is not b.run and abs(a.place_mm - b.place_mm) < gap


def _replaces(slice_: Slice, other: Slice) -> bool:
    """Whether a slice is a later take of another, with the same pixels and as many phases."""
    near = 0.4 * (slice_.frame.thickness_mm or 5.0)
    return (
        slice_.run.slices < MIN_SLICES <= other.run.slices
        and slice_.run.number > other.run.number
        and len(slice_.take.frames) >= WHOLE * len(other.take.frames)
        and same_pixels(slice_.frame, other.frame)
        and abs(slice_.place_mm - other.place_mm) < near
    )


def _reason(run: Run, seed: Run, grid: Grid) -> str:
    """Why a run's slices cannot stand in a stack; "" where they can."""
    if (run.first.study, run.first.patient) != (seed.first.study, seed.first.patient):
        return "of another study"
    if not run.same_exam(seed):
        return "in another frame of reference, so that their places cannot be compared"
    tilt = grid.tilt_deg(run.first)
    if tilt > most_tilt_deg(run.first.thickness_mm):
        return f"tilted by {tilt:.0f} degrees, too much to be laid into the stack's planes"
    return ""


def _is_inside(slice_: Slice, taken: list[Slice], gap: float) -> bool:
    """Whether a slice lies in the stack or just beyond its ends."""
    places = [t.place_mm for t in taken]
    return min(places) - 2.5 * gap < slice_.place_mm < max(places) + 2.5 * gap
