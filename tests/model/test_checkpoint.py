"""Weights to a file and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.models import TINY_ALIGNED, TRAINING, awake

from dmcvr.errors import InputError
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.checkpoint import load_autoencoder, load_morphology, load_segmenter, save_weights
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import COMPACT, TINY, Preset
from dmcvr.model.stack_segmenter import StackSegmenter


@pytest.mark.parametrize("preset", [TINY, TINY_ALIGNED], ids=lambda p: p.name)
def test_there_and_back(tmp_path: Path, preset: Preset) -> None:
    """Every weight as float16 keeps it; the network alone comes from the same file."""
    model, path = awake(preset), tmp_path / "w.safetensors"
    save_weights(model, path, preset=preset, training=TRAINING)
    back, info = load_autoencoder(path)
    assert (info.kind, info.preset, info.training) == ("autoencoder", preset, TRAINING)
    assert isinstance(back, AlignedAutoencoder) == preset.denoiser.surroundings
    assert not back.training
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value.half().float() if value.is_floating_point() else value), name
    segmenter, _ = load_morphology(path)
    for name, value in back.segmenter.state_dict().items():
        assert torch.equal(segmenter.state_dict()[name], value), name
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_is_not_a_whole_model(tmp_path: Path) -> None:
    code, stack = tmp_path / "m.safetensors", tmp_path / "s.safetensors"
    save_weights(Segmenter(TINY.segmenter), code, preset=TINY, training=TRAINING)
    save_weights(StackSegmenter(TINY.stack_segmenter), stack, preset=TINY, training=TRAINING)
    assert load_morphology(code)[1].kind == "morphology"
    assert load_segmenter(stack)[1].kind == "segmenter"
    for path, held in ((code, "a morphology network"), (stack, "a segmenter")):
        with pytest.raises(InputError, match=f"holds {held}; expected an autoencoder"):
            load_autoencoder(path)
    with pytest.raises(InputError, match="holds a morphology network; expected a segmenter"):
        load_segmenter(code)
    with pytest.raises(InputError, match="holds a segmenter; expected a morphology network"):
        load_morphology(stack)


def test_weights_that_are_others_than_they_say(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(awake(), path, preset=COMPACT, training=TRAINING)
    with pytest.raises(InputError, match="do not fit their own description"):
        load_autoencoder(path)
    save_weights(awake(), path, preset=TINY_ALIGNED, training=TRAINING)
    with pytest.raises(InputError, match="do not fit their own description|incomplete"):
        load_autoencoder(path)
