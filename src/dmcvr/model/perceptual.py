"""How alike two slices look: a distance of features, after LPIPS (Zhang et al. 2018).

The features are those of our segmentation network, which knows cardiac MRI and needs no download: at each level,
channels are scaled to unit length, their squared difference is averaged over the slice, and levels are averaged.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from dmcvr.model.morphology import Segmenter


def features(segmenter: Segmenter, x: Float[Tensor, "B 1 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
    """Slices (B, 1, H, W) in [-1, 1] to unit vectors (B, C, h, w) at each level, finest first; the last is z_mor's."""
    morphology, maps = segmenter.encode(x)
    levels = (part.float() for part in (*maps, morphology))
    return [part / (part.norm(dim=1, keepdim=True) + 1e-6) for part in levels]


def feature_distances(
    found: list[Float[Tensor, "B _ _ _"]], truth: list[Float[Tensor, "B _ _ _"]]
) -> Float[Tensor, " B"]:
    """(B,) distances of slices by their `features`; 0 for equal ones."""
    levels = [(a - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in zip(found, truth, strict=True)]
    return sum(levels[1:], levels[0]) / len(levels)
