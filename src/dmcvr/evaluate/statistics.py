"""Means over patients, and paired differences with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dmcvr.evaluate.metric import Metric

#: Bootstrap resamples of the patients, and the share of them inside an interval.
RESAMPLES, CONFIDENCE = 10_000, 0.95


def per_patient(rows: pd.DataFrame, metric: Metric) -> pd.Series[float]:
    """Each patient's mean of a metric; an error enters by its size. What is nan drops out."""
    values = rows[metric.key].abs() if metric.better == "zero" else rows[metric.key]
    return values.groupby(rows["patient"]).mean().dropna()


@dataclass(frozen=True)
class Difference:
    """Mean over patients of (method - reference), and its 95 % interval."""

    mean: float
    low: float
    high: float
    patients: int

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def paired_difference(method: pd.Series[float], reference: pd.Series[float]) -> Difference:
    """Paired over the patients that both have; percentile bootstrap over patients (SciPy), always the same draws.

    With few patients the interval is too narrow; with one there is none (nan).
    """
    from scipy.stats import bootstrap

    gaps = (method - reference).dropna().sort_index().to_numpy(dtype=float)
    mean = float(gaps.mean()) if len(gaps) else float("nan")
    if len(gaps) < 2:
        return Difference(mean, np.nan, np.nan, len(gaps))
    if np.ptp(gaps) == 0:
        return Difference(mean, mean, mean, len(gaps))
    interval = bootstrap(
        (gaps,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Difference(mean, float(interval.low), float(interval.high), len(gaps))


def rank_correlation(one: pd.Series[float], other: pd.Series[float]) -> float:
    """Spearman's; nan where one of them does not vary."""
    if min(one.nunique(), other.nunique()) < 2:
        return float("nan")
    return float(one.corr(other, method="spearman"))


def best_of(candidates: dict[str, pd.Series[float]], metric: Metric) -> str | None:
    """The name of the candidate with the best mean over patients; None where there is none with a value."""
    merits = {name: metric.merit(float(values.mean())) for name, values in candidates.items() if len(values)}
    return max(merits, key=lambda name: merits[name]) if merits else None
