"""What moves over the heartbeat moves smoothly, and never out of what the slices allow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.optimize import lsq_linear

#: Fewer phases are no curve.
LEAST_PHASES = 8


def steady(
    estimate_mm: Float64[np.ndarray, " P"],
    sd_mm: Float64[np.ndarray, " P"],
    low_mm: Float64[np.ndarray, " P"],
    high_mm: Float64[np.ndarray, " P"],
    *,
    step_mm: float,
) -> Float64[np.ndarray, " P"]:
    """Something that hardly moves, such as the apex: from one phase to the next, `step_mm` (SD)."""
    return _fitted(estimate_mm, sd_mm, low_mm, high_mm, _steps(len(estimate_mm)) / step_mm)


def smooth(
    estimate_mm: Float64[np.ndarray, " P"],
    sd_mm: Float64[np.ndarray, " P"],
    low_mm: Float64[np.ndarray, " P"],
    high_mm: Float64[np.ndarray, " P"],
    *,
    excursion_mm: float,
) -> Float64[np.ndarray, " P"]:
    """Something that goes forth and back once a heartbeat, such as the base: its acceleration is limited.

    A swing of `excursion_mm`, twice as fast as an even one, is usual. Fewer than eight phases are left as they are.
    """
    phases = len(estimate_mm)
    if phases < LEAST_PHASES:
        return np.clip(estimate_mm, low_mm, high_mm)
    usual = excursion_mm / 2 * (4 * np.pi / phases) ** 2
    steps = _steps(phases)
    return _fitted(estimate_mm, sd_mm, low_mm, high_mm, (np.roll(steps, 1, axis=0) - steps) / usual)


def _steps(phases: int) -> Float64[np.ndarray, "P P"]:
    """The differences from each phase to the next; the last is followed by the first."""
    return np.roll(np.eye(phases), 1, axis=1) - np.eye(phases)


def _fitted(
    estimate: Float64[np.ndarray, " P"],
    sd: Float64[np.ndarray, " P"],
    low: Float64[np.ndarray, " P"],
    high: Float64[np.ndarray, " P"],
    coherence: Float64[np.ndarray, "P P"],
) -> Float64[np.ndarray, " P"]:
    """Least squares between bounds."""
    rows = np.concatenate([np.diag(1 / sd), coherence])
    wanted = np.concatenate([estimate / sd, np.zeros(len(estimate))])
    return np.asarray(lsq_linear(rows, wanted, (low - 1e-6, high + 1e-6)).x)
