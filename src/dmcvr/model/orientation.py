"""What tells how a picture lies: a small network that sees a whole view, not the heart alone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmcvr.model.blocks import ResBlock
from dmcvr.model.presets import OrienterConfig


class Orienter(nn.Module):
    """Whether a view lies as short-axis views are shown: RV on the left, anterior wall up, seen from the apex.

    One logit a view. Evaluated on all eight ways to turn and mirror a picture, their softmax says which of them is
    right, and that answer does not depend on how the picture was stored: the same eight pictures are seen, in another
    order. The ribs, the liver and the spine count as much as the heart.

    x (B, 1, H, W) in any unit, for each view is brought to mean 0 and SD 1; H and W are multiples of
    `config.patch * 2 ** (levels - 1)`.
    """

    def __init__(self, config: OrienterConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.stem = nn.Conv2d(1, c[0], config.patch + 1, stride=config.patch, padding=config.patch // 2)
        self.levels = nn.Sequential(*(ResBlock(c[max(0, n - 1)], c[n], resample=-1 if n else 0) for n in range(len(c))))
        self.head = nn.Linear(c[-1], 1)

    def forward(self, x: Float[Tensor, "B 1 H W"]) -> Float[Tensor, " B"]:
        spread, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True)
        h = self.levels(self.stem((x - mean) / spread.clamp(min=1e-4)))
        logits: Tensor = self.head(torch.relu(h).mean(dim=(2, 3)))[:, 0]
        return logits
