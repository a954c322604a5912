"""The cardiac cycle: end-diastole and end-systole from the volumes of a cine's phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import ndimage

#: A cine has at least so many phases; with fewer there is no curve to look at.
MIN_PHASES = 3

#: Standard deviation of the smoothing, as a share of the heartbeat: less than a phase in 30.
SMOOTHING = 1 / 40

#: A second dip counts from this share of the stroke volume: the atrial kick makes smaller ones.
SECOND_DIP = 0.25

#: Ejection fractions outside these are seldom true, in percent.
PLAUSIBLE_EF_PERCENT = (5.0, 85.0)


@dataclass(frozen=True)
class Cycle:
    """Indices of end-diastole and end-systole, and what looks wrong with the curve they come from."""

    ed: int
    es: int
    warnings: tuple[str, ...] = ()


def find_cycle(lv_cavity_ml: Float64[np.ndarray, " P"], *, ed: int | None = None, es: int | None = None) -> Cycle:
    """ED and ES as the largest and the smallest LV cavity over a lightly smoothed curve; a given one stays.

    `lv_cavity_ml` (P,) holds the phases of one heartbeat in order; the last is followed by the first. The
    smoothing (Gaussian, periodic) keeps one badly segmented phase of many from deciding; volumes themselves are
    never smoothed.
    """
    smooth = ndimage.gaussian_filter1d(lv_cavity_ml, SMOOTHING * len(lv_cavity_ml), mode="wrap")
    first = int(np.argmax(smooth)) if ed is None else ed
    last = int(np.argmin(smooth)) if es is None else es
    return Cycle(first, last, tuple(_doubts(lv_cavity_ml, smooth, first, last)))


def beat_ms(times_ms: Sequence[float] | None) -> float | None:
    """How long the heartbeat of these phases takes: their times and one more step; None where that is not known."""
    if times_ms is None or len(times_ms) < MIN_PHASES or times_ms[-1] <= times_ms[0]:
        return None
    return (times_ms[-1] - times_ms[0]) * len(times_ms) / (len(times_ms) - 1)


def _doubts(values: Float64[np.ndarray, " P"], smooth: Float64[np.ndarray, " P"], ed: int, es: int) -> list[str]:
    """Sentences, for people."""
    doubts = []
    if values.min() <= 0:
        doubts.append("The LV cavity is empty in some phase: the heart was not found there.")
    if values[ed] > 0:
        ef_percent = 100 * (1 - values[es] / values[ed])
        low, high = PLAUSIBLE_EF_PERCENT
        if not low <= ef_percent <= high:
            doubts.append(f"An LV ejection fraction of {ef_percent:.0f} % is implausible: check ED and ES.")
    if len(values) > MIN_PHASES and abs(ed - es) in (0, 1, len(values) - 1):
        doubts.append("ED and ES are the same phase or neighbours: give them with --ed and --es.")
    if _dips(smooth) > 1:
        doubts.append("The LV volume falls and rises more than once in the heartbeat: check ED and ES.")
    return doubts


def _dips(smooth: Float64[np.ndarray, " P"]) -> int:
    """How often the periodic curve falls and rises again by `SECOND_DIP` of its range."""
    least = SECOND_DIP * float(np.ptp(smooth))
    if least <= 0:
        return 0
    from_top = np.roll(smooth, -int(np.argmax(smooth)))
    dips, top, bottom, falling = 0, from_top[0], from_top[0], False
    for value in [*from_top[1:], from_top[0]]:
        if not falling:
            top = max(top, value)
            if top - value >= least:
                falling, bottom = True, value
        else:
            bottom = min(bottom, value)
            if value - bottom >= least:
                falling, top, dips = False, value, dips + 1
    return dips
