"""Our way to fill the gaps: both neighbours are warped to the place between, and the networks start from them.

Hearts move sideways from slice to slice, so codes (or pixels) mixed where they lie make ghosts. Here both neighbours
are first warped along the deformation between them (`dmcvr.registration.paths`). The semantic and morphology codes are
read there, and the denoiser, which sees both slices, draws from their mean in one call. (So it was distilled. Its
teacher says what to expect, and draws on that by a few DDIM steps from the neighbours' noise, their stochastic codes.)
A sharp slice is brought back to its neighbours' sharpness, from the mean of what was drawn and of the warped
neighbours: amplified alone, a network's detail is grain. A labeller that sees the same labels it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.errors import InputError
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.mixing import on_device
from dmcvr.fill.sharpen import sharpen_like
from dmcvr.geometry.plan import Plan
from dmcvr.model.aligned import Surroundings
from dmcvr.model.autoencoder import SliceCodes
from dmcvr.options import AlignBy, LabellerUse
from dmcvr.registration.find import find_paths
from dmcvr.registration.paths import NARROW_MM, Paths
from dmcvr.stages import Stages

#: Distance (mm) from an acquired slice over which what was measured there (its noise, and detail that the networks do
#: not draw) fades out of the drawn slices.
FADE_MM = 2.0

#: Codes are read so densely along a gap (mm).
READ_MM = 5.0

#: Seed of the noise that fills x_t at t = T, where the expected slice does not depend on it.
WHITE_SEED = 0


@dataclass(frozen=True)
class Drawn:
    """What was drawn, at K distinct positions; `where` (N + M,) has those of the acquired slices, then the plan's.

    ========  =========  =====================================================================
    images    (K, S, S)  float32 in [-1, 1]
    where     (N + M,)   indices into the K positions
    rendered  (N, S, S)  the acquired slices as the model draws them; as they are, where it draws nothing
    between              how the neighbours were warped there
    around               and the warped neighbours
    ========  =========  =====================================================================
    """

    images: Float32[np.ndarray, "K S S"]
    where: Int[np.ndarray, " _"]
    rendered: Float32[np.ndarray, "N S S"]
    between: Paths
    around: Surroundings


class Aligned:
    """A `dmcvr.fill.method.Method`: ours.

    ========  =============================================================================================
    align     neighbours are aligned by grey values and "labels", or by "grey" values alone
    labeller  labels between slices are the warped neighbours' mixture, which the network corrects in "wide" gaps, in
              "all" or in "none"
    ========  =============================================================================================

    Raises `InputError` for weights that see no surroundings.
    """

    def __init__(self, engine: Engine, *, align: AlignBy = "labels", labeller: LabellerUse = "wide") -> None:
        model = engine.aligned
        if model is None:
            raise InputError(
                f"Weights of preset {engine.model.preset.name} see no surroundings: use the published method."
            )
        self.engine, self.model = engine, model
        self.align, self.labeller = align, labeller

    @property
    def calls(self) -> tuple[int, int]:
        """Denoiser calls for each acquired slice (inversion) and for each drawn one."""
        drawing = self.engine.drawing
        if drawing.image == "warped":
            return 0, 0
        inverted = drawing.steps * (drawing.corrections + 1) if drawing.temperature else 0
        return inverted, drawing.steps + (drawing.start_image == "mean")

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        stages = stages or Stages()
        drawn = self.draw(acquired, plan, stages)
        wanted = drawn.where[len(acquired.images) :]
        with stages("segment"):
            scores = self.label(acquired, drawn)[wanted]
        return Dense(drawn.images[wanted], scores, drawn.rendered)

    def draw(self, acquired: Acquired, plan: Plan, stages: Stages) -> Drawn:
        """The acquired slices as the model renders them, and those at the plan's positions."""
        how, images = self.engine.drawing, acquired.images
        stops, where = plan.with_acquired()  # each distinct position is drawn once
        with stages("align"):
            between = find_paths(images, acquired.labels, stops, self.align)
            around = self._surroundings(images, between)
        warped = around.middle[:, 0].cpu().numpy()
        if how.image == "warped":
            return Drawn(warped, where, images, between, around)
        with stages("encode"):
            guides = self._guides(around, stops)
        first = warped if how.start_image == "warped" else self._mean(guides, around, stages)
        drawn = self._draw(first, self._noise(images, stops, stages), guides, around, stages)
        if how.image == "sharp":
            drawn = sharpen_like(drawn + how.texture * (warped - drawn), images, stops, how.detail)
        rendered = drawn[where[: len(images)]]
        return Drawn(keep_acquired(drawn, images - rendered, between), where, rendered, between, around)

    def label(self, acquired: Acquired, drawn: Drawn) -> Float32[np.ndarray, "K 4 S S"]:
        """(K, 4, S, S) class probabilities of what was drawn, from the neighbours' labels: given ones, or found."""
        shares, around = acquired.probabilities, drawn.around
        corrected = around.gap_mm >= {"wide": NARROW_MM, "all": 0.0, "none": torch.inf}[self.labeller]
        found = np.empty((len(around), *shares.shape[1:]), dtype=np.float32)
        with self.engine.batches(len(around)) as (parts, _):
            for part in parts:
                sides = drawn.between[part].warp(shares, order=1)
                below, above = (torch.from_numpy(side).to(self.engine.device) for side in sides)
                found[part] = self.model.label(around[part], below, above, corrected[part]).softmax(dim=1).cpu()
        return found

    def _surroundings(self, images: NDArray[np.float32], between: Paths) -> Surroundings:
        """Both neighbours at each position, and how far away they are."""
        below, above = (self.engine.tensor(np.clip(part, -1, 1)) for part in between.warp(images))
        numbers = (between.plan.fraction, between.plan.gap_mm)
        fraction, gap_mm = (torch.from_numpy(part).float().to(self.engine.device) for part in numbers)
        return Surroundings(below, above, fraction, gap_mm, torch.ones_like(fraction))

    def _guides(self, around: Surroundings, stops: Plan) -> tuple[Tensor, Tensor]:
        """z_sem and z_mor of both neighbours, mixed at each slice's fraction.

        They are read once for every stretch of a gap of at most `READ_MM`, where both are warped to the position
        nearest to the stretch's middle: a cell of z_mor is wider than what a slice's place in it moves.
        """
        stretches = np.ceil(np.round(stops.gap_mm / READ_MM, 6))
        within = np.minimum(np.floor(stops.fraction * stretches), stretches - 1)
        off = np.abs(stops.fraction * stretches - within - 0.5)
        stretch = np.unique(np.stack([stops.lower, within]), axis=1, return_inverse=True)[1].ravel()
        middle = np.array([np.where(stretch == n, off, np.inf).argmin() for n in range(stretch.max() + 1)])
        seen = around[torch.from_numpy(middle).to(self.engine.device)]
        with self.engine.batches(len(seen)) as (parts, _):
            read = [[self.model.guides(side[part]) for part in parts] for side in (seen.below, seen.above)]
        below, above = ([torch.cat(codes)[stretch] for codes in zip(*side, strict=True)] for side in read)
        mix = self.engine.drawing.mixing
        return mix.guide(below[0], above[0], around.fraction), mix.guide(below[1], above[1], around.fraction)

    def _mean(self, guides: tuple[Tensor, Tensor], around: Surroundings, stages: Stages) -> NDArray[np.float32]:
        """The expected slices: one network call at t = T."""
        white = torch.randn(around.below.shape, generator=torch.Generator().manual_seed(WHITE_SEED))
        codes = SliceCodes(white.to(self.engine.device), *guides)
        found = []
        with self.engine.batches(len(codes), "decode", 1, stages) as (parts, advance):
            for part in parts:
                found.append(self.model.mean(codes[part], around[part]))
                advance()
        return self.engine.array(found)

    def _noise(self, images: NDArray[np.float32], stops: Plan, stages: Stages) -> Tensor | float:
        """(K, 1, S, S) the noise in states at time `start`, mixed from the stochastic codes there; 0 without any."""
        how = self.engine.drawing
        if not how.temperature:
            return 0.0
        alpha, sigma = self._start_scales()
        state = self.engine.encode(images, last=how.start, stages=stages).x_T
        own = (state - alpha * self.engine.tensor(images)) / sigma
        lower, upper, f = on_device(stops, self.engine.device)
        return how.temperature * how.mixing.noise(own[lower], own[upper], f)

    def _draw(
        self,
        first: NDArray[np.float32],
        noise: Tensor | float,
        guides: tuple[Tensor, Tensor],
        around: Surroundings,
        stages: Stages,
    ) -> NDArray[np.float32]:
        """(K, S, S) slices from noise (K, 1, S, S) on first images, from time `start` on."""
        engine, how = self.engine, self.engine.drawing
        alpha, sigma = self._start_scales()
        state = alpha * engine.tensor(first) + sigma * noise
        codes = SliceCodes(state, *guides)
        with engine.batches(len(codes), "decode", how.steps, stages) as (parts, advance):
            return engine.array(
                [
                    self.model.draw(codes[part], around[part], how.steps, last=how.start, progress=advance)
                    for part in parts
                ]
            )

    def _start_scales(self) -> tuple[float, float]:
        """alpha and sigma at time `start`."""
        schedule, start = self.model.schedule, self.engine.drawing.start
        return float(schedule.alpha[start]), float(schedule.sigma[start])


def keep_acquired(
    drawn: Float32[np.ndarray, "K S S"], missing: Float32[np.ndarray, "N S S"], between: Paths
) -> Float32[np.ndarray, "K S S"]:
    """Slices (K, S, S) with what they lack of the acquired ones (N, S, S): all of it there, nothing `FADE_MM` away.

    It is warped along the deformation, and what was measured fades into what was drawn without a jump.
    """
    plan = between.plan
    weights = [
        np.clip(1 - share * plan.gap_mm / FADE_MM, 0, 1)[:, None, None] for share in (plan.fraction, 1 - plan.fraction)
    ]
    below, above = between.warp(missing, order=1)
    return np.asarray(np.clip(drawn + weights[0] * below + weights[1] * above, -1, 1), dtype=np.float32)
