"""`dmcvr train distillation`: what an expectation and several steps draw, in one call from the warped neighbours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from dmcvr.model.aligned import AlignedAutoencoder, Surroundings
from dmcvr.model.autoencoder import SliceCodes
from dmcvr.model.perceptual import feature_distances, features
from dmcvr.train.autoencoder import surrounded_objective
from dmcvr.train.between import ANY_SIDE, Between, Places, mixed_codes
from dmcvr.train.data import TrainingSet
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import PairSet
from dmcvr.train.processes import gathered, share


class Distillation(nn.Module):
    """A model whose denoiser learns to draw in one step what its teacher draws as its own preset says.

    Both start as the same; the teacher stays as it is.
    """

    def __init__(self, model: AlignedAutoencoder, teacher: AlignedAutoencoder) -> None:
        super().__init__()
        self.model, self.teacher = model, teacher.requires_grad_(False)
        model.preset = model.preset.in_one_call()
        model.requires_grad_(False)
        model.denoiser.requires_grad_(True)


def distillation_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """Half of the batch as in `surrounded_objective`, and nothing is forgotten; half is the teacher's drawings.

    The two draw from the same noise and codes, at places between slices of `ANY_SIDE`: squared error and
    `feature_distances` of one call to what the teacher's steps came to, each as a share of what the plain mean has
    (progressive distillation, Salimans & Ho 2022, in one jump: of a start so near to the end that it succeeds).
    """
    places = Places.of(data, pairs)
    count = batch // 2
    remembered = surrounded_objective(data, pairs, batch=batch - count, device=device)

    def objective(module: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(module, Distillation)
        model, teacher = module.model, module.teacher.eval()
        model.segmenter.eval()
        loss, numbers = remembered(model, generator)
        between = places.sample(count, generator, ANY_SIDE, model.preset.size).to(device)
        noise = torch.randn(count, 1, model.preset.size, model.preset.size, generator=generator)
        own = share(count)
        between, noise = between[own], noise.to(device)[own]
        around, codes = between.around(), mixed_codes(teacher, between.neighbours, between.fraction)
        wanted = draw_as_preset(teacher, SliceCodes(noise, *codes), around)
        drawn = gathered(_one_call(model, SliceCodes(noise, *codes), around))
        wanted, middle = gathered(wanted), gathered(around.middle)
        error = (drawn - wanted).square().mean() / (middle - wanted).square().mean().clamp(min=1e-6)
        with torch.no_grad():
            goal, plain = (features(model.segmenter, image) for image in (wanted, middle))
        distance = feature_distances(features(model.segmenter, drawn), goal).mean()
        distance = distance / feature_distances(plain, goal).mean().clamp(min=1e-6)
        numbers |= {"error_over_plain": error.item(), "distance_over_plain": distance.item()}
        return loss + error + distance, numbers

    return objective


@torch.no_grad()
def draw_as_preset(model: AlignedAutoencoder, codes: SliceCodes, around: Surroundings) -> Tensor:
    """(B, 1, H, W) slices in [-1, 1] as the model's preset draws them, from noise `codes.x_T` at its start."""
    preset = model.preset
    image = around.middle if preset.start_image == "warped" else model.mean(codes, around).clamp(-1, 1)
    state = replace(codes, x_T=_started(model, image, codes.x_T))
    return model.draw(state, around, preset.steps, last=preset.start).clamp(-1, 1)


def draw_places(model: AlignedAutoencoder, between: Between, noise: Tensor) -> Tensor:
    """(B, 1, H, W) slices in [-1, 1] of these places, as `draw_as_preset`."""
    codes = SliceCodes(noise, *mixed_codes(model, between.neighbours, between.fraction))
    return draw_as_preset(model, codes, between.around())


def _started(model: AlignedAutoencoder, image: Tensor, noise: Tensor) -> Tensor:
    t = torch.full((len(image),), model.preset.start, device=image.device)
    return model.schedule.add_noise(image, model.preset.temperature * noise, t)


def _one_call(model: AlignedAutoencoder, codes: SliceCodes, around: Surroundings) -> Tensor:
    """The same, for learning."""
    t = torch.full((len(codes),), model.preset.start, device=codes.x_T.device)
    state = _started(model, around.middle, codes.x_T)
    return model.schedule.image_of_velocity(state, model.predict(state, t, codes.z_sem, codes.z_mor, around).float(), t)
