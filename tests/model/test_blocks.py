"""Blocks start as the identity, and take just the conditions that they were made for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dmcvr.model.blocks import Attention, ResBlock, norm, sinusoids

X = torch.rand(2, 8, 4, 6, generator=torch.Generator().manual_seed(0))


def test_an_untrained_block_is_the_identity() -> None:
    torch.testing.assert_close(ResBlock(8, 8)(X), X)
    torch.testing.assert_close(ResBlock(8, 8, resample=-1)(X), F.avg_pool2d(X, 2))
    torch.testing.assert_close(ResBlock(8, 8, resample=1)(X), X.repeat_interleave(2, 2).repeat_interleave(2, 3))
    torch.testing.assert_close(Attention(8)(X), X)


def test_time_and_code_scale_and_shift() -> None:
    """Their Eq. 7: with its last convolution the identity, a block adds SiLU(z_s (t_s h + t_b)) to x."""
    block = ResBlock(8, 8, time_dimension=3, code_dimension=5)
    block.conv_in = block.conv_out = torch.nn.Identity()  # type: ignore[assignment]
    block.norm_in = block.norm_out = torch.nn.Identity()  # type: ignore[assignment]
    time, code = torch.rand(2, 3), torch.rand(2, 5)
    with torch.no_grad():
        scale, shift = block.time(F.silu(time)).chunk(2, dim=1)  # type: ignore[misc]
        by_code = block.code(F.silu(code))  # type: ignore[misc]
        wanted = torch.empty_like(X)
        for b in range(2):
            for c in range(8):
                h = (1 + by_code[b, c]) * ((1 + scale[b, c]) * F.silu(X[b, c]) + shift[b, c])
                wanted[b, c] = X[b, c] + F.silu(h)
        torch.testing.assert_close(block(X, time, code), wanted)


@pytest.mark.parametrize("made_for", [(None, None), (3, None), (3, 5)])
@pytest.mark.parametrize("given", [(None, None), (3, None), (None, 5), (3, 5)])
def test_a_missing_condition_is_an_error(made_for: tuple[int | None, ...], given: tuple[int | None, ...]) -> None:
    block = ResBlock(8, 8, time_dimension=made_for[0], code_dimension=made_for[1])
    conditions = [None if width is None else torch.zeros(2, width) for width in given]
    if made_for == given:
        assert block(X, *conditions).shape == X.shape
    else:
        with pytest.raises(ValueError, match="takes just the conditions"):
            block(X, *conditions)


def test_groups_of_four_channels_or_more() -> None:
    assert [norm(channels).num_groups for channels in (3, 8, 48, 100, 128, 512)] == [1, 2, 12, 25, 32, 32]


def test_sinusoids() -> None:
    found = sinusoids(torch.tensor([0, 250]), 4)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 1, 0, 0]))
    angles = torch.tensor([250, 250 / 100])  # rates 1 and 10000^(-1/2)
    torch.testing.assert_close(found[1], torch.cat([angles.cos(), angles.sin()]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [8, 40])
def test_a_map_s_storage_changes_neither_its_norm_nor_its_own(size: int) -> None:
    x = torch.randn(3, 48, size, size, generator=torch.Generator().manual_seed(0))
    own, plain = norm(48), torch.nn.GroupNorm(12, 48)
    found = own(x.to(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert own(x).is_contiguous()
    torch.testing.assert_close(found, plain(x))
