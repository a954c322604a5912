"""E_sem: the global semantic encoder, a half U-Net to a vector (DiffAE's encoder)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmcvr.model.blocks import Attention, ResBlock, norm
from dmcvr.model.presets import EncoderConfig


class SemanticEncoder(nn.Module):
    """x (B, 1, H, W) in [-1, 1] to z_sem (B, D)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        layers: list[nn.Module] = [nn.Conv2d(config.patch**2, c[0], 3, padding=1)]
        width = c[0]
        for n, channels in enumerate(c):
            for _ in range(config.blocks):
                layers.append(ResBlock(width, channels))
                width = channels
                if n == config.attention_level:
                    layers.append(Attention(width))
            if n < len(c) - 1:
                layers.append(ResBlock(width, width, resample=-1))
        layers.append(norm(width))
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(width, config.dimension)

    def forward(self, x: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B D"]:
        h = F.silu(self.layers(F.pixel_unshuffle(x, self.config.patch)))
        return self.out(h.mean(dim=(2, 3)))
