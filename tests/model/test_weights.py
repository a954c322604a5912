"""A weights file describes itself."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.models import TRAINING, awake

from dmcvr.errors import InputError
from dmcvr.model.checkpoint import save_weights
from dmcvr.model.presets import ALIGNED, COMPACT, TINY
from dmcvr.model.weights import FOLDER, ORIENTER, VIEWS, bundled, describe, find, is_bundled
from dmcvr.options import BUNDLED, DEFAULT_SEGMENTER


def test_bundled_weights_describe_themselves() -> None:
    found = {info.path.stem: info for info in bundled()}
    assert set(BUNDLED.values()) <= set(found)
    for preset in (ALIGNED.in_one_call(), COMPACT):
        assert replace(found[preset.name].preset, about=preset.about) == preset
    for name, info in found.items():
        kinds = {ORIENTER: "orienter", DEFAULT_SEGMENTER: "segmenter", VIEWS: "views", "deeprecon": "generator"}
        assert info.kind == kinds.get(name, "autoencoder")
        assert is_bundled(info)
        assert {"data", "patients", "steps", "minutes"} <= set(info.training)
        assert info.path.stat().st_size < 60 * 2**20  # they go into the wheel


def test_a_name_or_a_path(tmp_path: Path) -> None:
    assert find("aligned") == FOLDER / "aligned.safetensors"
    path = tmp_path / "mine.safetensors"
    assert find(path) == path
    save_weights(awake(), path, preset=TINY, training=TRAINING, before=[{"steps": 5}])
    info = describe(path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044  # the group reads it, too
    assert not is_bundled(info)
    assert not is_bundled(None)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [stage["steps"] for stage in info.stages] == [5, 1]
    assert info.training == TRAINING


def test_damaged_weights_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="There are no weights at"):
        describe(path)
    for content in (b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!", b"", b"\x02" + b"\0" * 7 + b"{}"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a dmcvr weights file"):
            describe(path)
