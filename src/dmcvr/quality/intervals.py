"""Intervals that hold: what the draws say of each measure, brought to a level by conformal prediction.

A measure's draws (`dmcvr.quality.spread`) give a standard deviation for each source. On exams that no network and no
choice has seen, the error of the measure over that number is a score; the scores' quantile is how many standard
deviations an interval has to reach (split conformal prediction with a normalised score: Lei et al., J Am Stat Assoc
2018, 113:1094, sect. 5.2; Papadopoulos et al. 2002). There are two kinds of truth, so there are two quantiles:
annotators' labels tell how far the segmenter's borders are off, and synthetic hearts, whose volumes are exact and whose
labels are given, tell the rest: what lies between slices, at base and apex, and shifts. The two half widths add in
squares.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE
from dmcvr.clinical.measures import MYOCARDIAL_DENSITY_G_PER_ML
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.quality.spread import SOURCES, Spread

Array = NDArray[np.float64]

FILE = Path(__file__).parent / "intervals.json"

#: The share of hearts whose true value lies inside.
LEVEL = 0.9

#: The sources whose truth is exact in synthetic hearts, by the kind of truth that calibrates them.
KINDS = {"segmentation": SOURCES[:1], "geometry": SOURCES[1:]}

METHOD = (
    "Draws of where borders, the space between slices, base, apex and shifts may lie, brought to the level by "
    "conformal prediction on exams that were not used otherwise: annotators' labels for the segmentation, synthetic "
    "hearts of exact volume for the rest. With given labels, their borders count as right."
)


@dataclass(frozen=True)
class Quantity:
    """A measure as a function of volumes (..., P, 3) in mL of LV cavity, whole LV and RV cavity; ED, ES are phases."""

    unit: str
    of: Callable[[Array, int, int], Array]
    most: float = np.inf


def _full(structure: int) -> Quantity:
    return Quantity("mL", lambda v, ed, es: v[..., ed, structure])


def _emptied(structure: int) -> Quantity:
    return Quantity("mL", lambda v, ed, es: v[..., es, structure])


def _ejected(structure: int) -> Quantity:
    return Quantity("mL", lambda v, ed, es: v[..., ed, structure] - v[..., es, structure])


def _fraction(structure: int) -> Quantity:
    return Quantity(
        "%",
        lambda v, ed, es: 100 * (1 - v[..., es, structure] / np.maximum(v[..., ed, structure], 1e-6)),
        most=100.0,
    )


def _muscle(v: Array, phase: int) -> Array:
    return np.asarray(v[..., phase, WHOLE] - v[..., phase, CAVITY])


def _wall(v: Array, ed: int, es: int) -> Array:
    """Of a tube with these volumes, whose length does not count: it is in proportion to the wall's thickness."""
    inner, outer = (np.sqrt(np.maximum(v[..., ed, s], 0)) for s in (CAVITY, WHOLE))
    return np.asarray(outer - inner)


#: By their names in measures.json. The wall's is its share of itself, times what was measured.
QUANTITIES: dict[str, Quantity] = {
    "lv_edv_ml": _full(CAVITY),
    "lv_esv_ml": _emptied(CAVITY),
    "lv_sv_ml": _ejected(CAVITY),
    "lv_ef_percent": _fraction(CAVITY),
    "lv_mass_g": Quantity("g", lambda v, ed, es: MYOCARDIAL_DENSITY_G_PER_ML * _muscle(v, ed)),
    "lv_myocardium_ml": Quantity("mL", lambda v, ed, es: _muscle(v, ed)),
    "rv_edv_ml": _full(RIGHT),
    "rv_esv_ml": _emptied(RIGHT),
    "rv_sv_ml": _ejected(RIGHT),
    "rv_ef_percent": _fraction(RIGHT),
    "wall_mean_mm": Quantity("mm", _wall),
    "wall_max_mm": Quantity("mm", _wall),
}


#: Calibrated together with another.
SAME_AS = {"lv_myocardium_ml": "lv_mass_g"}

#: What a draw leaves of a volume at least, as a share of it.
LEAST = 0.05


def standard_deviations(
    quantity: Quantity, value: float, spread: Spread, volumes_ml: Float64[np.ndarray, "P 3"], ed: int, es: int
) -> dict[str, float]:
    """Of a measure by source; `volumes_ml` (P, 3) are those measured."""
    here = float(quantity.of(volumes_ml, ed, es))
    scale = value / here if quantity.unit == "mm" and here > 0 else 1.0
    return {
        source: float(scale * np.std(quantity.of(np.maximum(volumes_ml + off, LEAST * volumes_ml), ed, es)))
        for source, off in spread.off_ml.items()
    }


def by_kind(sd: dict[str, float]) -> dict[str, float]:
    """The sources of one kind of truth together."""
    return {kind: float(np.hypot.reduce([sd[source] for source in sources])) for kind, sources in KINDS.items()}


