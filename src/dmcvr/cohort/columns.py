"""The cohort as columns: a hundred thousand exams' numbers fit in memory so, their pictures and sentences do not."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dmcvr.cohort.ledger import Row

#: What an exam's distance from the cohort is judged by, and what is drawn as distributions.
MAIN = (
    "lv_ef_percent",
    "lv_edv_ml",
    "lv_esv_ml",
    "lv_mass_g",
    "rv_ef_percent",
    "rv_edv_ml",
    "rv_esv_ml",
    "wall_thickness_max_mm",
    "gls_midwall_peak_percent",
    "mapse_mm",
)

#: Fewer exams than this are no cohort to be far from.
FEWEST = 8

#: A median absolute deviation is so much less than the standard deviation of a normal distribution.
MAD_TO_SD = 1.4826


@dataclass
class Quantity:
    """One number of every exam, nan where it is not known, with the bounds of its interval."""

    unit: str
    value: array[float] = field(default_factory=lambda: array("d"))
    low: array[float] = field(default_factory=lambda: array("d"))
    high: array[float] = field(default_factory=lambda: array("d"))

    def put(self, row: int, entry: dict[str, Any]) -> None:
        """Enter what an exam has of it."""
        if entry["value"] is not None:
            _put(self.value, row, entry["value"])
        if entry["low"] is not None:
            _put(self.low, row, entry["low"])
        if entry["high"] is not None:
            _put(self.high, row, entry["high"])


def _put(column: array[float], row: int, number: float) -> None:
    if len(column) < row:
        column.extend([float("nan")] * (row - len(column)))
    column.append(number)


@dataclass
class Columns:
    """Exams in the order in which they were added, those that are measured and those that failed.

    ==========  =============  ===================================================================
    exams       N names
    measured    N              whether it is measured; else it failed
    report      N              whether it has a page
    looks       N              how many checks ask for a second look
    unknown     N              how many could not be made
    seconds     N              that it took
    bytes       N              of its folder
    attempts    N
    versions    N              indices into `known_versions`, -1 where it failed
    flags       name: rows     the exams of which a check asks for a second look, ascending
    kinds       name: rows     the exams that failed so, ascending
    quantities  name: numbers  of the measured exams; `numbers` gives them for all
    ==========  =============  ===================================================================
    """

    exams: list[str] = field(default_factory=list)
    measured: array[int] = field(default_factory=lambda: array("B"))
    report: array[int] = field(default_factory=lambda: array("B"))
    looks: array[int] = field(default_factory=lambda: array("B"))
    unknown: array[int] = field(default_factory=lambda: array("B"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    bytes: array[int] = field(default_factory=lambda: array("q"))
    attempts: array[int] = field(default_factory=lambda: array("l"))
    versions: array[int] = field(default_factory=lambda: array("h"))
    known_versions: dict[tuple[str, str | None], int] = field(default_factory=dict)
    flags: dict[str, array[int]] = field(default_factory=dict)
    kinds: dict[str, array[int]] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """One more exam."""
        n, summary = len(self.exams), row.summary or {}
        levels = [flag["level"] for flag in summary.get("flags", ())]
        self.exams.append(row.exam)
        self.measured.append(row.state == "done")
        self.report.append(bool(summary.get("report")))
        self.looks.append(levels.count("look"))
        self.unknown.append(levels.count("unknown"))
        self.seconds.append(row.seconds)
        self.bytes.append(row.bytes)
        self.attempts.append(row.attempts)
        self.versions.append(self._version(summary.get("versions")))
        for flag in summary.get("flags", ()):
            if flag["level"] == "look":
                self.flags.setdefault(flag["name"], array("l")).append(n)
        if row.state != "done":
            self.kinds.setdefault(row.kind, array("l")).append(n)
        for name, entry in summary.get("measures", {}).items():
            if name not in self.quantities:
                self.quantities[name] = Quantity(entry["unit"])
            self.quantities[name].put(n, entry)

    def _version(self, versions: dict[str, Any] | None) -> int:
        if versions is None:
            return -1
        key = (versions["dmcvr"], versions["weights"])
        return self.known_versions.setdefault(key, len(self.known_versions))

    def numbers(self, name: str, bound: str = "value") -> NDArray[np.float64]:
        """(N,) a quantity, or a bound ("low", "high") of it; nan where it is not known."""
        column = getattr(self.quantities[name], bound)
        return np.concatenate([np.frombuffer(column, np.float64), np.full(len(self.exams) - len(column), np.nan)])

    @property
    def bounded(self) -> list[str]:
        """The quantities of which an exam has an interval."""
        return [name for name, found in self.quantities.items() if len(found.low) or len(found.high)]


@dataclass(frozen=True)
class Distance:
    """How far each exam lies from the cohort's median, in robust standard deviations.

    ========  ==========  ====================================================================
    names     M           of `MAIN`, those that the cohort has enough exams and spread of
    medians   (M,)
    scales    (M,)        1.4826 times the median absolute deviation
    farthest  (N,)        the largest absolute distance over these quantities; 0 where none is known
    which     (N,)        the index of that quantity; -1 where none is known
    ========  ==========  ====================================================================
    """

    names: tuple[str, ...]
    medians: NDArray[np.float64]
    scales: NDArray[np.float64]
    farthest: NDArray[np.float64]
    which: NDArray[np.intp]

    @classmethod
    def of(cls, columns: Columns, main: Sequence[str] = MAIN) -> Distance:
        names: list[str] = []
        medians, scales = [], []
        farthest = np.zeros(len(columns.exams))
        which = np.full(len(columns.exams), -1)
        for name in main:
            if name not in columns.quantities:
                continue
            values = columns.numbers(name)
            known = values[np.isfinite(values)]
            middle = float(np.median(known)) if len(known) else 0.0
            scale = MAD_TO_SD * float(np.median(np.abs(known - middle))) if len(known) >= FEWEST else 0.0
            if scale == 0:
                continue
            away = np.nan_to_num(np.abs(values - middle) / scale)
            which[away > farthest] = len(names)
            farthest = np.maximum(farthest, away)
            names.append(name)
            medians.append(middle)
            scales.append(scale)
        return cls(tuple(names), np.array(medians), np.array(scales), farthest, which)
