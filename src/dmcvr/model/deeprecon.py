"""DeepRecon's networks (Chang et al., MICCAI 2022, arXiv 2206.07163): a small StyleGAN2 of slices with their labels.

A random z becomes a code w; one code for each convolution (W+) makes a slice and, beside it, its four classes. The
building blocks are StyleGAN2's (Karras et al. 2020, Sect. 2 and 4): weights are demodulated, learning rates equalised,
the generator adds up the outputs of all levels, the discriminator is residual. What is not here: noise at each level,
which no code of a slice could tell, and the statistics over a batch.

As in the autoencoder, both networks see patches of 2 x 2 pixels: what the generator's finest level adds within them
starts at nothing, or its slices would be plaids.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmcvr.model.morphology import CLASSES
from dmcvr.model.presets import GeneratorConfig

#: Random codes behind `Generator.mean_code`.
MEAN_OF = 4096


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled when they are used: all learn alike (Karras et al. 2018, Sect. 4.1).

    `rate` scales the learning rate of this layer; `bias` is where its bias starts.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Float[Tensor, "B I"]) -> Float[Tensor, "B O"]:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution scaled like that, which keeps the resolution."""

    def __init__(self, channels: int, out_channels: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(channels * kernel**2)

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H W"]:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[2] // 2)


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a code, and its outputs back to unit size (StyleGAN2, Eq. 1-3).

    Not the weights are scaled, as published, but what goes in and what comes out: the same numbers, and all slices of
    a batch share one convolution.
    """

    def __init__(
        self, channels: int, out_channels: int, kernel: int, *, code_dimension: int, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.style = EqualLinear(code_dimension, channels, bias=1.0)
        self.conv = EqualConv(channels, out_channels, kernel, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.demodulate = demodulate

    def forward(self, x: Float[Tensor, "B I H W"], code: Float[Tensor, "B D"]) -> Float[Tensor, "B O H W"]:
        with torch.autocast(x.device.type, enabled=False):
            style = self.style(code.float())
            if self.demodulate:
                power = (self.conv.weight * self.conv.scale).square().sum(dim=(2, 3))
                size = torch.rsqrt(style.square() @ power.T + 1e-8)
        y = self.conv(x * style[:, :, None, None].to(x.dtype))
        if self.demodulate:
            y = y * size[:, :, None, None].to(y.dtype)
        return y + self.bias[:, None, None].to(y.dtype)


class Generator(nn.Module):
    """Codes to slices with their labels.

    `forward` takes one code for each convolution, (B, `codes`, D), and gives slices (B, 1, H, W), about [-1, 1], and
    logits (B, 4, H, W); H = W = `config.size`.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        c, d, outputs = config.channels, config.dimension, 1 + CLASSES
        self.mapping = nn.ModuleList(EqualLinear(d, d, rate=0.01) for _ in range(config.mapping_layers))
        self.start = nn.Parameter(torch.randn(1, c[0], config.coarsest, config.coarsest))
        pairs = [(c[n // 2], c[(n + 1) // 2]) for n in range(config.codes)]
        self.convs = nn.ModuleList(ModulatedConv(*pair, 3, code_dimension=d) for pair in pairs)
        self.heads = nn.ModuleList(
            ModulatedConv(channels, outputs, 1, code_dimension=d, demodulate=False) for channels in c
        )
        self.detail = ModulatedConv(c[-1], outputs * config.patch**2, 1, code_dimension=d, demodulate=False)
        nn.init.zeros_(self.detail.conv.weight)

    def map(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Random numbers to a code w each."""
        with torch.autocast(z.device.type, enabled=False):
            w = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
            for layer in self.mapping:
                w = _active(layer(w))
        return w

    def spread(self, w: Float[Tensor, "B D"]) -> Float[Tensor, "B codes D"]:
        """The same code for each convolution."""
        return w[:, None].expand(-1, self.config.codes, -1)

    @torch.no_grad()
    def mean_code(self) -> Float[Tensor, "1 codes D"]:
        """The mean of many codes, always the same ones: where a search starts."""
        z = torch.randn(MEAN_OF, self.config.dimension, generator=torch.Generator().manual_seed(0))
        return self.spread(self.map(z.to(self.start.device)).mean(dim=0, keepdim=True))

    def forward(self, codes: Float[Tensor, "B codes D"]) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 4 H W"]]:
        h = self.start.expand(len(codes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        total: Tensor | None = None
        for level, head in enumerate(self.heads):
            for n in (2 * level - 1, 2 * level) if level else (0,):
                h = _larger(h) if n % 2 else h
                h = _active(self.convs[n](h, codes[:, n]))
            seen = head(h, codes[:, 2 * level]).float()
            total = seen if total is None else _larger(total) + seen
        assert total is not None
        detail = F.pixel_shuffle(self.detail(h, codes[:, -1]), self.config.patch)
        total = _larger(total, self.config.patch) + _smooth(detail.float())
        return total[:, :1], total[:, 1:]


class Discriminator(nn.Module):
    """Slices (B, 1, H, W) with their labels' probabilities (B, 4, H, W) to logits (B,): true above 0, drawn below."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels[::-1]
        self.stem = EqualConv((1 + CLASSES) * config.patch**2, c[0], 1)
        self.blocks = nn.ModuleList(_Halving(a, b) for a, b in zip(c[:-1], c[1:], strict=True))
        self.conv = EqualConv(c[-1], c[-1], 3)
        self.dense = EqualLinear(c[-1] * config.coarsest**2, c[-1])
        self.head = EqualLinear(c[-1], 1)

    def forward(self, images: Float[Tensor, "B 1 H W"], shares: Float[Tensor, "B 4 H W"]) -> Float[Tensor, " B"]:
        x = torch.cat([images, 2 * shares - 1], dim=1)
        h = _active(self.stem(F.pixel_unshuffle(x, self.config.patch).contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            h = block(h)
        h = _active(self.dense(_active(self.conv(h)).flatten(1)))
        logits: Tensor = self.head(h)[:, 0]
        return logits


class DeepRecon(nn.Module):
    """Both, as they learn together; the generator alone is kept."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)


class _Halving(nn.Module):
    """A residual block that halves the resolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualConv(channels, channels, 3)
        self.conv2 = EqualConv(channels, out_channels, 3)
        self.skip = EqualConv(channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.avg_pool2d(_active(self.conv1(x)), 2)
        return (_active(self.conv2(h)) + self.skip(F.avg_pool2d(x, 2))) * math.sqrt(0.5)


def _active(x: Tensor) -> Tensor:
    """A leaky ReLU that keeps the size of what comes."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def _larger(x: Tensor, times: int = 2) -> Tensor:
    """Twice the resolution, or more; StyleGAN2's filter (1, 3, 3, 1) is just this."""
    return F.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)


def _smooth(x: Tensor) -> Tensor:
    """Filtered by (1, 2, 1) both ways: pixels put side by side by `pixel_shuffle` make no chequered pattern, as those
    that are enlarged by `_larger` make none (StyleGAN2's filters do the same)."""
    return F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, stride=1), 2, stride=1)
