"""DeepRecon (Chang et al., MICCAI 2022): codes are searched for each acquired slice, then interpolated and drawn.

A generator draws slices with their labels from one code for each of its convolutions (`dmcvr.model.deeprecon`). For an
acquired slice x with labels y, the codes w are searched by Adam, from their mean on:

    || G(w) - x ||^2  +  a distance of features  +  cross-entropy and Dice of its labels and y  +  || w - mean ||^2

so that what is drawn looks like x and has its heart. A slice at fraction f between two others has the codes
(1 - f) w[lower] + f w[upper]; it comes with its labels.

As published but for the features, which were LPIPS' and are those of our segmentation network (`model.perceptual`); the
labels that lead the search, which are the segmenter's, or the user's; and the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dmcvr.errors import InputError
from dmcvr.fill.engine import Engine
from dmcvr.fill.given import follow_given
from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.mixing import lerp, on_device
from dmcvr.geometry.plan import Plan
from dmcvr.model.checkpoint import load_generator
from dmcvr.model.deeprecon import Generator
from dmcvr.model.morphology import CLASSES, Segmenter
from dmcvr.model.perceptual import feature_distances, features
from dmcvr.options import BUNDLED
from dmcvr.stages import Stages

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
            group["lr"] = how.rate * min(1.0, 20 * (step + 1) / how.steps) * 0.5 * (1 + np.cos(np.pi * done))
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


class DeepRecon:
    """A `dmcvr.fill.method.Method`: the one that DMCVR was compared with.

    ========  ===================================================================================
    weights   of the generator: a bundled name, or a file
    steps     of each search; None: `STEPS`
    ========  ===================================================================================

    Raises `InputError` for weights that are missing, or do not suit the engine that finds and labels the heart.
    """

    def __init__(self, engine: Engine, *, weights: str | Path | None = None, steps: int | None = None) -> None:
        generator, self.info = load_generator(weights or BUNDLED["deeprecon"])
        size, preset = self.info.preset.generator.size, engine.model.preset
        if size != preset.size:
            raise InputError(
                f"The generator in {self.info.path} draws slices of {size} px, and the networks that find the heart see "
                f"{preset.size} px: use two of one size."
            )
        if engine.info is not None and self.info.window != engine.info.window:
            raise InputError(
                f"The generator in {self.info.path} and the weights in {engine.info.path} were trained with different "
                "--window: use two that were trained alike."
            )
        self.engine, self.search = engine, Search(steps=STEPS if steps is None else steps)
        self.generator = generator.to(engine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator.requires_grad_(False)

    @property
    def calls(self) -> tuple[int, int]:
        """Generator calls for each acquired slice (the search) and for each drawn one."""
        return self.search.steps, 1

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        count = len(acquired.images)
        stops, where = plan.with_acquired()  # each distinct position is drawn once, the acquired ones too
        lower, upper, f = on_device(stops, self.engine.device)
        found = self.find(acquired, stages)
        images, scores = self.draw(lerp(found[lower], found[upper], f), stages)
        scores = scores[where]
        if acquired.labels_given:
            scores = follow_given(scores, acquired.labels, plan)
        return Dense(images[where[count:]], scores[count:], images[where[:count]])

    def find(self, acquired: Acquired, stages: Stages | None = None) -> Float[Tensor, "N codes D"]:
        """The codes of the acquired slices."""
        engine, steps = self.engine, self.search.steps
        images = engine.tensor(acquired.images)
        labels = torch.from_numpy(acquired.labels.astype(np.int64)).to(engine.device)
        with engine.batches(len(images), "search", steps, stages) as (parts, advance):
            found = [
                search_codes(
                    self.generator,
                    images[part],
                    labels[part],
                    self.search,
                    segmenter=engine.model.segmenter,
                    progress=advance,
                )
                for part in parts
            ]
        return torch.cat(found)

    def draw(
        self, codes: Float[Tensor, "K codes D"], stages: Stages | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slices (K, S, S) in [-1, 1] and their labels' probabilities (K, 4, S, S)."""
        with self.engine.batches(len(codes), "decode", 1, stages) as (parts, advance):
            images, scores = [], []
            for part in parts:
                drawn, logits = self.generator(codes[part])
                images.append(drawn)
                scores.append(logits.softmax(dim=1).cpu())
                advance()
        return self.engine.array(images), np.asarray(torch.cat(scores).numpy())
