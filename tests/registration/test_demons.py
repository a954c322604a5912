"""Ours points from fixed to moving; no item of a batch sees another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.exams import disc
from scipy import ndimage

from dmcvr.registration.demons import FAR, NEAR, _gaussian, _smoothed, register


def texture(shift: tuple[float, float]) -> torch.Tensor:
    """(1, 1, 64, 64) a smooth periodic pattern, moved by so many pixels."""
    rough = np.random.default_rng(0).normal(size=(64, 64))
    smooth = ndimage.gaussian_filter(rough, 4, mode="wrap")
    moved = ndimage.shift(smooth / smooth.std(), shift, order=5, mode="grid-wrap")
    return torch.from_numpy(moved.astype(np.float32))[None, None] / 2


@pytest.mark.parametrize("levels", [NEAR, FAR])
def test_a_shift_is_found(levels: tuple[tuple[int, int], ...]) -> None:
    """moving(x + D) = fixed(x): a pattern moved by (2.5, -1.5) has that displacement everywhere."""
    field = register(texture((0, 0)), texture((2.5, -1.5)), levels)
    assert field.shape == (1, 2, 64, 64)
    inner = field[0, :, 12:-12, 12:-12]
    for found, wanted in zip(inner, (2.5, -1.5), strict=True):
        assert (found - wanted).abs().mean() < 0.1
        assert (found - wanted).abs().max() < 0.5


@pytest.mark.parametrize("levels", [NEAR, FAR])
def test_equal_slices_and_empty_channels_do_not_move(levels: tuple[tuple[int, int], ...]) -> None:
    pairs = [(disc((30, 30)), disc((33, 28))), (disc((36, 30)), disc((36, 30)))]
    fixed, moving = (torch.from_numpy(np.stack([np.stack([p[k], 0 * p[k]]) for p in pairs])) for k in (0, 1))
    field = register(fixed, moving, levels)
    assert field[1].abs().max() < 1e-4
    torch.testing.assert_close(register(fixed[:1], moving[:1], levels), field[:1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(register(fixed[:1, :1], moving[:1, :1], levels), field[:1], rtol=1e-4, atol=1e-4)


def test_smoothing_is_scipy_s() -> None:
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 20, 16)))
    wanted = ndimage.gaussian_filter(images.numpy(), (0, 0, 1.5, 1.5), mode="nearest", radius=(0, 0, 4, 4))
    np.testing.assert_allclose(_smoothed(images, [_gaussian(n, 1.5) for n in (20, 16)]).numpy(), wanted, atol=1e-12)
