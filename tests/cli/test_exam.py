"""`dmcvr inspect` and `dmcvr export` (what they give is tested with the readers and writers)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.niftis import grey, save
from helpers.program import refusal, run

from dmcvr.cli.main import main


def test_inspect_says_what_would_be_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "cine.nii.gz", grey(20, 18, 4, 6))
    main(["inspect", str(path)])
    said = capsys.readouterr().out
    assert "short axis cine" in said
    assert said.splitlines()[-1] == "4 slices, 8 mm apart, 6 phases: would be reconstructed."
    main(["inspect", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    (piece,) = found["pieces"]
    assert (found["layout"], piece["slices"], piece["phases"], piece["taken"]) == ("nifti", 4, 6, True)
    assert piece["pixel_mm"] == [1.5, 1.5]


def test_inspect_does_without_torch(tmp_path: Path) -> None:
    done = run("inspect", save(tmp_path / "x.nii.gz", grey(20, 18, 4)))
    assert done.returncode == 0
    assert "torch" not in done.stderr.splitlines()[-1]


def test_export_needs_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refusal("export", tmp_path, "-o", tmp_path / "out", capsys=capsys)
    assert "no result of dmcvr reconstruct" in sentence
