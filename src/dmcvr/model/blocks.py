"""The building blocks of the ADM / DiffAE U-Nets (Dhariwal & Nichol 2021; Preechakul et al. 2022)."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

#: torch normalises maps of fewer pixels than this, stored channels last, many times slower on a CPU than stored
#: channels first (2.13: it then reads each group pixel by pixel).
SMALL_MAP = 1024


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm` that is as fast on small maps as on large ones; what it gives is stored as what it takes."""

    def forward(self, input: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        small = input.device.type == "cpu" and input.shape[2] * input.shape[3] < SMALL_MAP
        if not small or not input.is_contiguous(memory_format=torch.channels_last):
            return super().forward(input)
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last)


def norm(channels: int) -> GroupNorm:
    """GroupNorm of 32 groups, or as many as leave at least four channels each."""
    groups = min(32, max(1, channels // 4))
    while channels % groups:
        groups -= 1
    return GroupNorm(groups, channels)


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def zero(module: Layer) -> Layer:
    """The same layer, starting at zero: its block starts as the identity."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def sinusoids(t: Shaped[Tensor, " B"], dimension: int) -> Float[Tensor, "B D"]:
    """(B,) times in [0, 1000) to (B, dimension) sines and cosines (Vaswani et al. 2017)."""
    rates = torch.exp(-math.log(10000) * torch.arange(dimension // 2, device=t.device) / (dimension // 2))
    angles = t.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResBlock(nn.Module):
    """Residual block with DiffAE's adaptive group norm (their Eq. 7).

    AdaGN(h, t, z) = z_s (t_s GroupNorm(h) + t_b); t_s, t_b come from the time, z_s from the semantic code.
    Without `time_dimension` and `code_dimension` the block is the encoder's: plain GroupNorm. A condition that is
    missing, or one too many, raises `ValueError`. `resample` is -1 (halve), 0 or 1
    (double the resolution inside the block).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        time_dimension: int | None = None,
        code_dimension: int | None = None,
        dropout: float = 0.0,
        resample: int = 0,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm_in = norm(channels)
        self.conv_in = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_dimension, 2 * out_channels) if time_dimension else None
        self.code = nn.Linear(code_dimension, out_channels) if code_dimension else None
        self.norm_out = norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zero(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "B _ _ _"],
        time: Float[Tensor, "B T"] | None = None,
        code: Float[Tensor, "B D"] | None = None,
    ) -> Float[Tensor, "B _ _ _"]:
        if (self.time is None) != (time is None) or (self.code is None) != (code is None):
            raise ValueError("A residual block takes just the conditions (time, code) that it was made for.")
        h = F.silu(self.norm_in(x))
        h, x = self._resample(h), self._resample(x)
        h = self.norm_out(self.conv_in(h))
        if self.time is not None and time is not None:
            scale, shift = self.time(F.silu(time))[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        if self.code is not None and code is not None:
            h = h * (1 + self.code(F.silu(code))[:, :, None, None])
        h = self.conv_out(self.dropout(F.silu(h)))
        return self.skip(x) + h

    def _resample(self, x: Tensor) -> Tensor:
        if self.resample < 0:
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample > 0 else x


class Attention(nn.Module):
    """One-head self-attention over the pixels of a small map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)
        q, k, v = (part[:, None] for part in qkv.chunk(3, dim=2))
        attended = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.out(attended.transpose(1, 2).reshape(b, c, h, w))


class PlainBlock(nn.Module):
    """Residual block with batch norm and no conditions: cheap, and independent of how much of the slice is in view."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.skip = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(h)) + self.skip(x))
