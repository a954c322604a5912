"""Views of slices between two others, which are seen warped to their place: what all but two stages learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.fill.mixing import lerp
from dmcvr.model.aligned import Surroundings
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.pairs import PairSet, kept

#: What lies between two slices is the same question from every side and in a mirror: few pairs, many views.
ANY_SIDE = Augmentation(
    rotation_deg=180, scale=0.15, shift_mm=6, contrast=0.2, gamma=0.25, noise=0, bias=0.2, mirrored=0.5
)


@dataclass(frozen=True)
class Between:
    """B views of slices and of both neighbours at their place.

    ========  ==================  ===================================================
    views     (B, 3, H, W)        the true slice, the lower neighbour, the upper one
    labels    (B, 3, H, W)        theirs; (B, 0, H, W) where they are not asked for
    fraction  (B,)                0 at the lower neighbour, 1 at the upper
    gap_mm    (B,)                between the two
    ========  ==================  ===================================================
    """

    views: Tensor
    labels: Tensor
    fraction: Tensor
    gap_mm: Tensor

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, which: Tensor | slice) -> Between:
        return self._each(lambda part: part[which])

    def to(self, device: str) -> Between:
        return self._each(lambda part: part.to(device))

    @property
    def truth(self) -> Tensor:
        """(B, 1, H, W)"""
        return self.views[:, :1].contiguous(memory_format=torch.channels_last)

    @property
    def neighbours(self) -> Tensor:
        """(B, 2, H, W)"""
        return self.views[:, 1:]

    def around(self, known: Tensor | None = None) -> Surroundings:
        """What a model sees of them, of those that are `known` (B,) to it (default: all)."""
        known = torch.ones_like(self.fraction) if known is None else known.float()
        return Surroundings(self.views[:, 1:2], self.views[:, 2:], self.fraction, self.gap_mm, known)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Between:
        return Between(*(change(part) for part in (self.views, self.labels, self.fraction, self.gap_mm)))


@dataclass(frozen=True)
class Places:
    """Slices between two others of a training set, to take views of."""

    pairs: PairSet
    images: NDArray[np.float16]
    labels: NDArray[np.uint8]

    @classmethod
    def of(cls, data: TrainingSet, pairs: PairSet) -> Places:
        return cls(pairs, kept(data.images), kept(data.labels))

    def __len__(self) -> int:
        return len(self.pairs)

    def inside(self) -> Places:
        """Those that are neither of the two others."""
        return replace(self, pairs=self.pairs[np.flatnonzero(self.pairs.inside)])

    def sample(
        self, count: int, generator: torch.Generator, how: Augmentation, size: int, *, labelled: bool = False
    ) -> Between:
        """Random views of random ones."""
        chosen = replace(self, pairs=self.pairs.sample(count, generator))
        return chosen.views(generator, how, size, labelled=labelled)

    def views(self, generator: torch.Generator, how: Augmentation, size: int, *, labelled: bool = False) -> Between:
        """A random view of each."""
        canvases = torch.from_numpy(self.pairs.images(self.images))
        maps = torch.from_numpy(self.pairs.labels(self.labels)) if labelled else None
        views, masks = random_view(canvases, maps, generator, how, size)
        masks = views.new_empty(len(views), 0, size, size) if masks is None else masks
        return Between(views, masks, torch.from_numpy(self.pairs.fraction), torch.from_numpy(self.pairs.gap_mm))


def mixed_codes(model: Autoencoder, sources: Tensor, fraction: Tensor) -> tuple[Tensor, Tensor]:
    """z_sem and z_mor of (B, 2, H, W): those of both slices, mixed at the fraction."""
    count = len(sources)
    slices = torch.cat([sources[:, :1], sources[:, 1:]]).contiguous(memory_format=torch.channels_last)
    model.segmenter.eval()
    with torch.no_grad():
        morphology = model.segmenter.morphology(slices)
    z_sem, z_mor = (lerp(code[:count], code[count:], fraction) for code in (model.encoder(slices), morphology))
    return z_sem, z_mor
