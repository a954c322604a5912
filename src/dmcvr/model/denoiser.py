"""The denoising U-Net that both codes condition (He et al. 2023, Sect. 2.1; DiffAE's two-condition U-Net)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmcvr.model.blocks import Attention, ResBlock, norm, sinusoids, zero
from dmcvr.model.presets import DenoiserConfig


class Denoiser(nn.Module):
    """Predicts noise or velocity (`config.prediction`) from a noisy slice, its time and its two codes.

    ======  =================  =========================================================
    x       (B, 1, H, W)       noisy slice x_t
    t       (B,)               time step, 0 to 999
    z_sem   (B, D)             enters every block as a scale (AdaGN)
    z_mor   (B, C, h, w)       passes a 3 x 3 convolution and is concatenated at its level
    ======  =================  =========================================================

    With `config.morphology_channels` 0 it does not look at z_mor. With `context` n it also takes n images
    (B, n, H, W), which are seen beside x, and n numbers (B, n), which join the time.
    """

    def __init__(
        self, config: DenoiserConfig, *, code_dimension: int, morphology_dimension: int, context: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        c, time = config.channels, config.time_dimension
        last = len(c) - 1
        if config.join_level != last and not config.resample_blocks:
            raise ValueError("Without resample_blocks, z_mor joins at the deepest level: set join_level to it.")

        def block(channels: int, out: int, resample: int = 0) -> ResBlock:
            return ResBlock(
                channels,
                out,
                time_dimension=time,
                code_dimension=code_dimension,
                dropout=config.dropout,
                resample=resample,
            )

        self.time = nn.Sequential(nn.Linear(c[0], time), nn.SiLU(), nn.Linear(time, time))
        joined = config.morphology_channels
        self.morphology = nn.Conv2d(morphology_dimension, joined, 3, padding=1) if joined else None
        self.stem = nn.Conv2d((1 + context) * config.patch**2, c[0], 3, padding=1)
        self.place = zero(nn.Linear(context, time)) if context else None

        def attend(n: int) -> nn.Module:
            return Attention(c[n]) if n == config.attention_level else nn.Identity()

        extra = int(config.resample_blocks)  # ADM also skips from the stem and from every down block
        skips, width = [c[0]] * extra, c[0]
        self.down, self.down_samplers = nn.ModuleList(), nn.ModuleList()
        for n, channels in enumerate(c):
            level = nn.ModuleList()
            for _ in range(config.blocks):
                level.append(_Stage(block(width, channels), attend(n)))
                width = channels
                skips.append(width)
            self.down.append(level)
            if n < last and extra:
                self.down_samplers.append(block(width + self._joined_at(n), width, resample=-1))
                skips.append(width)
        self.middle_in, self.middle_attention = block(width + self._joined_at(last), width), Attention(width)
        self.middle_out = block(width, width)

        self.up, self.up_samplers = nn.ModuleList(), nn.ModuleList()
        for n in reversed(range(len(c))):
            level = nn.ModuleList()
            for _ in range(config.blocks + extra):
                level.append(_Stage(block(width + skips.pop(), c[n]), attend(n)))
                width = c[n]
            self.up.append(level)
            if n > 0 and extra:
                self.up_samplers.append(block(width, width, resample=1))
        self.norm = norm(width)
        self.out = zero(nn.Conv2d(width, config.patch**2, 3, padding=1))

    def _joined_at(self, level: int) -> int:
        return self.config.morphology_channels if level == self.config.join_level else 0

    def forward(
        self,
        x: Float[Tensor, "B 1 H W"],
        t: Int[Tensor, " B"],
        z_sem: Float[Tensor, "B D"],
        z_mor: Float[Tensor, "B C h w"],
        images: Float[Tensor, "B n H W"] | None = None,
        place: Float[Tensor, "B n"] | None = None,
    ) -> Float[Tensor, "B 1 H W"]:
        if (self.place is None) != (images is None) or (images is None) != (place is None):
            raise ValueError("A denoiser with context takes images and their place with every call, one without none.")
        time = self.time(sinusoids(t, self.config.channels[0]))
        if self.place is not None and images is not None:
            time = time + self.place(place)
            x = torch.cat([x, images], dim=1)
        last = len(self.config.channels) - 1
        extra = self.config.resample_blocks
        h = self.stem(F.pixel_unshuffle(x, self.config.patch))
        skips = [h] if extra else []
        for n, level in enumerate(self.down):
            for stage in level:  # type: ignore[attr-defined]
                h = stage(h, time, z_sem)
                skips.append(h)
            if n == self.config.join_level and self.morphology is not None:
                h = torch.cat([h, self.morphology(z_mor)], dim=1)
            if n < last:
                h = self.down_samplers[n](h, time, z_sem) if extra else F.avg_pool2d(h, 2)
                skips += [h] if extra else []
        h = self.middle_out(self.middle_attention(self.middle_in(h, time, z_sem)), time, z_sem)
        for n, level in enumerate(self.up):
            for stage in level:  # type: ignore[attr-defined]
                h = stage(torch.cat([h, skips.pop()], dim=1), time, z_sem)
            if n < last:
                h = self.up_samplers[n](h, time, z_sem) if extra else F.interpolate(h, scale_factor=2, mode="nearest")
        return F.pixel_shuffle(self.out(F.silu(self.norm(h))), self.config.patch)


class _Stage(nn.Module):
    """A residual block and, at one level, attention."""

    def __init__(self, block: ResBlock, attention: nn.Module) -> None:
        super().__init__()
        self.block, self.attention = block, attention

    def forward(self, x: Tensor, time: Tensor, code: Tensor) -> Tensor:
        return self.attention(self.block(x, time, code))
