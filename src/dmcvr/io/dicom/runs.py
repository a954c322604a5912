"""Runs: the frames of one series on parallel planes, by position and time, and what kind of pictures they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.takes import MIN_CINE_PHASES, Take, take_of

#: Planes whose axes differ by less are parallel.
PARALLEL_DEG = 1.0

#: Frames of parallel planes closer than this lie at one position.
SAME_PLACE_MM = 0.5

#: From base to apex in RAS+, as most hearts lie, and how far a short axis' normal may be from it.
USUAL_AXIS = np.array([-0.67, 0.62, -0.40])
USUAL_WITHIN_DEG = 42.0

#: What a series' description may say of it. A description is what somebody typed: it ranks, it never decides.
_TECHNIQUES = {
    "scout": r"scouts?|locali[sz]ers?|survey|aahscout",
    "perfusion": r"perfusion|first ?pass",
    "late enhancement": r"lge|psir|late gadolinium|(late|delayed) enhancement|viability",
    "tagging": r"tagging|tagged|spamm|csptagg",
    "mapping": r"(sh)?molli|sasha|(t1|t2|t2star|ecv) ?(map|mapping)|mapping",
    "flow": r"flow|venc|velocity|phase contrast",
}

#: Image types of pictures whose grey values are phases or velocities.
_PHASE_TYPES = {"P", "PHASE", "PHASE MAP", "VELOCITY", "V", "PHASE CONTRAST"}


@dataclass(frozen=True, eq=False)
class Run:
    """Frames of one series with one matrix on parallel planes.

    `label` is what `--series` calls it: the series' number, or another name where that is missing or not its own.
    """

    frames: tuple[DicomFrame, ...]
    label: str = ""

    @property
    def first(self) -> DicomFrame:
        return self.frames[0]

    @cached_property
    def space(self) -> str:
        """Frame of reference; "" where an anonymiser gave each frame another (a series has one by definition)."""
        spaces = {frame.space for frame in self.frames}
        return spaces.pop() if len(spaces) == 1 else ""

    @property
    def normal(self) -> Float64[np.ndarray, " 3"]:
        """(3,) unit normal; its sign is the header's."""
        return self.first.normal

    @cached_property
    def positions(self) -> tuple[tuple[float, Take], ...]:
        """Positions along `normal` in mm, ascending, each with one take of one heartbeat."""
        heights = np.array([frame.centre @ self.normal for frame in self.frames])
        order = np.argsort(heights, kind="stable")
        groups: list[list[int]] = []
        for index in order:
            if groups and heights[index] - heights[groups[-1][-1]] < SAME_PLACE_MM:
                groups[-1].append(int(index))
            else:
                groups.append([int(index)])
        return tuple((float(np.mean(heights[g])), take_of(self.frames[i] for i in g)) for g in groups)

    @property
    def phases(self) -> int:
        """The most phases of any position."""
        return max(len(take.frames) for _, take in self.positions)

    @property
    def slices(self) -> int:
        return len(self.positions)

    @cached_property
    def technique(self) -> str:
        """What the description says this is, other than anatomy: "scout", "late enhancement", ...; or ""."""
        if "LOCALIZER" in self.first.image_type:
            return "scout"
        text = " ".join(re.findall(r"[a-z0-9]+", self.first.words))
        return next((name for name, words in _TECHNIQUES.items() if re.search(rf"\b({words})\b", text)), "")

    @property
    def is_flow(self) -> bool:
        """Whether grey values are phases or velocities: the image type says so, not the description."""
        return bool(_PHASE_TYPES & set(self.first.image_type))

    @cached_property
    def is_cine(self) -> bool:
        """Whether most positions show one heartbeat in several phases."""
        return not self.is_flow and sum(take.is_beat for _, take in self.positions) * 2 > self.slices

    @cached_property
    def is_still(self) -> bool:
        """Whether most positions show a picture or a few, not a map nor a heartbeat each."""
        few = [len(take.frames) < MIN_CINE_PHASES and not take.is_map for _, take in self.positions]
        return not self.is_flow and sum(few) * 2 > self.slices

    @property
    def spacing_mm(self) -> float | None:
        """Median distance of neighbouring positions."""
        return float(np.median(np.diff([place for place, _ in self.positions]))) if self.slices > 1 else None

    @property
    def number(self) -> int:
        return self.first.series_number or 0

    @property
    def is_oblique_as_a_short_axis(self) -> bool:
        """Whether the normal lies near the usual direction of the heart's long axis."""
        cosine = abs(float(self.normal @ USUAL_AXIS)) / np.linalg.norm(USUAL_AXIS)
        return bool(cosine > np.cos(np.radians(USUAL_WITHIN_DEG)))

    def same_exam(self, other: Run) -> bool:
        """Whether positions of both compare: one study, patient and frame of reference."""
        a, b = self.first, other.first
        return (a.study, a.patient) == (b.study, b.patient) and (
            self.space == other.space or not self.space or not other.space
        )


