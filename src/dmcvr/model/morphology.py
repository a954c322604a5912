"""E_mor: a segmentation network whose bottleneck map is the regional morphology code z_mor."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmcvr.model.blocks import PlainBlock
from dmcvr.model.presets import SegmenterConfig

CLASSES = 4


class Segmenter(nn.Module):
    """E_mor and its head: a residual U-Net over slices.

    x (B, `config.images`, H, W) in [-1, 1], H and W multiples of `config.reduction`.
    `forward` gives logits (B, 4, H, W); `morphology` gives z_mor (B, C, H / reduction, W / reduction).
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.stem = nn.Conv2d(config.images * config.patch**2, c[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(*(PlainBlock(c[max(0, n - 1)] if b == 0 else c[n], c[n]) for b in range(config.blocks)))
            for n in range(len(c))
        )
        self.bottleneck = nn.Sequential(PlainBlock(c[-1], c[-1]), PlainBlock(c[-1], c[-1]))
        self.up = nn.ModuleList(
            nn.Sequential(*(PlainBlock(c[n] + c[n + 1] if b == 0 else c[n], c[n]) for b in range(config.blocks)))
            for n in reversed(range(len(c) - 1))
        )
        self.head = nn.Conv2d(c[0], CLASSES * config.patch**2, 3, padding=1)

    @property
    def code_channels(self) -> int:
        return self.config.channels[-1]

    def encode(self, x: Float[Tensor, "B n H W"]) -> tuple[Float[Tensor, "B C h w"], list[Float[Tensor, "B _ _ _"]]]:
        """z_mor, and the maps of each level above it."""
        h = self.stem(F.pixel_unshuffle(x, self.config.patch))
        maps: list[Tensor] = []
        for n, level in enumerate(self.down):
            h = level(F.max_pool2d(h, 2) if n else h)
            maps.append(h)
        return self.bottleneck(h), maps[:-1]

    def morphology(self, x: Float[Tensor, "B n H W"]) -> Float[Tensor, "B C h w"]:
        """z_mor of each slice."""
        return self.encode(x)[0]

    def forward(self, x: Float[Tensor, "B n H W"]) -> Float[Tensor, "B 4 H W"]:
        h, maps = self.encode(x)
        for level, skip in zip(self.up, reversed(maps), strict=True):
            h = level(torch.cat([F.interpolate(h, scale_factor=2, mode="nearest"), skip], dim=1))
        return F.pixel_shuffle(self.head(h), self.config.patch)
