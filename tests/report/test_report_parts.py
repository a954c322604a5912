"""The report's parts that need no exam: quality flags, drawings, and text made safe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from dmcvr.evaluate.page import write_evaluation
from dmcvr.evaluate.tables import Table
from dmcvr.quality.flags import (
    cut_off,
    implausible_between,
    misaligned,
    out_of_distribution,
    slices_differ,
    unsure,
    volumes_differ,
)
from dmcvr.quality.training_range import TrainingRange
from dmcvr.report import bullseye, page
from dmcvr.report.page import as_global, json_safe, script_safe

SCRIPT = "<script>alert(1)</script>"


def ring(n: int = 8, size: int = 40, radius: float = 12.0) -> np.ndarray:
    """(1, N, A, B) labels: a cone of LV, base first."""
    grid = np.stack(np.meshgrid(np.arange(size) - 20, np.arange(size) - 20, indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid, axis=-1)
    return np.stack(
        [
            np.where(distance < r - 3, 1, np.where(distance < r, 2, 0)).astype(np.uint8)
            for r in radius * np.sqrt(1 - (np.arange(n) / n) ** 2)
        ]
    )[None]


def test_cut_off() -> None:
    whole = np.concatenate([np.zeros((1, 1, 40, 40), np.uint8), ring()], axis=1)
    assert cut_off(whole).level == "fine"
    assert "apex" in cut_off(whole[:, :6]).text
    assert cut_off(whole[:, ::-1][:, 3:]).level == "look"
    assert "base" in cut_off(ring()).text
    assert cut_off(np.zeros((1, 5, 4, 4), np.uint8)).level == "unknown"


def test_misaligned() -> None:
    labels = ring()
    positions = np.arange(8) * 10.0
    assert misaligned(labels, positions, 1.5).level == "fine"
    tilted = np.stack([np.roll(slice_, n, axis=0) for n, slice_ in enumerate(labels[0])])[None]
    assert misaligned(tilted, positions, 1.5).level == "fine"  # a leaning heart is no jump
    jumped = labels.copy()
    jumped[0, 3] = np.roll(jumped[0, 3], 6, axis=1)
    found = misaligned(jumped, positions, 1.5)
    assert found.level == "look"
    assert "Slice 4 lies 9.0 mm" in found.text
    assert misaligned(labels[:, :2], positions[:2], 1.5).level == "unknown"


def test_confidence() -> None:
    assert [unsure(value).level for value in (0.95, 0.6, None)] == ["fine", "look", "unknown"]


def test_volumes_differ() -> None:
    def numbers(ml: float) -> dict[str, object]:
        return {"phases": {"ED": {"lv_cavity_ml": ml, "lv_myocardium_ml": 100.0, "rv_cavity_ml": 0.0}}}

    assert volumes_differ({"dense_volume": numbers(150), "slice_summation": numbers(145)}).level == "fine"
    found = volumes_differ({"dense_volume": numbers(150), "slice_summation": numbers(110)})
    assert found.level == "look"
    assert "LV cavity in phase ED, 150 mL in 3D against 110 mL" in found.text


def test_outlines_and_shape_between() -> None:
    labels = ring()
    assert slices_differ(labels, labels).level == "fine"
    assert slices_differ(np.roll(labels, 5, axis=2), labels).level == "look"
    dense = np.repeat(labels, 4, axis=1)
    heights, slices = np.arange(32) * 2.5, np.arange(8) * 10.0
    assert implausible_between(dense, heights, slices).level == "fine"
    dense[0, 14] = 0
    assert "between slices 4 and 5" in implausible_between(dense, heights, slices).text


def test_out_of_distribution() -> None:
    known = TrainingRange.read()
    usual = {name: (low + high) / 2 for name, (low, high) in known.ranges.items()}
    assert out_of_distribution(usual, known).level == "fine"
    found = out_of_distribution(usual | {"spacing_mm": 25.0}, known)
    assert found.level == "look"
    assert "slice distance 25.0 mm (5.0 to 10.0)" in found.text
    assert out_of_distribution(usual, None).level == "unknown"
    exams = [usual, usual | {"pixel_mm": 9.0}]
    assert TrainingRange.measured(exams).ranges["pixel_mm"] == (usual["pixel_mm"], 9.0)


def test_bullseye() -> None:
    thickness = {str(n): None if n == 5 else 4.0 + n for n in range(1, 18)}
    found = bullseye.segments(thickness)
    assert [s.number for s in found] == list(range(1, 18))
    assert found[0].y < -70  # anterior on top
    assert abs(found[0].x) < 1e-6
    assert found[1].x < -30  # then anteroseptal, on the left
    assert found[4].fill == "none"
    assert (bullseye.shade(1), bullseye.shade(30)) == (0, 5)
    assert len(bullseye.legend()) == 6


def test_text_inside_scripts() -> None:
    assert "<" not in json_safe({"a": "</script><!--"})
    assert json.loads(json_safe({"a": "</script>"})) == {"a": "</script>"}
    assert script_safe('"</SCRIPT>" + "<!-- a"') == '"\\x3c/SCRIPT>" + "\\x3c!-- a"'
    assert as_global("let a = 1;\nexport {\n  a,\n  b as c\n};\n//# sourceMappingURL=x", "m").endswith(
        "globalThis.m = { a: a, c: b };"
    )


def test_evaluation_page(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plot.png")
    table = Table("Means", "means", pd.DataFrame({"method": ["<b>x</b>", "linear"], "ssim": [0.7, 0.6]}))
    run = {"protocol": "held-out", "methods": ["dmcvr"], "patients": [SCRIPT], "versions": ["dmcvr 1"], "weights": None}
    write_evaluation(tmp_path, "First.\n\nSecond\nline.", [table], run)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<p>Second line.</p>" in text
    assert "&lt;b&gt;x" in text
    assert "<script" not in text
    assert "Patient by patient" in text


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((page.VIEWER / "package-lock.json").read_text(encoding="utf-8"))
    assert "node_modules/@niivue/niivue" in lock["packages"]
    assert all("resolved" not in package for package in lock["packages"].values())
