"""`dmcvr train drawing`: drawn slices that look like true ones, on squared error and a distance of features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmcvr.diffusion.ddim import move
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import SliceCodes
from dmcvr.model.morphology import Segmenter
from dmcvr.model.perceptual import feature_distances, features
from dmcvr.train.autoencoder import surrounded_objective
from dmcvr.train.between import ANY_SIDE, Places, mixed_codes
from dmcvr.train.data import TrainingSet
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import PairSet
from dmcvr.train.processes import gathered, share


def drawing_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """Half of the batch as in `surrounded_objective`, and nothing is forgotten; half is drawn as by `fill.aligned`.

    A drawing starts from noise on the expected slice, not on the true one, which training by noise prediction never
    shows. (On somewhere between that and the plain mean of the warped neighbours: of slices that the network has learnt
    by heart it expects too much.) So the steps are walked down to a random one, and the image that this step sees is
    compared with the truth: squared error and `feature_distances`, each as a share of what the plain mean has.
    Only `model.denoiser` learns.
    """
    places = Places.of(data, pairs)
    count = batch // 2
    remembered = surrounded_objective(data, pairs, batch=batch - count, device=device)

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, AlignedAutoencoder)
        model.segmenter.eval()
        loss, numbers = remembered(model, generator)
        preset, schedule = model.preset, model.schedule
        between = places.sample(count, generator, ANY_SIDE, preset.size).to(device)
        noise = torch.randn(count, 1, preset.size, preset.size, generator=generator)
        toward = torch.rand(count, 1, 1, 1, generator=generator)
        walked = int(torch.randint(preset.steps, (1,), generator=generator))

        own = share(count)
        between = between[own]
        noise, toward = noise.to(device)[own], toward.to(device)[own]
        view, around = between.truth, between.around()
        times = schedule.grid(preset.steps, preset.start)[::-1]
        with torch.no_grad():
            codes = mixed_codes(model, between.neighbours, between.fraction)
            expected = model.mean(SliceCodes(noise, *codes), around).clamp(-1, 1)
            start = torch.lerp(around.middle, expected, toward)
            x = schedule.add_noise(start, preset.temperature * noise, torch.full((len(between),), times[0]))
            predict = model.noise_predictor(*codes, around)
            for high, low in zip(times[:walked], times[1 : walked + 1], strict=True):
                x = move(x, predict(x, high), schedule, high, low)
        t = torch.full((len(between),), times[walked], device=x.device)
        drawn = schedule.image_of_velocity(x, model.predict(x, t, *codes, around).float(), t)
        error, distance = over_plain(model.segmenter, drawn, view, around.middle)
        numbers |= {"error_over_plain": error.item(), "distance_over_plain": distance.item()}
        return loss + error + distance, numbers

    return objective


def over_plain(segmenter: Segmenter, drawn: Tensor, wanted: Tensor, plain: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error and distance of features of slices (B, 1, H, W) that were drawn to those that were wanted.

    Each is over the whole batch of every process, as a share of what a plain guess (B, 1, H, W) has.
    """
    whole, goal, guess = (gathered(images) for images in (drawn, wanted, plain))
    error = (whole - goal).square().mean() / (guess - goal).square().mean().clamp(min=1e-6)
    with torch.no_grad():
        seen, known = features(segmenter, wanted), features(segmenter, plain)
    distance = gathered(feature_distances(features(segmenter, drawn), seen)).mean()
    return error, distance / gathered(feature_distances(known, seen)).mean().clamp(min=1e-6)
