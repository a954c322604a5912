"""How two ways to measure agree: bias, limits of agreement (Bland & Altman 1986), ICC (Shrout & Fleiss 1979)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def agreement(value: NDArray[np.float64], manual: NDArray[np.float64]) -> dict[str, float]:
    """Bias, SD, limits of agreement, mean absolute error and ICC(2,1) of pairs (n,); those with nan drop out."""
    both = np.isfinite(value) & np.isfinite(manual)
    value, manual = value[both], manual[both]
    error = value - manual
    bias, sd = float(error.mean()), float(error.std(ddof=1)) if len(error) > 1 else float("nan")
    return {
        "patients": len(error),
        "bias": bias,
        "sd": sd,
        "loa_low": bias - 1.96 * sd,
        "loa_high": bias + 1.96 * sd,
        "mean_abs": float(np.abs(error).mean()),
        "icc": icc(np.stack([value, manual], axis=1)),
    }


def icc(ratings: NDArray[np.float64]) -> float:
    """ICC(2,1) of (n, k) ratings of n subjects by k raters (Shrout & Fleiss 1979); nan for fewer than two subjects."""
    n, k = ratings.shape
    if n < 2:
        return float("nan")
    mean = ratings.mean()
    between = k * float(np.square(ratings.mean(axis=1) - mean).sum()) / (n - 1)
    raters = n * float(np.square(ratings.mean(axis=0) - mean).sum()) / (k - 1)
    total = float(np.square(ratings - mean).sum())
    rest = (total - between * (n - 1) - raters * (k - 1)) / ((n - 1) * (k - 1))
    spread = between + (k - 1) * rest + k * (raters - rest) / n
    return (between - rest) / spread if spread else float("nan")
