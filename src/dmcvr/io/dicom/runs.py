"""Runs: the frames of one series on parallel planes, by position and time, and what kind of pictures they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from dmcvr.io.dicom.headers import DicomFrame

#: Planes whose axes differ by less are parallel.
PARALLEL_DEG = 1.0

#: Frames of parallel planes closer than this lie at one position.
SAME_PLACE_MM = 0.5

#: A slice of a cine has at least this many phases.
MIN_CINE_PHASES = 5

#: The phases of a cine are taken together; of a perfusion series, heartbeat by heartbeat.
MAX_BREATH_HOLD_S = 3.0

#: From base to apex in RAS+, as most hearts lie, and how far a short axis' normal may be from it.
USUAL_AXIS = np.array([-0.67, 0.62, -0.40])
USUAL_WITHIN_DEG = 42.0

#: Words of a series' description (split at every other character) that say what no geometry shows.
_TECHNIQUES = {
    "scout": r"scouts?|locali[sz]ers?|survey|loc|aahscout|plan",
    "perfusion": r"perf|perfusion|firstpass",
    "late enhancement": r"lge|psir|late|delayed|de|viab|viability",
    "tagging": r"tag|tags|tagged|tagging|spamm|grid",
    "mapping": r"molli|shmolli|sasha|t1map|t2map|t2star|mapping|map|ecv",
    "flow": r"flow|venc|velocity|pc",
}


@dataclass(frozen=True, eq=False)
class Run:
    """Frames of one series with one matrix on parallel planes."""

    frames: tuple[DicomFrame, ...]

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
        return np.asarray(self.first.affine[:3, 2])

    @cached_property
    def positions(self) -> tuple[tuple[float, tuple[DicomFrame, ...]], ...]:
        """Positions along `normal` in mm, ascending, each with its frames in order of time, without duplicates."""
        heights = np.array([centre(frame) @ self.normal for frame in self.frames])
        order = np.argsort(heights, kind="stable")
        groups: list[list[int]] = []
        for index in order:
            if groups and heights[index] - heights[groups[-1][-1]] < SAME_PLACE_MM:
                groups[-1].append(int(index))
            else:
                groups.append([int(index)])
        return tuple((float(np.mean(heights[g])), self._in_time([self.frames[i] for i in g])) for g in groups)

    @cached_property
    def has_times(self) -> bool:
        """Whether trigger times tell the phases of every position apart."""
        if any(frame.trigger_ms is None for frame in self.frames):
            return False
        return len({frame.trigger_ms for frame in self.frames}) > 1

    @property
    def phases(self) -> int:
        """The most phases of any position."""
        return max(len(frames) for _, frames in self.positions)

    @property
    def slices(self) -> int:
        return len(self.positions)

    @property
    def repeated(self) -> int:
        """Frames left out because another is at the same place and time."""
        return len(self.frames) - sum(len(frames) for _, frames in self.positions)

    @cached_property
    def technique(self) -> str:
        """What the description or the image type says this is, other than anatomy: "scout", "flow", ...; or ""."""
        types = set(self.first.image_type)
        if "LOCALIZER" in types:
            return "scout"
        if types & {"P", "PHASE", "PHASE MAP", "VELOCITY", "V", "PHASE CONTRAST"}:
            return "flow"
        words = set(re.split(r"[^a-z0-9]+", self.first.words))
        for name, pattern in _TECHNIQUES.items():
            if any(re.fullmatch(pattern, word) for word in words):
                return name
        return ""

    @cached_property
    def is_cine(self) -> bool:
        """Whether most positions show one heartbeat in several phases."""
        if self.technique:
            return False
        return sum(self._is_one_beat(frames) for _, frames in self.positions) * 2 > self.slices

    @property
    def spacing_mm(self) -> float | None:
        """Median distance of neighbouring positions."""
        return float(np.median(np.diff([place for place, _ in self.positions]))) if self.slices > 1 else None

    @property
    def is_oblique_as_a_short_axis(self) -> bool:
        """Whether the normal lies near the usual direction of the heart's long axis."""
        cosine = abs(float(self.normal @ USUAL_AXIS)) / np.linalg.norm(USUAL_AXIS)
        return bool(cosine > np.cos(np.radians(USUAL_WITHIN_DEG)))

    def angle_deg(self, other: Run) -> float:
        """Between the normals: 0 parallel, 90 perpendicular."""
        return float(np.degrees(np.arccos(np.clip(abs(float(self.normal @ other.normal)), 0, 1))))

    def joins(self, other: Run) -> bool:
        """Whether slices of both may stand in one stack: one study and frame, parallel axes, the same pixels."""
        a, b = self.first, other.first
        return (
            (a.study, a.patient, a.shape) == (b.study, b.patient, b.shape)
            and (self.space == other.space or not self.space or not other.space)
            and all(abs(x / y - 1) < 1e-3 for x, y in zip(a.pixel_mm, b.pixel_mm, strict=True))
            and are_parallel(a, b)
        )

    def _in_time(self, frames: list[DicomFrame]) -> tuple[DicomFrame, ...]:
        """In order of time; of frames at one time the first is kept."""
        ordered = sorted(frames, key=lambda f: (f.trigger_ms or 0.0, f.order) if self.has_times else (0.0, f.order))
        kept: dict[object, DicomFrame] = {}
        for frame in ordered:
            time = round(frame.trigger_ms or 0.0, 1) if self.has_times else frame.order
            kept.setdefault(time, frame)
        return tuple(kept.values())

    def _is_one_beat(self, frames: tuple[DicomFrame, ...]) -> bool:
        if len(frames) < MIN_CINE_PHASES:
            return False
        if self.has_times:
            return (frames[-1].trigger_ms or 0.0) - (frames[0].trigger_ms or 0.0) > 100
        clock = [frame.acquired_s for frame in frames if frame.acquired_s is not None]
        return not clock or max(clock) - min(clock) < MAX_BREATH_HOLD_S


def find_runs(frames: list[DicomFrame]) -> tuple[list[Run], int]:
    """All runs, those with the lowest series numbers first, and how many frames were there twice."""
    once = {(frame.instance, frame.index): frame for frame in reversed(frames)}
    series: dict[tuple[object, ...], list[list[DicomFrame]]] = defaultdict(list)
    for frame in sorted(once.values(), key=lambda f: (f.series_number or 0, f.series, f.order)):
        velocity = bool(set(frame.image_type) & {"P", "PHASE", "VELOCITY", "V"})
        key = (frame.patient, frame.study, frame.series, frame.shape, frame.pixel_mm, velocity)
        for planes in series[key]:
            if are_parallel(planes[0], frame):
                planes.append(frame)
                break
        else:
            series[key].append([frame])
    return [Run(tuple(planes)) for group in series.values() for planes in group], len(frames) - len(once)


def are_parallel(a: DicomFrame, b: DicomFrame) -> bool:
    """Whether rows and columns of both run the same way."""
    cosines = [a.affine[:3, k] @ b.affine[:3, k] / a.pixel_mm[k] / b.pixel_mm[k] for k in (0, 1)]
    return bool(min(cosines) > np.cos(np.radians(PARALLEL_DEG)))


def centre(frame: DicomFrame) -> Float64[np.ndarray, " 3"]:
    """(3,) the picture's middle in the world."""
    columns, rows = frame.shape
    return np.asarray((frame.affine @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[:3])


def most_common(values: list[int]) -> int:
    """The commonest; of equals, the largest."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))
