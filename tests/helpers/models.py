"""Toy models: quick, and good for nothing but tests of the machinery."""

from __future__ import annotations

from dataclasses import replace

import torch

from dmcvr.model.aligned import AlignedAutoencoder, new_autoencoder
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.presets import TINY, Preset, SegmenterConfig

#: TINY, and its denoiser sees both neighbours.
TINY_ALIGNED: Preset = replace(
    TINY,
    name="tiny-aligned",
    denoiser=replace(TINY.denoiser, surroundings=True),
    between=0.5,
    labeller=SegmenterConfig(images=11, patch=4, channels=(8, 16)),
)

#: What a weights file says of how it was trained.
TRAINING = {"data": "test", "patients": 1, "steps": 1, "minutes": 0.1}


def untrained(preset: Preset = TINY) -> Autoencoder:
    """A model as it starts: its zero-initialised convolutions give nothing."""
    torch.manual_seed(0)
    return new_autoencoder(preset).eval()


def untrained_aligned() -> AlignedAutoencoder:
    model = untrained(TINY_ALIGNED)
    assert isinstance(model, AlignedAutoencoder)
    return model


def awake(preset: Preset = TINY) -> Autoencoder:
    """A model whose zero-initialised convolutions do something."""
    model = untrained(preset)
    for p in model.parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.05)
    return model
