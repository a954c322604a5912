"""The segmenter of long-axis views: a U-Net that sees the picture and what the short axis says of the same plane."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor, nn

from dmcvr.model.blocks import PlainBlock
from dmcvr.model.morphology import CLASSES
from dmcvr.model.presets import ViewSegmenterConfig


class ViewSegmenter(nn.Module):
    """x (B, 4, H, W) to logits (B, 4, H, W): an upright view in [-1, 1], and three channels that are 1 where a
    reconstruction from the short axis alone has LV cavity, myocardium and RV cavity.

    H and W are multiples of `config.reduction`. Without a prior, its channels are 0 everywhere.
    """

    def __init__(self, config: ViewSegmenterConfig) -> None:
        super().__init__()
        self.config = config
        fine, c = config.fine_channels, config.channels
        self.stem = PlainBlock(CLASSES, fine)
        self.enter = nn.Conv2d(fine, c[0], 3, stride=2, padding=1)
        self.down = nn.ModuleList(PlainBlock(c[max(0, n - 1)], c[n]) for n in range(len(c)))
        self.bottleneck = PlainBlock(c[-1], c[-1])
        self.dropout = nn.Dropout2d(config.dropout)
        self.up = nn.ModuleList(PlainBlock(c[n] + c[n + 1], c[n]) for n in reversed(range(len(c) - 1)))
        self.leave = nn.Conv2d(c[0], 4 * fine, 1)
        self.refine = PlainBlock(2 * fine, fine)
        self.head = nn.Conv2d(fine, CLASSES, 3, padding=1)

    def forward(self, x: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B 4 H W"]:
        fine = self.stem(x)
        h = self.enter(fine)
        maps: list[Tensor] = []
        for n, level in enumerate(self.down):
            h = level(F.max_pool2d(h, 2) if n else h)
            maps.append(h)
        h = self.dropout(self.bottleneck(h))
        for level, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            h = level(torch.cat([F.interpolate(h, scale_factor=2, mode="nearest"), skip], dim=1))
        h = self.refine(torch.cat([F.pixel_shuffle(self.leave(h), 2), fine], dim=1))
        logits: Tensor = self.head(h)
        return logits


def with_prior(views: Float[Tensor, "B H W"], priors: Integer[Tensor, "B H W"]) -> Float[Tensor, "B 4 H W"]:
    """What the network sees: the picture, then each structure of the prior's labels."""
    structures = [(priors == c).to(views.dtype) for c in range(1, CLASSES)]
    return torch.stack([views, *structures], dim=1)
