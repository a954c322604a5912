"""ED and ES on curves of known shape."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dmcvr.clinical.cycle import beat_ms, find_cycle


def beat(phases: int = 30, edv: float = 150.0, esv: float = 60.0, es_at: float = 0.36) -> NDArray[np.float64]:
    """A volume curve: ED at phase 0, ES at `es_at` of the beat, a shallow atrial kick near the end."""
    t = np.arange(phases) / phases
    fall, rise = np.cos(np.pi * t / es_at), -np.cos(np.pi * (t - es_at) / (1 - es_at))
    kick = -0.04 * np.exp(-(((t - 0.85) / 0.05) ** 2))
    return esv + (edv - esv) * (0.5 + 0.5 * np.where(t < es_at, fall, rise) + kick)


@pytest.mark.parametrize("phases", [12, 20, 30])
@pytest.mark.parametrize("turn", [0, 4])
def test_largest_and_smallest_wherever_the_recording_starts(phases: int, turn: int) -> None:
    found = find_cycle(np.roll(beat(phases), turn))
    assert abs((found.ed - turn + phases // 2) % phases - phases // 2) <= 1
    assert abs((found.es - turn) % phases - 0.36 * phases) <= 1
    assert found.warnings == ()


def test_one_bad_phase_does_not_decide() -> None:
    curve = beat()
    curve[20] = 58.0  # one phase segmented too small; true ES is near phase 11
    assert abs(find_cycle(curve).es - 11) <= 1


def test_given_phases_stay() -> None:
    found = find_cycle(beat(), ed=2, es=14)
    assert (found.ed, found.es) == (2, 14)
    assert find_cycle(beat(), es=14).ed == 0


@pytest.mark.parametrize(
    ("curve", "sentence"),
    [
        (beat(esv=146.0), "ejection fraction of 3 %"),
        (beat(esv=10.0), "ejection fraction of 93 %"),
        (np.r_[beat(15), beat(15)], "more than once"),
        (np.r_[150.0, 60.0, np.linspace(80, 140, 10)], "neighbours"),
        (np.where(np.arange(30) == 7, 0.0, beat()), "empty"),
        (np.zeros(30), "empty"),
    ],
)
def test_implausible_curves_are_said(curve: NDArray[np.float64], sentence: str) -> None:
    warnings = find_cycle(curve).warnings
    assert any(sentence in warning for warning in warnings), warnings


def test_a_beat_is_the_times_and_one_step_more() -> None:
    assert beat_ms([0.0, 40.0, 80.0, 120.0]) == 160
    assert beat_ms([10.0, 30.0, 70.0]) == 90
    for times in (None, [0.0, 400.0], [0.0, 0.0, 0.0]):
        assert beat_ms(times) is None
