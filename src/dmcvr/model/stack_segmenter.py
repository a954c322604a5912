"""The segmenter of acquired slices: a U-Net in each slice's plane, whose slices tell each other what they see.

A slice alone does not say whether it still lies below the valves. So, on the coarse levels, every slice hears its two
neighbours, and at the bottleneck all slices of a stack attend to each other, with their places in mm; from that the
network also says, for each slice, which structures are there at all. Nothing depends on the number of slices, nor on
which end of the stack is the base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmcvr.model.blocks import PlainBlock, zero
from dmcvr.model.morphology import CLASSES
from dmcvr.model.presets import StackSegmenterConfig

STRUCTURES = CLASSES - 1

#: A structure that its slice has with less probability is not labelled there (of .1 to .5 on development patients, .5
#: took away cavity at the base; the others made no difference).
LEAST_PRESENCE = 0.2

#: Wavelengths of a slice's place in its stack, in mm.
WAVELENGTHS_MM = (20.0, 40.0, 80.0, 160.0, 320.0)


@dataclass(frozen=True)
class Stacks:
    """Which stack each of M slices belongs to, and where it lies there.

    ============  ======  =======================================================================
    stack         (M,)    a number for each stack (a phase of an exam)
    positions_mm  (M,)    along the stack's normal, rising within a stack; zero is its middle
    below, above  (M,)    index of the neighbour in the stack; the slice itself at the stack's ends
    ============  ======  =======================================================================
    """

    stack: Int[Tensor, " M"]
    positions_mm: Float[Tensor, " M"]
    below: Int[Tensor, " M"]
    above: Int[Tensor, " M"]

    @classmethod
    def of(cls, stack: Int[Tensor, " M"], positions_mm: Float[Tensor, " M"]) -> Stacks:
        """Slices of a stack follow each other in order of position."""
        index = torch.arange(len(stack), device=stack.device)
        same = stack[1:] == stack[:-1]
        below, above = index.clone(), index.clone()
        below[1:] -= same.long()
        above[:-1] += same.long()
        which = torch.unique_consecutive(stack, return_inverse=True)[1]
        count = torch.bincount(which).to(positions_mm.dtype)
        middle = torch.zeros_like(count).index_add(0, which, positions_mm) / count
        return cls(stack, positions_mm - middle[which], below, above)

    def steps(self, side: Int[Tensor, " M"]) -> Float[Tensor, "M 3"]:
        """What is told of a neighbour: how far it is, linearly and fading, and whether there is one."""
        gap = (self.positions_mm[side] - self.positions_mm).abs()
        there = (side != torch.arange(len(side), device=side.device)).to(gap.dtype)
        return torch.stack([gap / 20, there * torch.exp(-gap / 10), there], dim=1)


class _Hear(nn.Module):
    """h (M, C, H, W) + what its two neighbours tell it: the same network on either side, so that turning a stack
    round changes nothing. Starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.own = nn.Conv2d(channels, inner, 1)
        self.other = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.step = nn.Linear(3, inner)
        self.out = nn.Conv2d(inner, channels, 1)
        zero(self.out)

    def forward(self, h: Tensor, stacks: Stacks) -> Tensor:
        own, other = self.own(h), self.other(h)
        heard = torch.zeros_like(own)
        for side in (stacks.below, stacks.above):
            step = stacks.steps(side)
            heard = heard + F.relu(own + step[:, 2, None, None, None] * other[side] + self.step(step)[:, :, None, None])
        return h + self.out(heard)


