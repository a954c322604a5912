"""`dmcvr phantom`."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.program import refusal

from dmcvr.cli.main import main
from dmcvr.io.acdc import read_acdc


def test_phantoms_are_written_as_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["phantom", "-o", str(tmp_path), "-n", "2", "--seed", "4", "--spacing", "16"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["phantom004", "phantom005"]
    assert read_acdc(tmp_path / "phantom005", with_labels=True).spacing_mm == pytest.approx(16)
    assert len(list((tmp_path / "phantom005").glob("phantom005_LA_*_gt.nii.gz"))) == 4
    main(["phantom", "-o", str(tmp_path / "other"), "--spacing", "16", "--no-long-axis"])
    assert not list((tmp_path / "other").rglob("*_LA_*"))
    assert "2 exam(s)" in capsys.readouterr().out
    none = refusal("phantom", "-o", tmp_path, "-n", 0, capsys=capsys)
    assert none == "Expected at least one exam; got -n 0."
