"""Intervals: the conformal quantile, what they are made of, and that they hold where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmcvr.clinical.measures import PhaseVolumes, measures
from dmcvr.exam.stack import Patient
from dmcvr.quality.intervals import KINDS, QUANTITIES, SAME_AS, Calibration, intervals, quantile
from dmcvr.quality.spread import SOURCES, Spread

NAMES = [name for name in QUANTITIES if name not in SAME_AS]


def spread(sd_ml: float, phases: int = 2) -> Spread:
    rng = np.random.default_rng(0)
    half = rng.normal(0, sd_ml, (100, phases, 3))
    return Spread({source: np.concatenate([half, -half]) for source in SOURCES})


def even(reach: float) -> Calibration:
    return Calibration({kind: 19 for kind in KINDS}, {kind: dict.fromkeys(NAMES, [reach] * 19) for kind in KINDS})


def of_two_phases() -> dict:
    volumes = PhaseVolumes(150.0, 100.0, 160.0), PhaseVolumes(60.0, 105.0, 80.0)
    return measures(volumes, volumes, ("ED", "ES"), Patient())


def test_the_quantile_is_the_conformal_one() -> None:
    scores = np.arange(1.0, 20.0)  # 19 of them
    assert quantile(scores, 0.9) == 18
    assert quantile(scores, 0.95) == 19
    assert quantile(scores[:5], 0.9) == 5


def test_intervals_hold_on_exams_that_are_alike() -> None:
    """Errors in proportion to the draws' SD, whatever their scale: nine of ten lie inside, for any factor."""
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(300):
        sd = rng.uniform(0.5, 5, 40)
        scores = np.abs(3.7 * sd * rng.standard_t(4, 40)) / sd
        inside.append(scores[-1] <= quantile(scores[:-1], 0.9))
    assert 0.86 < np.mean(inside) < 0.95


def test_an_interval_lies_around_its_value_and_says_what_it_is_made_of() -> None:
    found = intervals(spread(5.0), of_two_phases(), ("ED", "ES"), calibration=even(2.0))
    assert found["level"] == 0.9
    assert {"lv_edv_ml", "lv_ef_percent", "lv_mass_g", "rv_ef_percent"} <= set(found["measures"])
    for name, one in found["measures"].items():
        assert one["low"] < one["value"] < one["high"], name
        assert sum(one["share"].values()) == pytest.approx(1, abs=0.01)
        assert set(one["sd"]) == set(SOURCES)
    edv = found["measures"]["lv_edv_ml"]  # four sources of 5 mL, two SD each
    assert (edv["high"] - edv["low"]) / 2 == pytest.approx(2 * 5 * 2, rel=0.15)
    assert found["phases"]["ED"]["lv_cavity_ml"]["low"] == pytest.approx(edv["low"])
    assert found["measures"]["lv_ef_percent"]["high"] <= 100


def test_a_surer_level_is_wider_and_given_labels_are_narrower() -> None:
    calibration = Calibration(
        {kind: 19 for kind in KINDS}, {kind: {key: list(np.linspace(0.1, 3, 19)) for key in NAMES} for kind in KINDS}
    )
    wide, narrow = (
        intervals(spread(5.0), of_two_phases(), ("ED", "ES"), level=level, calibration=calibration)["measures"]
        for level in (0.95, 0.5)
    )
    given = spread(5.0)
    given.off_ml["segmentation"][:] = 0
    sure = intervals(given, of_two_phases(), ("ED", "ES"), level=0.95, calibration=calibration)["measures"]
    for name in wide:
        assert wide[name]["low"] <= narrow[name]["low"]
        assert wide[name]["high"] >= sure[name]["high"]
        assert sure[name]["share"]["segmentation"] == 0


def test_one_phase_alone_has_volumes_but_no_function() -> None:
    volumes = (PhaseVolumes(150.0, 100.0, 160.0),)
    found = intervals(spread(5.0, 1), measures(volumes, volumes, ("0",), Patient()), ("0",), calibration=even(1.6))
    assert found["measures"] == {}
    low, high = (found["phases"]["0"]["lv_myocardium_ml"][key] for key in ("low", "high"))
    assert low < 100 < high


def test_the_calibration_comes_back_and_the_packages_own_is_whole(tmp_path: Path) -> None:
    even(1.5).write(tmp_path / "c.json")
    assert Calibration.read(tmp_path / "c.json") == even(1.5)
    own = Calibration.read()
    for kind in KINDS:
        assert set(own.scores[kind]) == set(NAMES)
        assert all(len(scores) >= 15 for scores in own.scores[kind].values())
        assert all(0.5 < own.reach(kind, name) < 10 for name in NAMES)
