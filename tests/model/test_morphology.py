"""E_mor: its code is the bottleneck, its head labels every pixel."""

from __future__ import annotations

import pytest
import torch

from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import COMPACT, PAPER, TINY, Preset


@pytest.mark.parametrize("preset", [PAPER, COMPACT, TINY], ids=lambda p: p.name)
def test_code_and_logits(preset: Preset) -> None:
    with torch.device("meta"):
        segmenter = Segmenter(preset.segmenter).eval()
        x = torch.empty(2, 1, preset.size, preset.size)
        code, maps = segmenter.encode(x)
        assert segmenter(x).shape == (2, 4, preset.size, preset.size)
        assert segmenter.morphology(x).shape == code.shape
    side = preset.size // preset.segmenter.reduction
    assert code.shape == (2, preset.segmenter.channels[-1], side, side)
    assert [m.shape[1] for m in maps] == list(preset.segmenter.channels[:-1])


def test_the_paper_s_code_has_the_published_shape() -> None:
    assert (PAPER.segmenter.channels[-1], PAPER.size // PAPER.segmenter.reduction) == (512, 16)
