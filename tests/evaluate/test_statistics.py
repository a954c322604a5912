"""Means, intervals and agreement against numbers known from elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dmcvr.evaluate.clinical import agreement, icc
from dmcvr.evaluate.contenders import Contenders
from dmcvr.evaluate.statistics import best_of, paired_difference, per_patient
from dmcvr.evaluate.tables import clinical_tables, comparison, heading
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


def test_patients_count_once() -> None:
    """A patient with many slices weighs as much as one with few; nan drops out; errors count by size."""
    rows = [{"patient": "a", "x": 1.0, "e_error": -2.0}, {"patient": "a", "x": 3.0, "e_error": 2.0}]
    rows += [{"patient": "b", "x": float("nan"), "e_error": 1.0}, {"patient": "b", "x": 5.0, "e_error": 1.0}]
    assert per_patient(rows, "x") == {"a": 2.0, "b": 5.0}
    assert per_patient(rows, "e_error") == {"a": 2.0, "b": 1.0}


def test_paired_intervals() -> None:
    """A constant gain among patients who differ widely: paired, it is certain; noise around zero is not."""
    rng = np.random.default_rng(0)
    base = {str(n): float(value) for n, value in enumerate(rng.normal(20, 5, 20))}
    better = {key: value + 0.3 + 0.05 * float(rng.standard_normal()) for key, value in base.items()}
    gap = paired_difference(better, base, "base")
    assert gap.excludes_zero
    assert gap.low < 0.3 < gap.high
    assert gap.high - gap.low < 0.1
    assert gap.patients == 20
    noise = {key: value + float(rng.standard_normal()) for key, value in base.items()}
    assert not paired_difference(noise, base, "base").excludes_zero
    assert paired_difference(better, base, "base") == gap
    alone = paired_difference({"0": 1.0}, {"0": 0.5}, "base")
    assert (alone.mean, alone.patients, alone.excludes_zero) == (0.5, 1, False)


def test_which_is_best() -> None:
    values = {"a": {"p": 0.8}, "b": {"p": 1.1}, "c": {"p": 1.5}, "d": {}}
    assert best_of(values, "ssim") == "c"
    assert best_of(values, "hd95_lv_cavity_mm") == "a"
    assert best_of(values, "feature_distance") == "a"
    assert best_of(values, "sharpness") == "b"
    assert best_of({"d": {}}, "ssim") is None


def test_tables(engine: Engine) -> None:
    contenders = Contenders(("dmcvr", "nearest", "linear"), engine=engine).all
    rows: list[dict[str, Any]] = [
        {"patient": p, "task": "t", "level": level, "method": m, "psnr_db": base + gain, "aligned_psnr_db": 30.0}
        for p, base in (("a", 10.0), ("b", 20.0))
        for level in ("base", "mid")
        for m, gain in (("dmcvr", 2.0), ("nearest", 0.0), ("linear", 1.0))
    ]
    tables = {table.title: table for table in comparison("level")(rows, contenders)}
    assert "| t | linear | 2 | 16.00 |" in tables["Means over patients"].markdown()
    assert (
        "| t | dmcvr | psnr dB | 17.00 | 16.00 | linear | **+1.00 [+1.00, +1.00]** | 2 |"
        in tables["Against the best plain method"].markdown()
    )
    assert "| t | base | dmcvr | 2 | 17.00 |" in tables["By level"].markdown()
    assert not [title for title in tables if title.startswith("Against nearest")]
    bars = {t.title: t for t in comparison(bars=(("nearest", ("psnr",)), ("absent", ("psnr",))))(rows, contenders)}
    assert "| t | dmcvr | psnr dB | 17.00 | 15.00 | nearest | **+2.00" in bars["Against nearest"].markdown()
    assert "Against absent" not in bars
    assert "30.00" in tables["After the best in-plane translation of at most 5 mm"].markdown()
    printed = [title for title, table in tables.items() if not table.further]
    assert printed == ["Means over patients", "Against the best plain method"]
    assert heading("aligned_hd95_lv_myocardium_mm") == "hd95 myo mm"


def test_clinical_table(engine: Engine) -> None:
    rows = [
        {"patient": str(n), "group": "AB"[n % 2], "task": "lv_edv_ml", "method": "m", "value": n + 1.0, "manual": n}
        for n in range(6)
    ]
    whole, by_group = clinical_tables(rows, Contenders(("linear",), engine=engine).all)
    assert "| lv edv mL | m | 6 | +1.00 | 0.00 | +1.0 to +1.0 | 1.00 |" in whole.markdown()
    assert "| lv edv mL | B | m | 3 | +1.00 |" in by_group.markdown()
