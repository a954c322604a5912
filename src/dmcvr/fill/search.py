"""The codes from which a generator draws given slices with their labels, found by descent (DeepRecon, Sect. 2.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dmcvr.model.deeprecon import Generator
from dmcvr.model.morphology import CLASSES, Segmenter
from dmcvr.model.perceptual import feature_distances, features

#: Steps of a search, unless told otherwise.
STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Search:
    """How codes are searched.

    ==========  ==================================================================================
    steps       of Adam
    rate        the highest learning rate: it rises over the first twentieth, and falls like a cosine
    image       weight of the mean squared error of grey values
    look        of the distance of features
    labels      of cross-entropy and Dice
    stay        of the squared distance from the mean code
    ==========  ==================================================================================
    """

    steps: int = STEPS
    rate: float = 0.1
    image: float = 10.0
    look: float = 1.0
    labels: float = 1.0
    stay: float = 0.01


def search_codes(
    generator: Generator,
    images: Float[Tensor, "N 1 S S"],
    labels: Int[Tensor, "N S S"],
    how: Search,
    *,
    segmenter: Segmenter | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Float[Tensor, "N codes D"]:
    """The codes of slices in [-1, 1] with their labels, each slice by itself; without a segmenter, by no features."""
    mean = generator.mean_code()
    codes = mean.repeat(len(images), 1, 1).requires_grad_()
    optimiser = torch.optim.Adam([codes], lr=how.rate)
    seen = None
    if segmenter is not None:
        with torch.no_grad():
            seen = features(segmenter, images)
    wanted = F.one_hot(labels, CLASSES)[..., 1:].movedim(-1, 1).float()
    for step in range(how.steps):
        done = step / how.steps
        for group in optimiser.param_groups:
            group["lr"] = how.rate * min(1.0, 20 * (step + 1) / how.steps) * 0.5 * (1 + math.cos(math.pi * done))
        with torch.enable_grad():
            drawn, logits = generator(codes)
            loss = how.image * (drawn - images).square().mean(dim=(1, 2, 3))
            loss = loss + how.labels * _label_errors(logits, labels, wanted)
            loss = loss + how.stay * (codes - mean).square().mean(dim=(1, 2))
            if segmenter is not None and seen is not None:
                loss = loss + how.look * feature_distances(features(segmenter, drawn), seen)
            (codes.grad,) = torch.autograd.grad(loss.sum(), codes)
        optimiser.step()
        progress()
    return codes.detach()


def _label_errors(
    logits: Float[Tensor, "N 4 S S"], labels: Int[Tensor, "N S S"], wanted: Float[Tensor, "N 3 S S"]
) -> Float[Tensor, " N"]:
    """(N,) cross-entropy and Dice of each slice's three structures."""
    log_p = logits.log_softmax(dim=1)
    entropy = F.nll_loss(log_p, labels, reduction="none").mean(dim=(1, 2))
    p = log_p[:, 1:].exp()
    both, either = (p * wanted).sum(dim=(2, 3)), (p + wanted).sum(dim=(2, 3))
    return entropy + (1 - (2 * both + 1) / (either + 1)).mean(dim=1)
