"""DMCVR as published (He et al., MICCAI 2023, Sect. 2): codes of neighbouring slices are mixed, decoded, and labelled.

Each acquired slice x has three codes: z_sem = E_sem(x), a vector of the whole; z_mor = E_mor(x), a map of the three
structures; and x_T, the stochastic code, by deterministic DDIM inversion. A slice at fraction f between two others has

    x_T   = slerp(x_T[lower],   x_T[upper],   f)     (slerp keeps the norm of Gaussian noise)
    z_sem = lerp (z_sem[lower], z_sem[upper], f)
    z_mor = lerp (z_mor[lower], z_mor[upper], f)

Conditional DDIM decodes it, and the segmentation network labels it.
"""

from __future__ import annotations

from dmcvr.errors import InputError
from dmcvr.fill.engine import Engine
from dmcvr.fill.given import follow_given
from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.mixing import on_device
from dmcvr.geometry.plan import Plan
from dmcvr.model.autoencoder import SliceCodes
from dmcvr.stages import Stages


class Published:
    """A `dmcvr.fill.method.Method`: the paper's.

    Raises `InputError` for weights that were distilled to draw from their neighbours alone, and know no noise.
    """

    def __init__(self, engine: Engine) -> None:
        if not engine.drawing.temperature:
            raise InputError(
                "These weights were distilled to draw in one call from the neighbours: the published way needs others, "
                "such as compact."
            )
        self.engine = engine

    @property
    def calls(self) -> tuple[int, int]:
        """Denoiser calls for each acquired slice (inversion) and for each drawn one."""
        drawing = self.engine.drawing
        return drawing.steps * (drawing.corrections + 1), drawing.steps

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        engine, mix, count = self.engine, self.engine.drawing.mixing, len(acquired.images)
        stops, where = plan.with_acquired()  # each distinct position is drawn once, the acquired ones too
        lower, upper, f = on_device(stops, engine.device)

        codes = engine.encode(acquired.images, stages=stages)
        between = SliceCodes(
            x_T=mix.noise(codes.x_T[lower], codes.x_T[upper], f),
            z_sem=mix.guide(codes.z_sem[lower], codes.z_sem[upper], f),
            z_mor=mix.guide(codes.z_mor[lower], codes.z_mor[upper], f),
        )
        images = engine.decode(between, stages=stages)
        with (stages or Stages())("segment"):
            scores = engine.segment(images)[where]
            if acquired.labels_given:
                scores = follow_given(scores, acquired.labels, plan)
        return Dense(images[where[count:]], scores[count:], images[where[:count]])