class Attend(nn.Module):
    """Tokens (M, C), one a slice, with their places: each stack's slices attend to each other."""

    def __init__(self, channels: int, layers: int, heads: int) -> None:
        super().__init__()
        self.token = nn.Linear(2 * channels, channels)
        self.place = nn.Linear(2 * len(WAVELENGTHS_MM) + 3, channels)
        layer = nn.TransformerEncoderLayer(channels, heads, 2 * channels, 0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(channels)

    def forward(self, h: Tensor, stacks: Stacks) -> Tensor:
        seen = torch.cat([h.mean(dim=(2, 3)), h.amax(dim=(2, 3))], dim=1)
        at = stacks.positions_mm
        angles = [at * (2 * math.pi / wavelength) for wavelength in WAVELENGTHS_MM]
        ends = [torch.exp(-stacks.steps(side)[:, 0]) for side in (stacks.below, stacks.above)]
        place = torch.stack([f(a) for a in angles for f in (torch.sin, torch.cos)] + [at / 50, *ends], dim=1)
        return self.among(self.token(seen) + self.place(place.to(seen.dtype)), stacks.stack)

    def among(self, tokens: Tensor, stack: Tensor) -> Tensor:
        """Tokens (M, C), after those of the same stack, whose number `stack` (M,) gives, have told each other."""
        apart = stack[:, None] != stack[None]
        return self.norm(self.layers(tokens[None], mask=apart)[0])


class StackSegmenter(nn.Module):
    """x (M, 1, H, W) in [-1, 1], slices of one or several stacks, to logits (M, 4, H, W) and, for LV cavity, myocardium
    and RV cavity, logits (M, 3) of whether the slice has it. H and W are multiples of `config.reduction`.
    """

    def __init__(self, config: StackSegmenterConfig) -> None:
        super().__init__()
        self.config = config
        fine, c = config.fine_channels, config.channels
        self.stem = PlainBlock(1, fine)
        self.enter = nn.Conv2d(fine, c[0], 3, stride=2, padding=1)
        self.down = nn.ModuleList(PlainBlock(c[max(0, n - 1)], c[n]) for n in range(len(c)))
        self.hear = nn.ModuleList(_Hear(c[n]) for n in range(config.hears_from, len(c)))
        self.attend = Attend(c[-1], config.attention_layers, config.heads)
        self.tell = nn.Linear(c[-1], 2 * c[-1])
        zero(self.tell)
        self.bottleneck = PlainBlock(c[-1], c[-1])
        self.dropout = nn.Dropout2d(config.dropout)
        self.up = nn.ModuleList(PlainBlock(c[n] + c[n + 1], c[n]) for n in reversed(range(len(c) - 1)))
        self.leave = nn.Conv2d(c[0], 4 * fine, 1)
        self.refine = PlainBlock(2 * fine, fine)
        self.head = nn.Conv2d(fine, CLASSES, 3, padding=1)
        self.presence = nn.Linear(c[-1], STRUCTURES)
        self.register_buffer("temperature", torch.ones(()))
        self.temperature: Tensor

    def forward(self, x: Float[Tensor, "M 1 H W"], stacks: Stacks) -> tuple[Tensor, Tensor]:
        fine = self.stem(x)
        h = self.enter(fine)
        maps: list[Tensor] = []
        for n, level in enumerate(self.down):
            h = level(F.max_pool2d(h, 2) if n else h)
            if n >= self.config.hears_from:
                h = self.hear[n - self.config.hears_from](h, stacks)
            maps.append(h)
        tokens = self.attend(h, stacks)
        scale, shift = self.tell(tokens).to(h.dtype)[:, :, None, None].chunk(2, dim=1)
        h = self.dropout(self.bottleneck(h * (1 + scale) + shift))
        for level, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            h = level(torch.cat([F.interpolate(h, scale_factor=2, mode="nearest"), skip], dim=1))
        h = self.refine(torch.cat([F.pixel_shuffle(self.leave(h), 2), fine], dim=1))
        return self.head(h), self.presence(tokens)

    @torch.no_grad()
    def probabilities(self, x: Float[Tensor, "M 1 H W"], stacks: Stacks) -> Float[Tensor, "M 4 H W"]:
        """Of the classes, as sure as the network is right; a structure that its slice hardly has is not there.

        The logits are divided by a temperature, found on held-out slices (Guo et al. 2017, Sect. 4.2).
        """
        logits, presence = self(x, stacks)
        there = presence.float().sigmoid() > LEAST_PRESENCE
        there = torch.cat([torch.ones_like(there[:, :1]), there], dim=1)
        found = (logits.float() / self.temperature.float()).softmax(dim=1) * there[:, :, None, None]
        return found / found.sum(dim=1, keepdim=True).clamp(min=1e-6)