@dataclass(frozen=True)
class Calibration:
    """The scores |error| / SD by kind of truth and measure, and of how many exams they are."""

    exams: dict[str, int]
    scores: dict[str, dict[str, list[float]]]

    @classmethod
    @cache
    def read(cls, path: Path = FILE) -> Calibration:
        record = json.loads(path.read_text(encoding="utf-8"))
        return cls(record["exams"], record["scores"])

    def write(self, path: Path = FILE) -> None:
        record = asdict(self)
        record["scores"] = {
            kind: {name: [round(s, 3) for s in sorted(scores)] for name, scores in measures.items()}
            for kind, measures in self.scores.items()
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def reach(self, kind: str, measure: str, level: float = LEVEL) -> float:
        """How many standard deviations to either side."""
        return quantile(np.array(self.scores[kind][SAME_AS.get(measure, measure)]), level)

    def shares(self, measure: str, sd: dict[str, float], level: float = LEVEL) -> dict[str, float]:
        """Of the interval's variance, by source."""
        parts = {
            source: (self.reach(kind, measure, level) * sd[source]) ** 2
            for kind, sources in KINDS.items()
            for source in sources
        }
        whole = sum(parts.values())
        return {source: round(part / whole, 3) if whole > 0 else 0.0 for source, part in parts.items()}

    def half_width(self, measure: str, sd: dict[str, float], level: float = LEVEL) -> float:
        """Of a measure with these standard deviations by source."""
        parts = [self.reach(kind, measure, level) * value for kind, value in by_kind(sd).items() if value > 0]
        return float(np.hypot.reduce(parts)) if parts else 0.0


def quantile(scores: Float64[np.ndarray, " M"], level: float) -> float:
    """The conformal quantile: of M scores, the one of rank ceil((M + 1) level); the largest where M is too small."""
    rank = int(np.ceil((len(scores) + 1) * level - 1e-9))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def intervals(
    spread: Spread,
    measures: dict[str, Any],
    phases: tuple[str, ...],
    *,
    level: float = LEVEL,
    calibration: Calibration | None = None,
) -> dict[str, Any]:
    """The intervals of the measures (as measures.json has them) of these phases, ready for JSON.

    ========  =====================================================================================================
    level     the share of hearts whose true value is meant to lie inside
    method    a sentence
    measures  by name "value", "low", "high", "unit", "sd" (by source, as the draws have it) and "share" (of the
              interval's variance, by source); of those that are known
    phases    by phase and volume (lv_cavity_ml, lv_myocardium_ml, rv_cavity_ml) "low" and "high"
    ========  =====================================================================================================
    """
    calibration = calibration or Calibration.read()
    of_phase = [measures["dense_volume"]["phases"][phase] for phase in phases]
    cavity, muscle, right = (np.array([v[f"{name}_ml"] for v in of_phase]) for name in LABEL_NAMES.values())
    volumes = np.stack([cavity, cavity + muscle, right], axis=1)

    def around(name: str, value: float, ed: int, es: int) -> dict[str, Any]:
        quantity = QUANTITIES[name]
        sd = standard_deviations(quantity, value, spread, volumes, ed, es)
        half = calibration.half_width(name, sd, level)
        return {
            "value": value,
            "low": round(max(value - half, 0.0), 2),
            "high": round(min(value + half, quantity.most), 2),
            "unit": quantity.unit,
            "sd": {source: round(part, 4) for source, part in sd.items()},
            "share": calibration.shares(name, sd, level),
        }

    known, ed, es = _known(measures, phases)
    return {
        "level": level,
        "method": METHOD,
        "measures": {name: around(name, value, ed, es) for name, value in known.items()},
        "phases": {
            phase: {
                f"{name}_ml": {key: found[key] for key in ("low", "high")}
                for name, found in zip(
                    LABEL_NAMES.values(),
                    (
                        around("lv_edv_ml", float(cavity[p]), p, p),
                        around("lv_myocardium_ml", float(muscle[p]), p, p),
                        around("rv_edv_ml", float(right[p]), p, p),
                    ),
                    strict=True,
                )
            }
            for p, phase in enumerate(phases)
        },
    }


def _known(measures: dict[str, Any], phases: tuple[str, ...]) -> tuple[dict[str, float], int, int]:
    """The measures that have a number, and the indices of ED and ES."""
    found: dict[str, float | None] = {}
    names = measures["ed_phase"], measures["es_phase"]
    ed, es = (phases.index(name) if name in phases else 0 for name in names)
    for side in ("lv", "rv"):
        for key, value in measures["dense_volume"].get(side, {}).items():
            found[f"{side}_{key}"] = value
    wall = measures.get("wall_thickness") or {}
    if wall.get("phase") in phases:
        found |= {"wall_mean_mm": wall["mean_mm"], "wall_max_mm": wall["max_mm"]}
        ed = phases.index(wall["phase"])
    return {name: value for name, value in found.items() if name in QUANTITIES and value is not None}, ed, es
