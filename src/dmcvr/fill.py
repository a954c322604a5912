"""DMCVR as a way to fill the gaps: draw the slices between, then label them (He et al. 2023, Fig. 1).

The published way: invert the acquired slices to codes, interpolate the codes, decode. A model with surroundings also
warps both neighbours to the place between (`dmcvr.align`), takes its semantic and morphology codes from them there,
and shows them to the denoiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from dmcvr.align import Paths, guided_paths, paths
from dmcvr.detail import restore_sharpness
from dmcvr.distances import probabilities, scores_of, signed_distances
from dmcvr.engine import Engine
from dmcvr.interpolate import Plan, blend, interpolate_codes, interpolate_noise
from dmcvr.methods import Acquired, Dense
from dmcvr.metrics import sharpness
from dmcvr.model.autoencoder import SliceCodes, Surroundings

#: So far from an acquired slice, its own detail and noise have faded out of what is drawn.
NEAR_MM = 2.0


@dataclass(frozen=True)
class Drawing:
    """What was drawn, at K distinct positions; `where` (N + M,) has those of the acquired slices, then the plan's.

    ========  =========  =====================================================================
    images    (K, S, S)  float32 in [-1, 1]
    where     (N + M,)   indices into the K positions
    rendered  (N, S, S)  the acquired slices as the model draws them
    between              how the neighbours were warped there, for a model with surroundings
    around               and the warped neighbours
    ========  =========  =====================================================================
    """

    images: NDArray[np.float32]
    where: NDArray[np.intp]
    rendered: NDArray[np.float32]
    between: Paths | None = None
    around: Surroundings | None = None


class Dmcvr:
    """A `dmcvr.methods.Method`: ours; neighbours are aligned by their labels too, or by grey values alone."""

    def __init__(self, engine: Engine, *, align: Literal["labels", "grey"] = "labels") -> None:
        self.engine, self.align = engine, align

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        return self.label(acquired, plan, self.draw(acquired, plan))

    def draw(self, acquired: Acquired, plan: Plan) -> Drawing:
        """The acquired slices as the model renders them, and those at the plan's positions."""
        engine, images = self.engine, acquired.images
        stops, where = plan.with_acquired()  # each distinct position is drawn once
        if not engine.aligns:
            codes = interpolate_codes(engine.encode(images), stops, engine.mixing)
            drawn = engine.decode(codes)
            return Drawing(drawn, where, drawn[where[: len(images)]])
        with engine.stages("align"):
            guided = self.align == "labels"
            between = guided_paths(images, acquired.labels, stops) if guided else paths(images, stops)
            around = self._surroundings(images, between)
        with engine.stages("encode"):
            guides = engine.guides(around)
        white = torch.randn(around.below.shape, generator=torch.Generator().manual_seed(0)).to(engine.device)
        expected = engine.mean(SliceCodes(white, *guides), around)
        noise = interpolate_noise(engine.noise(images), stops, engine.mixing)
        drawn = engine.draw(expected, noise, guides, around)
        if engine.output == "sharp":
            own = np.array([sharpness(image) for image in images], dtype=np.float32)
            drawn = restore_sharpness(drawn, engine.detail * blend(own, stops))
        rendered = drawn[where[: len(images)]]
        return Drawing(keep_acquired(drawn, images - rendered, between), where, rendered, between, around)

    def label(self, acquired: Acquired, plan: Plan, drawing: Drawing) -> Dense:
        """A drawing with label scores; given labels are followed."""
        with self.engine.stages("segment"):
            if self.engine.aligns and self.engine.model.labeller is not None:
                scores = self._labelled(acquired, drawing)[drawing.where]
            else:
                scores = self.engine.segment(drawing.images)[drawing.where]
                if acquired.labels_given:
                    scores = _follow_given(scores, acquired.labels, plan)
        count = len(acquired.images)
        return Dense(drawing.images[drawing.where[count:]], scores[count:], drawing.rendered)

    def _surroundings(self, images: NDArray[np.float32], between: Paths) -> Surroundings:
        below, above = (self.engine.tensor(np.clip(part, -1, 1)) for part in between.warp(images))
        numbers = (between.plan.fraction, between.plan.gap_mm)
        fraction, gap_mm = (torch.from_numpy(part).float().to(self.engine.device) for part in numbers)
        return Surroundings(below, above, fraction, gap_mm, torch.ones_like(fraction))

    def _labelled(self, acquired: Acquired, drawing: Drawing) -> NDArray[np.float32]:
        assert drawing.between is not None
        assert drawing.around is not None
        if acquired.labels_given:
            below, above = drawing.between.warp(probabilities(acquired.labels), order=1)
        else:
            around = drawing.around
            below, above = (self.engine.segment(part[:, 0].cpu().numpy()) for part in (around.below, around.above))
        return self.engine.label(drawing.around, below, above)


def keep_acquired(drawn: NDArray[np.float32], missing: NDArray[np.float32], between: Paths) -> NDArray[np.float32]:
    """Slices (K, S, S) with what they lack of the acquired ones (N, S, S): all of it there, nothing `NEAR_MM` away.

    It is warped along the deformation, and what was measured fades into what was drawn without a jump.
    """
    plan = between.plan
    weights = [
        np.clip(1 - share * plan.gap_mm / NEAR_MM, 0, 1)[:, None, None] for share in (plan.fraction, 1 - plan.fraction)
    ]
    below, above = between.warp(missing, order=1)
    return np.asarray(np.clip(drawn + weights[0] * below + weights[1] * above, -1, 1), dtype=np.float32)


def _follow_given(scores: NDArray[np.float32], given: NDArray[np.uint8], plan: Plan) -> NDArray[np.float32]:
    """Where the user's labels differ from ours at the acquired slices, carry the difference in between.

    `scores` are those of the acquired slices, then of the plan's; the difference is one of signed distances.
    """
    count = len(given)
    distances = signed_distances(scores.argmax(axis=1).astype(np.uint8))
    difference = signed_distances(given) - distances[:count]
    return scores_of(distances + np.concatenate([difference, blend(difference, plan)]))
