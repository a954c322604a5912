"""The denoiser: the published size, and what steers it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.models import awake, untrained, untrained_aligned

from dmcvr.model.denoiser import Denoiser
from dmcvr.model.presets import PAPER, TINY


def test_paper_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        denoiser = Denoiser(PAPER.denoiser, code_dimension=512, morphology_dimension=512)
        x, t = torch.empty(2, 1, 256, 256), torch.zeros(2, dtype=torch.long)
        out = denoiser(x, t, torch.empty(2, 512), torch.empty(2, 512, 16, 16))
    assert sum(p.numel() for p in denoiser.parameters()) == pytest.approx(144e6, rel=0.01)
    assert out.shape == x.shape


def test_both_codes_and_the_time_steer_it() -> None:
    denoiser = awake().denoiser
    x, t = torch.randn(1, 1, 128, 128), torch.tensor([500])
    z_sem, z_mor = torch.randn(1, 16), torch.randn(1, 16, 16, 16)
    with torch.no_grad():
        out = denoiser(x, t, z_sem, z_mor)
        assert not torch.allclose(out, denoiser(x, t, z_sem + 1, z_mor))
        assert not torch.allclose(out, denoiser(x, t, z_sem, z_mor + 1))
        assert not torch.allclose(out, denoiser(x, torch.tensor([100]), z_sem, z_mor))


def test_the_ablation_is_blind_to_the_morphology_code() -> None:
    denoiser = awake(replace(TINY, denoiser=replace(TINY.denoiser, morphology_channels=0))).denoiser
    x, t, z_sem = torch.randn(1, 1, 128, 128), torch.tensor([500]), torch.randn(1, 16)
    z_mor = torch.randn(1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(denoiser(x, t, z_sem, z_mor), denoiser(x, t, z_sem, z_mor + 1))


def test_context_comes_with_every_call_or_never() -> None:
    x, t = torch.zeros(1, 1, 128, 128), torch.tensor([5])
    codes = torch.zeros(1, 16), torch.zeros(1, 16, 16, 16)
    images, place = torch.zeros(1, 3, 128, 128), torch.zeros(1, 3)
    plain, aligned = untrained().denoiser, untrained_aligned().denoiser
    for denoiser, context in ((plain, (images, place)), (plain, (images, None)), (aligned, ()), (aligned, (images,))):
        with pytest.raises(ValueError, match="takes images and their place"):
            denoiser(x, t, *codes, *context)


def test_join_level_is_checked() -> None:
    config = replace(TINY.denoiser, join_level=0)
    with pytest.raises(ValueError, match="deepest level"):
        Denoiser(config, code_dimension=16, morphology_dimension=16)
