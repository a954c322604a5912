"""Metrics by hand; protocols that a broken method cannot pass."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dmcvr.engine import Engine
from dmcvr.errors import InputError
from dmcvr.evaluate.protocols import clinical, held_out, round_trip, segmentation
from dmcvr.evaluate.run import evaluate, summary_table
from dmcvr.metrics import dice, psnr_db, sharpness, ssim
from dmcvr.phantom import Phantom, Scan, make_phantom, write_phantom
from dmcvr.train.split import Split


def test_metrics_by_hand() -> None:
    a = np.zeros((16, 16))
    assert psnr_db(a, a + 0.1) == pytest.approx(20.0)
    assert ssim(a, a) == 1.0
    mask = np.arange(8) < 4
    assert dice(mask, np.arange(8) < 2) == pytest.approx(2 * 2 / 6)
    assert np.isnan(dice(mask & False, mask & False))
    ramp = np.tile(np.linspace(0, 1.5, 16), (16, 1))
    assert sharpness(ramp) == pytest.approx(0.1)


def test_rows_and_means() -> None:
    rows = [
        {"patient": "a", "phase": "ED", "dice_x": 0.5, "ef_error": -2.0},
        {"patient": "b", "phase": "ED", "dice_x": 0.7, "ef_error": 4.0},
    ]
    table = summary_table(rows).splitlines()
    assert table[0] == "| phase | patients | dice_x | ef_error: mean abs (bias) |"
    assert table[2] == "| ED | 2 | 0.600 | 3.00 (+1.00) |"


def test_segmentation_and_round_trip(phantom: Phantom, engine: Engine) -> None:
    rows = list(segmentation("p", phantom.stack, engine))
    assert [row["phase"] for row in rows] == ["ED", "ES"]
    assert min(row["dice_lv_cavity"] for row in rows) > 0.85
    assert all(0.5 < row["ssim"] <= 1 for row in round_trip("p", phantom.stack, engine))


def test_held_out_is_held_out(engine: Engine) -> None:
    """Drawn slices do not change when the true ones do: no method sees what it is judged by."""
    from dataclasses import replace

    exam = make_phantom(3, Scan(spacing_mm=5)).stack.select_phases([0])
    rows = {row["method"]: row for row in held_out("p", exam, engine)}
    assert set(rows) == {"dmcvr", "nearest", "linear", "shape"}
    assert rows["linear"]["task"] == "5.0 mm stack"
    assert rows["linear"]["psnr_db"] > rows["nearest"]["psnr_db"]
    spoilt_images = exam.images.copy()
    spoilt_images[:, 1::2] = spoilt_images[:, 1::2][:, ::-1]
    spoilt = {row["method"]: row for row in held_out("p", replace(exam, images=spoilt_images), engine)}
    assert spoilt["shape"]["dice_lv_cavity"] == rows["shape"]["dice_lv_cavity"]
    assert spoilt["linear"]["psnr_db"] < rows["linear"]["psnr_db"] - 2


def test_clinical(phantom: Phantom, engine: Engine) -> None:
    rows = {row["method"]: row for row in clinical("p", phantom.stack, engine)}
    assert set(rows) == {"dmcvr", "shape", "slice summation"}
    assert abs(rows["slice summation"]["lv_ef_error_percent"]) < 8


def test_evaluate_writes_rows_and_a_table(tmp_path: Path) -> None:
    write_phantom(make_phantom(0, Scan(spacing_mm=16)), tmp_path / "data" / "phantom000")
    Split((), (), ("phantom000",)).write(tmp_path / "split.json")
    table = evaluate(
        "segmentation", tmp_path / "data", output=tmp_path / "out", split=tmp_path / "split.json", device="cpu"
    )
    assert "| ED | 1 |" in table
    with (tmp_path / "out" / "rows.csv").open() as file:
        assert [row["patient"] for row in csv.DictReader(file)] == ["phantom000"] * 2
    with pytest.raises(InputError, match="None of the split's validation patients"):
        evaluate("segmentation", tmp_path / "data")
