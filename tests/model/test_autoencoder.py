"""The published autoencoder: slices to codes and back."""

from __future__ import annotations

import pytest
import torch
from helpers.models import awake, untrained

from dmcvr.diffusion.ddim import ddim_sample
from dmcvr.model.autoencoder import Autoencoder, SliceCodes
from dmcvr.model.presets import COMPACT, TINY, Preset

X = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("preset", [COMPACT, TINY], ids=lambda p: p.name)
def test_codes(preset: Preset) -> None:
    with torch.device("meta"):
        model = Autoencoder(preset).eval()
        z_sem, z_mor = model.guides(X.to("meta"))
    side = preset.size // preset.segmenter.reduction
    assert z_sem.shape == (2, preset.encoder.dimension)
    assert z_mor.shape == (2, preset.segmenter.channels[-1], side, side)


def test_an_untrained_velocity_is_nothing() -> None:
    """v = 0 at every time: eps = sigma x and x_0 = alpha x, so a step multiplies by alpha alpha' + sigma sigma'."""
    model = untrained()
    alpha, sigma = model.schedule.alpha, model.schedule.sigma
    times = model.schedule.grid(4)
    turns = [alpha[low] * alpha[high] + sigma[low] * sigma[high] for low, high in zip(times, times[1:], strict=False)]
    image = model.decode(SliceCodes(X, *model.guides(X)), 4)
    torch.testing.assert_close(image, X * torch.stack(turns).prod(), atol=1e-5, rtol=0)


def test_a_round_trip_returns_the_slice() -> None:
    """Inversion is exact for any smooth network, given corrections enough."""
    model = awake()
    codes = model.encode(X, 8, corrections=40)
    torch.testing.assert_close(model.decode(codes, 8), X, atol=1e-3, rtol=0)


def test_decoding_is_sampling_with_the_codes() -> None:
    model = awake()
    codes = model.encode(X, 2, corrections=0)
    predict_noise = model.noise_predictor(codes.z_sem, codes.z_mor)
    wanted = ddim_sample(predict_noise, codes.x_T, model.schedule, 2)
    torch.testing.assert_close(model.decode(codes, 2), wanted)


def test_codes_are_taken_apart_slice_by_slice() -> None:
    codes = SliceCodes(X, torch.arange(4.0).view(2, 2), torch.arange(8.0).view(2, 1, 2, 2))
    second = codes[torch.tensor([1])]
    assert (len(codes), len(second)) == (2, 1)
    for name in ("x_T", "z_sem", "z_mor"):
        assert torch.equal(getattr(second, name), getattr(codes, name)[1:])
