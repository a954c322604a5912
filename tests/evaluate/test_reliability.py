"""Whether a probability is what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dmcvr.evaluate.case import Bench, Case
from dmcvr.evaluate.contenders import Contenders
from dmcvr.evaluate.protocols import PROTOCOLS
from dmcvr.evaluate.reliability import BINS, DRAWN, EVERY, SHOWN, by_patient, calibration_error, reliability
from dmcvr.evaluate.reliability import reliability_tables as tabulate
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.fill.engine import Engine
from dmcvr.phantom import Scan, make_phantom


def rows_of(patients: dict[str, list[tuple[int, float, float]]]) -> pd.DataFrame:
    """Of each patient bins of (pixels, mean foretold, share right), the same for both kinds."""
    return pd.DataFrame(
        [
            {
                **{"patient": name, "task": "5 mm away", "structure": EVERY, "kind": kind},
                **{"bin": min(int(said * BINS), BINS - 1), "pixels": n, "foretold": n * said, "right": n * right},
            }
            for kind in (DRAWN, SHOWN)
            for name, bins in patients.items()
            for n, said, right in bins
        ]
    )


def test_the_error_is_the_mean_gap_of_the_bins_by_their_pixels() -> None:
    """By hand: 300 pixels .1 too sure, 100 pixels .3 too unsure."""
    binned = by_patient(rows_of({"a": [(300, 0.9, 0.8), (100, 0.5, 0.8)]}).query(f"kind == '{DRAWN}'"))
    assert calibration_error(binned.sum(axis=0)) == pytest.approx((300 * 0.1 + 100 * 0.3) / 400)
    assert np.isnan(calibration_error(np.zeros((BINS, 3))))


def test_patients_are_pooled_and_drawn_again_whole() -> None:
    """One is too sure where the other is too unsure: together right, each by itself wrong, and the interval knows."""
    curves = rows_of({"a": [(100, 0.8, 0.7)], "b": [(100, 0.8, 0.9)]})
    errors, bins = tabulate(curves, ())
    line = errors.numbers.iloc[0]
    assert line["patients"] == 2
    assert line["pixels"] == 200
    assert line["drawn_error"] == pytest.approx(0, abs=1e-9)
    assert line["drawn_low"] == pytest.approx(0, abs=1e-9)
    assert line["drawn_high"] == pytest.approx(0.1)
    assert bins.numbers["right"].tolist() == pytest.approx([0.8, 0.8])
    assert "0.000 [0.000, 0.100]" in errors.markdown()
    assert np.isnan(tabulate(curves[curves["patient"] == "a"], ())[0].numbers.iloc[0]["drawn_low"])


def test_left_out_slices_are_judged_by_what_is_foretold_of_them(engine: Engine) -> None:
    exam = make_phantom(3, Scan(spacing_mm=5, thickness_mm=5))
    protocol = PROTOCOLS["reliability"]
    bench = Bench(engine, Contenders(protocol.methods, engine=engine).all)
    rows = pd.DataFrame(reliability(Case("p", exam.stack.select_phases([0])), bench).rows)
    assert set(rows["task"]) == {"acquired", "5 mm away"}
    assert set(rows["structure"]) == {EVERY, *LABEL_NAMES.values()}
    assert (rows["right"] <= rows["pixels"]).all()
    assert (rows["foretold"] <= rows["pixels"] + 1e-6).all()
    every = rows[rows["structure"] == EVERY].groupby(["task", "kind"])["pixels"].sum()
    assert every["5 mm away", DRAWN] == every["5 mm away", SHOWN]
    acquired = rows[rows["task"] == "acquired"].groupby("kind")["foretold"].sum()
    assert acquired[DRAWN] == pytest.approx(acquired[SHOWN], rel=1e-4)


def test_too_few_slices_tell_nothing(engine: Engine) -> None:
    exam = make_phantom(1)
    bench = Bench(engine, Contenders(PROTOCOLS["reliability"].methods, engine=engine).all)
    assert not reliability(Case("p", exam.stack.select_slices([3, 4])), bench).rows