def find_runs(frames: list[DicomFrame]) -> tuple[list[Run], int]:
    """All runs, those with the lowest series numbers first, and how many frames were there twice."""
    once = {_identity(frame): frame for frame in reversed(frames)}
    name = _series_names(list(once.values()))
    series: dict[tuple[object, ...], list[list[DicomFrame]]] = defaultdict(list)
    for frame in sorted(once.values(), key=lambda f: (f.series_number or 0, f.series, f.number or 0, f.index)):
        velocity = bool(set(frame.image_type) & _PHASE_TYPES)
        pixel = tuple(round(size, 3) for size in frame.pixel_mm)
        key = (frame.patient, frame.study, name[_series(frame)], frame.shape, pixel, velocity)
        for planes in series[key]:
            if are_parallel(planes[0], frame):
                planes.append(frame)
                break
        else:
            series[key].append([frame])
    found = [Run(tuple(planes), str(key[2])) for key, group in series.items() for planes in group]
    return _told_apart(found), len(frames) - len(once)


def _told_apart(runs: list[Run]) -> list[Run]:
    """Of several runs of one series that may each be a stack, the second is "7/2", the third "7/3"."""
    count: Counter[str] = Counter()
    named = []
    for run in runs:
        if run.slices > 2:
            count[run.label] += 1
            if count[run.label] > 1:
                run = replace(run, label=f"{run.label}/{count[run.label]}")
        named.append(run)
    return named


def _identity(frame: DicomFrame) -> tuple[object, ...]:
    """What is the same of two files only if they hold one picture: some anonymisers give all files one UID."""
    times = frame.trigger_ms, frame.temporal, frame.number, frame.acquired_s, frame.written_s
    return (frame.instance, frame.index, frame.series, frame.shape, frame.affine.tobytes(), frame.image_type, *times)


def _series(frame: DicomFrame) -> tuple[str, str, str, int | None]:
    return frame.patient, frame.study, frame.series, frame.series_number


def _series_names(frames: list[DicomFrame]) -> dict[tuple[str, str, str, int | None], str]:
    """What each series is called: its number, "7b" where two share one, "x1" where there is none.

    Where every picture is a series of its own, those of one number and description are one series again.
    """
    sizes = Counter(_series(frame) for frame in frames)
    scattered = [key for key in sizes if sizes[key] == 1]
    pool: dict[tuple[str, str, str, int | None], tuple[object, ...]] = {key: key for key in sizes}
    if len(scattered) >= 2 * MIN_CINE_PHASES and len(scattered) > 0.9 * len(sizes):
        shared = Counter(key[3] for key in scattered)
        words = {_series(frame): frame.words for frame in frames}
        for key in scattered:
            pool[key] = (key[0], key[1], words[key], key[3] if shared[key[3]] > 1 else None)
    names: dict[tuple[object, ...], str] = {}
    count: Counter[int | None] = Counter()
    for key in sorted(sizes, key=lambda k: (k[3] or 0, k)):
        if pool[key] in names:
            continue
        number = key[3]
        count[number] += 1
        if number is None:
            names[pool[key]] = f"x{count[number]}"
        else:
            names[pool[key]] = f"{number}" if count[number] == 1 else f"{number}{_letters(count[number])}"
    return {key: names[pool[key]] for key in sizes}


def _letters(count: int) -> str:
    """2: "b", 3: "c", ..., 27: "aa", ..."""
    text = ""
    while count:
        count, rest = divmod(count - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def are_parallel(a: DicomFrame, b: DicomFrame) -> bool:
    """Whether rows and columns of both run the same way."""
    cosines = [a.affine[:3, k] @ b.affine[:3, k] / a.pixel_mm[k] / b.pixel_mm[k] for k in (0, 1)]
    return bool(min(cosines) > np.cos(np.radians(PARALLEL_DEG)))


def angle_deg(a: Float64[np.ndarray, " 3"], b: Float64[np.ndarray, " 3"]) -> float:
    """Between two normals: 0 parallel, 90 perpendicular."""
    return float(np.degrees(np.arccos(np.clip(abs(float(a @ b)), 0, 1))))


def most_common(values: list[int]) -> int:
    """The commonest; of equals, the largest."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))
