"""The page of an evaluation: nothing gets through unescaped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image

from dmcvr.evaluate.page import write_evaluation
from dmcvr.evaluate.tables import Table

SCRIPT = "<script>alert(1)</script>"


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
