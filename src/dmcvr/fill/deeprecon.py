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

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dmcvr.errors import InputError
from dmcvr.fill.engine import Engine
from dmcvr.fill.given import follow_given
from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.mixing import lerp, on_device
from dmcvr.fill.search import search_codes
from dmcvr.geometry.plan import Plan
from dmcvr.stages import Stages


class DeepRecon:
    """A `dmcvr.fill.method.Method`: the one that DMCVR was compared with.

    Raises `InputError` for an engine without a generator.
    """

    def __init__(self, engine: Engine) -> None:
        if engine.generator is None:
            raise InputError(
                "These networks have no generator, which deeprecon draws with: load them with one, as in "
                "Engine.load(generator='deeprecon')."
            )
        self.engine, self.generator = engine, engine.generator

    @property
    def calls(self) -> tuple[int, int]:
        """Generator calls for each acquired slice (the search) and for each drawn one."""
        return self.engine.search.steps, 1

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
        engine, steps = self.engine, self.engine.search.steps
        images = engine.tensor(acquired.images)
        labels = torch.from_numpy(acquired.labels.astype(np.int64)).to(engine.device)
        with engine.batches(len(images), "search", steps, stages) as (parts, advance):
            found = [
                search_codes(
                    self.generator,
                    images[part],
                    labels[part],
                    engine.search,
                    segmenter=engine.model.segmenter,
                    progress=advance,
                )
                for part in parts
            ]
        return torch.cat(found)

    def draw(
        self, codes: Float[Tensor, "K codes D"], stages: Stages | None = None
    ) -> tuple[Float32[np.ndarray, "K S S"], Float32[np.ndarray, "K 4 S S"]]:
        """Slices (K, S, S) in [-1, 1] and their labels' probabilities (K, 4, S, S)."""
        with self.engine.batches(len(codes), "decode", 1, stages) as (parts, advance):
            images, scores = [], []
            for part in parts:
                drawn, logits = self.generator(codes[part])
                images.append(drawn)
                scores.append(logits.softmax(dim=1).cpu())
                advance()
        return self.engine.array(images), np.asarray(torch.cat(scores).numpy())
