"""Means, intervals and agreement against numbers known from elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dmcvr.evaluate.agreement import agreement, icc
from dmcvr.evaluate.contenders import Contenders
from dmcvr.evaluate.metric import DICE, METRICS, Metric
from dmcvr.evaluate.statistics import best_of, paired_difference, per_patient
from dmcvr.evaluate.tables import Table, clinical_tables, comparison, segmentation_tables
from dmcvr.fill.engine import Engine

#: Shrout & Fleiss 1979, Table 2: six targets rated by four judges; their ICC(2,1) is 0.29.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_icc_as_published() -> None:
    assert icc(JUDGES) == pytest.approx(0.29, abs=0.005)
    assert icc(JUDGES[:, [0, 0]]) == pytest.approx(1)
    assert np.isnan(icc(JUDGES[:1]))


def test_agreement_by_hand() -> None:
    found = agreement(np.array([1.0, 2, 6, np.nan]), np.array([0.0, 2, 4, 1]))
    assert found["patients"] == 3
    assert found["bias"] == pytest.approx(1)
    assert found["sd"] == pytest.approx(1)
    assert (found["loa_low"], found["loa_high"]) == pytest.approx((-0.96, 2.96))
    assert found["mean_abs"] == pytest.approx(1)


@pytest.mark.parametrize(("patients", "low", "bold"), [(4, 0.01, False), (5, 0.01, True), (5, -0.01, False)])
def test_an_interval_is_bold_from_five_patients_on(patients: int, low: float, bold: bool) -> None:
    numbers = {"mean": 0.5, "its": 0.4, "which": "linear", "difference": 0.1, "low": low, "high": 0.2}
    line = {"method": "shape", "metric": "ssim", **numbers, "patients": patients}
    (shown,) = Table("Against linear", "differences", pd.DataFrame([line])).text["difference [95 % interval]"]
    assert shown.startswith("**+0.1") == bold


def test_patients_count_once() -> None:
    """A patient with many slices weighs as much as one with few; nan drops out; errors count by size."""
    rows = pd.DataFrame(
        {
            "patient": ["a", "a", "b", "b", "c"],
            "ssim": [1.0, 3.0, np.nan, 5.0, np.nan],
            "mass_error_g": [-2.0, 2.0, 1.0, 1.0, -3.0],
        }
    )
    assert per_patient(rows, METRICS["ssim"]).to_dict() == {"a": 2.0, "b": 5.0}
    assert per_patient(rows, METRICS["mass_error_g"]).to_dict() == {"a": 2.0, "b": 1.0, "c": 3.0}


def test_paired_intervals() -> None:
    """A constant gain among patients who differ widely: paired, it is certain; noise around zero is not."""
    rng = np.random.default_rng(0)
    base = pd.Series(rng.normal(20, 5, 20), index=[str(n) for n in range(20)])
    better = base + 0.3 + 0.05 * rng.standard_normal(20)
    gap = paired_difference(better, base)
    assert gap.excludes_zero
    assert gap.low < 0.3 < gap.high
    assert gap.high - gap.low < 0.1
    assert gap.patients == 20
    assert not paired_difference(base + rng.standard_normal(20), base).excludes_zero
    assert paired_difference(better.iloc[::-1], base) == gap
    assert paired_difference(better.iloc[:5], base).patients == 5
    alone = paired_difference(pd.Series({"0": 1.0}), pd.Series({"0": 0.5}))
    assert (alone.mean, alone.patients, alone.excludes_zero) == (0.5, 1, False)


def test_which_is_best() -> None:
    values = {name: pd.Series({"p": value}) for name, value in (("a", 0.8), ("b", 1.1), ("c", 1.5))}
    values["d"] = pd.Series(dtype=float)
    for key, best in (
        ("ssim", "c"),
        ("hd95_lv_cavity_mm", "a"),
        ("gmsd", "a"),
        ("sharpness", "b"),
        ("spectrum_fine", "b"),
        ("flicker_ratio", "a"),
    ):
        assert best_of(values, METRICS[key]) == best
    errors = {"a": pd.Series({"p": -3.0}), "b": pd.Series({"p": 2.0})}
    assert best_of(errors, METRICS["mass_error_g"]) == "b"
    assert best_of({"d": values["d"]}, METRICS["ssim"]) is None
    with pytest.raises(ValueError, match="shift_mm is not compared"):
        METRICS["shift_mm"].merit(1.0)


def test_a_metric_knows_how_it_is_shown() -> None:
    error = METRICS["shifted_hd95_lv_myocardium_mm"]
    assert (error.heading, error.text(1.239), error.text(np.nan)) == ("HD95 myo mm", "1.24", "-")
    assert Metric("x", "X").text(0.5, signed=True) == "+0.500"


def rows_of(gains: dict[str, float], **more: Any) -> pd.DataFrame:
    """PSNR of two patients at two levels: 10 and 20 dB, and each method's gain."""
    return pd.DataFrame(
        [
            {"patient": p, "task": "t", "level": level, "method": m, "psnr_db": base + gain, **more}
            for p, base in (("a", 10.0), ("b", 20.0))
            for level in ("base", "mid")
            for m, gain in gains.items()
        ]
    )


