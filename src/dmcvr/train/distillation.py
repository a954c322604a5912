"""`dmcvr train distillation`: what inversion, an expectation and several steps draw, drawn in one call."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmcvr.fill.mixing import slerp
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import SliceCodes
from dmcvr.train.between import ANY_SIDE, Between, Places, mixed_codes
from dmcvr.train.data import TrainingSet
from dmcvr.train.drawing import over_plain
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import PairSet
from dmcvr.train.processes import share


class Distillation(nn.Module):
    """A model whose denoiser learns to draw in one call what its teacher draws as its own preset says.

    Both start as the same; the teacher stays as it is.
    """

    def __init__(self, model: AlignedAutoencoder, teacher: AlignedAutoencoder) -> None:
        super().__init__()
        self.model, self.teacher = model, teacher.requires_grad_(False)
        model.preset = model.preset.in_one_call()
        model.requires_grad_(False)
        model.denoiser.requires_grad_(True)


def distillation_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """One call's drawing beside the teacher's, at places between slices of `ANY_SIDE`.

    Squared error and `feature_distances`, each as a share of what the plain mean has (progressive distillation,
    Salimans & Ho 2022, in one jump: what is drawn is so near to what the neighbours show that it succeeds). Nothing
    else is learnt: what the denoiser knew of other states, it may forget.
    """
    places = Places.of(data, pairs)

    def objective(module: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(module, Distillation)
        model, teacher = module.model, module.teacher.eval()
        model.segmenter.eval()
        between = places.sample(batch, generator, ANY_SIDE, model.preset.size)
        white = torch.randn(batch, 1, model.preset.size, model.preset.size, generator=generator)
        own = share(batch)
        between, white = between[own].to(device), white[own].to(device)
        wanted, drawn = draw_as_taught(teacher, between, white), draw_in_one_call(model, between)
        error, distance = over_plain(model.segmenter, drawn, wanted, between.around().middle)
        loss = error + distance
        numbers = {"loss": loss.item(), "error_over_plain": error.item(), "distance_over_plain": distance.item()}
        return loss, numbers

    return objective


@torch.no_grad()
def draw_as_taught(model: AlignedAutoencoder, between: Between, white: Tensor) -> Tensor:
    """(B, 1, H, W) slices in [-1, 1] as `fill.aligned` draws them with several calls.

    From the neighbours' stochastic codes, by inversion, on the expected slice; `white` (B, 1, H, W) is the noise at t =
    T, where the expected slice does not depend on it.
    """
    preset, schedule, around = model.preset, model.schedule, between.around()
    codes = mixed_codes(model, between.neighbours, between.fraction)
    expected = model.mean(SliceCodes(white, *codes), around).clamp(-1, 1)
    alpha, sigma = (float(values[preset.start]) for values in (schedule.alpha, schedule.sigma))
    below, above = (
        (model.encode(side, preset.steps, corrections=preset.corrections, last=preset.start).x_T - alpha * side) / sigma
        for side in (around.below, around.above)
    )
    state = alpha * expected + sigma * preset.temperature * slerp(below, above, between.fraction)
    return model.draw(SliceCodes(state, *codes), around, preset.steps, last=preset.start).clamp(-1, 1)


def draw_in_one_call(model: AlignedAutoencoder, between: Between) -> Tensor:
    """(B, 1, H, W) slices from the warped neighbours' mean, without noise: with gradients, and not clipped."""
    around, schedule = between.around(), model.schedule
    t = torch.full((len(between),), model.preset.start, device=around.middle.device)
    state = schedule.at(t, around.middle)[0] * around.middle
    codes = mixed_codes(model, between.neighbours, between.fraction)
    return schedule.image_of_velocity(state, model.predict(state, t, *codes, around).float(), t)
