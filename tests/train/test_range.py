"""The file of what the training patients span is what its command writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.io.acdc import list_patients, read_acdc
from dmcvr.phantom import Scan, make_phantom, write_phantom
from dmcvr.quality.training_range import FILE
from dmcvr.train.range import training_range
from dmcvr.train.split import BUNDLED_SPLIT, Split


def test_the_command_measures_the_training_patients(tmp_path: Path) -> None:
    for seed, spacing_mm in ((0, 20), (1, 16), (2, 12)):
        write_phantom(make_phantom(seed, Scan(spacing_mm=spacing_mm)), tmp_path / "exams" / f"phantom{seed:03d}")
    split, out = tmp_path / "split.json", tmp_path / "range.json"
    Split(("phantom000", "phantom001"), (), ("phantom002",)).write(split)
    main(["train", "range", "--data", str(tmp_path / "exams"), "--split", str(split), "--out", str(out)])
    record = json.loads(out.read_text())
    assert record["patients"] == 2
    assert record["ranges"]["spacing_mm"] == pytest.approx([16, 20])
    volumes = []
    for name in ("phantom000", "phantom001"):
        stack = read_acdc(tmp_path / "exams" / name, with_labels=True)
        assert stack.labels is not None
        voxel_ml = stack.pixel_mm[0] * stack.pixel_mm[1] * stack.spacing_mm / 1000
        volumes.append((stack.labels == 1).sum(axis=(1, 2, 3)).max() * voxel_ml)
    assert record["ranges"]["lv_cavity_ml"] == pytest.approx(sorted(volumes), rel=0.02)
    with pytest.raises(InputError, match="None of the training patients"):
        training_range(tmp_path / "exams", ("nobody",))


def test_the_bundled_file_is_what_the_command_writes(data: Path, tmp_path: Path) -> None:
    names = {folder.name for folder in list_patients(data / "acdc")}
    if not set(Split.read(BUNDLED_SPLIT).train) <= names:
        pytest.skip("not all training patients of ACDC are here")
    main(["train", "range", "--data", str(data / "acdc"), "--out", str(tmp_path / "range.json")])
    assert (tmp_path / "range.json").read_text() == FILE.read_text()
