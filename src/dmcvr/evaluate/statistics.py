"""Means over patients, and paired differences with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.evaluate.case import Row

#: Bootstrap resamples of the patients, and the share of them inside an interval.
RESAMPLES, CONFIDENCE = 10_000, 0.95


def merit(metric: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value turned so that higher is better: an error counts by its size, sharpness by its distance from 1."""
    if "sharpness" in metric:
        return -np.abs(value - 1)
    if "error" in metric:
        return -np.abs(value)
    return -value if any(word in metric for word in ("distance", "hd95", "assd", "flicker")) else value


def per_patient(rows: Iterable[Row], metric: str) -> dict[str, float]:
    """Each patient's mean of a metric; an error enters by its size. What is nan drops out."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = float(row.get(metric, np.nan))
        if np.isfinite(value):
            values.setdefault(row["patient"], []).append(abs(value) if "error" in metric else value)
    return {patient: float(np.mean(numbers)) for patient, numbers in values.items()}


@dataclass(frozen=True)
class Difference:
    """Mean over patients of (method - reference), and its 95 % interval."""

    mean: float
    low: float
    high: float
    patients: int
    reference: str

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def paired_difference(method: dict[str, float], reference: dict[str, float], name: str) -> Difference:
    """Paired over the patients that both have; percentile bootstrap over patients (SciPy), always the same draws.

    With few patients the interval is too narrow; with one there is none (nan).
    """
    from scipy.stats import bootstrap

    both = sorted(set(method) & set(reference))
    gaps = np.array([method[patient] - reference[patient] for patient in both])
    if len(gaps) < 2:
        return Difference(float(gaps.mean()) if len(gaps) else float("nan"), np.nan, np.nan, len(gaps), name)
    if np.ptp(gaps) == 0:
        return Difference(float(gaps[0]), float(gaps[0]), float(gaps[0]), len(gaps), name)
    interval = bootstrap(
        (gaps,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Difference(float(gaps.mean()), float(interval.low), float(interval.high), len(gaps), name)


def best_of(candidates: dict[str, dict[str, float]], metric: str) -> str | None:
    """The name of the candidate with the best mean over patients; None where there is none with a value."""
    merits = {
        name: float(merit(metric, np.array([np.mean(list(values.values()))]))[0])
        for name, values in candidates.items()
        if values
    }
    return max(merits, key=lambda name: merits[name]) if merits else None