def test_tables(engine: Engine) -> None:
    contenders = Contenders(("dmcvr", "nearest", "linear"), engine=engine).all
    rows = rows_of({"dmcvr": 2.0, "nearest": 0.0, "linear": 1.0}, shifted_psnr_db=30.0, shift_mm=1.5)
    bars = (("nearest", (METRICS["psnr_db"], *DICE)), ("absent", (METRICS["psnr_db"],)))
    tables = {table.title: table for table in comparison("level", bars=bars)(rows, contenders)}
    assert "| t | linear | 2 | 16.00 | 1.50 |" in tables["Means over patients"].markdown()
    best = tables["Against the best plain method"].markdown()
    assert "| t | dmcvr | PSNR dB | 17.00 | 16.00 | linear | +1.00 [+1.00, +1.00] | 2 |" in best
    assert "translation" not in best
    assert "| t | base | dmcvr | 2 | 17.00 |" in tables["By level"].markdown()
    assert (
        "| t | dmcvr | PSNR dB | 17.00 | 15.00 | nearest | +2.00 [+2.00, +2.00] | 2 |"
        in tables["Against nearest"].markdown()
    )
    assert "Against absent" not in tables
    assert "30.00" in tables["After the best in-plane translation of at most 5 mm"].markdown()
    printed = [title for title, table in tables.items() if not table.further]
    assert printed == ["Means over patients", "Against the best plain method", "Against nearest"]
    for table in tables.values():
        assert Table.of(table.record()).markdown() == table.markdown()


def test_only_the_same_labels_are_compared(engine: Engine) -> None:
    """A bar that is given manual labels is none for those that are not, and the other way round."""
    gains = {"dmcvr": 2.0, "dmcvr:labels=manual": 3.0, "linear": 1.0, "shape:labels=manual": 0.0}
    contenders = Contenders(tuple(gains), engine=engine).all
    bars = tuple((name, (METRICS["psnr_db"],)) for name in ("linear", "shape:labels=manual"))
    tables = {table.title: table.numbers for table in comparison(bars=bars)(rows_of(gains), contenders)}
    for title, pairs in (
        ("Against linear", [("dmcvr", "linear")]),
        ("Against shape:labels=manual", [("dmcvr:labels=manual", "shape:labels=manual")]),
        ("Against the best plain method", [("dmcvr", "linear"), ("dmcvr:labels=manual", "shape:labels=manual")]),
    ):
        assert list(zip(tables[title]["method"], tables[title]["which"], strict=True)) == pairs


def test_plain_methods_are_compared_among_each_other(engine: Engine) -> None:
    """Where no network takes part, with the bar alone: no plain method is ours."""
    gains = {"shape:labels=manual": 1.0, "linear:labels=manual": 3.0, "linear": 5.0}
    contenders = Contenders(tuple(gains), engine=engine).all
    tables = comparison(bars=(("shape:labels=manual", (METRICS["psnr_db"],)),))(rows_of(gains), contenders)
    assert [table.title for table in tables] == ["Means over patients", "Against shape:labels=manual"]
    lines = tables[1].numbers
    assert list(lines["method"]) == ["linear:labels=manual"]
    assert list(lines["difference"]) == [2.0]


def test_clinical_table(engine: Engine) -> None:
    rows = pd.DataFrame(
        [
            {"patient": str(n), "group": "AB"[n % 2], "task": "lv_edv_ml", "method": "m", "value": n + 1.0, "manual": n}
            for n in range(6)
        ]
    )
    whole, by_group = clinical_tables(rows, Contenders(("linear",), engine=engine).all)
    assert "| LV EDV mL | m | 6 | +1.00 | 0.00 | +1.0 to +1.0 | 1.00 |" in whole.markdown()
    assert "| LV EDV mL | B | m | 3 | +1.00 |" in by_group.markdown()


def test_annotators_stand_beside_the_segmenter() -> None:
    """Their scan is not one of the segmenter's patients."""
    rows = pd.DataFrame(
        [
            {"patient": p, "group": "g", "phase": "ED", "level": "all", "method": m, "dice_lv_cavity": value}
            for p, m, value in (("a", "segmenter", 0.9), ("b", "segmenter", 0.8), ("c = d", "annotators", 0.96))
        ]
    )
    tables = {table.title: table.markdown() for table in segmentation_tables(rows, ())}
    assert "| segmenter | 2 | 0.850 |" in tables["Whole stacks, mean of the phases"]
    assert "annotators" not in tables["By phase"]
    assert "| ED | annotators | 1 | 0.960 |" in tables["Beside two annotators of one scan"]
