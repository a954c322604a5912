"""`dmcvr train autoencoder`: E_sem and the denoiser on the noise-prediction loss, E_mor frozen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dmcvr.interpolate import lerp
from dmcvr.model.autoencoder import Autoencoder, Surroundings
from dmcvr.train.data import CANVAS, Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import KEPT_PX, PairSet, from_bytes

#: Gentler than the segmenter's: what is added here, the decoder learns to draw.
AUGMENTATION = Augmentation(rotation_deg=20, scale=0.1, shift_mm=6, contrast=0.1, gamma=0.15, noise=0, bias=0.1)

#: Share of the slices drawn from their neighbours that is at t = T.
AT_END = 0.25


def autoencoder_objective(data: TrainingSet, *, batch: int, device: str) -> Objective:
    """E || target - prediction ||^2 over random slices, times and noise (He et al. 2023, Eq. 2).

    The target is the noise or the velocity, and times are drawn as T u^p, as the preset says. A share
    `preset.between` of the slices is drawn from codes half way between those of its two neighbours: what the
    decoder will be given for a missing slice. (Slices at the end of a stack keep their own codes.)
    """
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    neighbours = torch.from_numpy(data.neighbours())

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Autoencoder)
        preset, schedule = model.preset, model.schedule
        chosen = torch.randint(len(images), (batch,), generator=generator)
        around = neighbours[chosen]
        between = (torch.rand(batch, generator=generator) < preset.between) & (around[:, 0] >= 0)
        sources = torch.where(between[:, None], around, chosen[:, None])
        triplets = torch.cat([chosen[:, None], sources], dim=1)
        views, _ = random_view(images[triplets], labels[chosen], generator, AUGMENTATION, preset.size)
        u = torch.rand(batch, generator=generator) ** preset.time_power
        t = (u * schedule.length).long().clamp(max=schedule.length - 1)
        noise = torch.randn(batch, 1, preset.size, preset.size, generator=generator)

        views, t, noise, between = (tensor.to(device) for tensor in (views, t, noise, between))
        view = views[:, :1].contiguous(memory_format=torch.channels_last)
        z_sem, z_mor = _codes(model, views, between)
        output = model.predict(schedule.add_noise(view, noise, t), t, z_sem, z_mor)
        target = schedule.velocity(view, noise, t) if preset.denoiser.prediction == "v" else noise
        loss = (output.float() - target).square().mean()
        return loss, {"loss": loss.item()}

    return objective


def surrounded_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """The same for a denoiser with surroundings: the target is the true slice between two others.

    A share `preset.between` of the slices is drawn from their neighbours alone: the codes of both, warped to the
    slice's place, are mixed at its fraction, and the denoiser sees both. The others are drawn from their own codes
    with nothing else known: that is how acquired slices are inverted. A quarter of the former is at t = T, where
    the least squares are those of the expected slice.
    """
    low = (CANVAS - KEPT_PX) // 2
    images = torch.from_numpy(data.images[:, low : low + KEPT_PX, low : low + KEPT_PX])
    labels = torch.from_numpy(data.labels[:, low : low + KEPT_PX, low : low + KEPT_PX])

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Autoencoder)
        preset, schedule = model.preset, model.schedule
        chosen = torch.randint(len(pairs), (batch,), generator=generator).numpy()
        target = torch.from_numpy(pairs.target[chosen])
        neighbours = torch.from_numpy(from_bytes(np.stack([pairs.below[chosen], pairs.above[chosen]], axis=1)))
        canvases = torch.cat([images[target][:, None].float(), neighbours], dim=1)
        views, _ = random_view(canvases, labels[target], generator, AUGMENTATION, preset.size)
        known = torch.rand(batch, generator=generator) < preset.between
        u = torch.rand(batch, generator=generator) ** preset.time_power
        t = (u * schedule.length).long().clamp(max=schedule.length - 1)
        at_end = known & (torch.rand(batch, generator=generator) < AT_END)
        t = torch.where(at_end, torch.full_like(t, schedule.length - 1), t)
        noise = torch.randn(batch, 1, preset.size, preset.size, generator=generator)

        fraction, gap = (torch.from_numpy(part[chosen]).to(device) for part in (pairs.fraction, pairs.gap_mm))
        views, t, noise, known = (tensor.to(device) for tensor in (views, t, noise, known))
        view = views[:, :1].contiguous(memory_format=torch.channels_last)
        around = Surroundings(views[:, 1:2], views[:, 2:], fraction, gap, known.float())
        sources = torch.where(known.view(-1, 1, 1, 1), views[:, 1:], view)
        z_sem, z_mor = mixed_codes(model, sources, fraction)
        output = model.predict(schedule.add_noise(view, noise, t), t, z_sem, z_mor, around)
        target_v = schedule.velocity(view, noise, t) if preset.denoiser.prediction == "v" else noise
        errors = (output.float() - target_v).square().mean(dim=(1, 2, 3))
        numbers = {"loss": errors.mean().item()}
        ends = at_end.to(device) & (fraction > 0) & (fraction < 1)  # at a neighbour itself the plain guess is right
        if ends.any():
            image = schedule.image_of_velocity(schedule.add_noise(view, noise, t), output.float(), t)
            ours, plain = ((guess - view)[ends].square().mean() for guess in (image, around.middle))
            numbers["mean_over_plain"] = (ours / plain.clamp(min=1e-6)).item()
        return errors.mean(), numbers

    return objective


def mixed_codes(model: Autoencoder, sources: Tensor, fraction: Tensor) -> tuple[Tensor, Tensor]:
    """z_sem and z_mor of (B, 2, H, W): those of both slices, mixed at the fraction."""
    count = len(sources)
    slices = torch.cat([sources[:, :1], sources[:, 1:]]).contiguous(memory_format=torch.channels_last)
    model.segmenter.eval()
    with torch.no_grad():
        morphology = model.segmenter.morphology(slices)
    z_sem, z_mor = (lerp(code[:count], code[count:], fraction) for code in (model.encoder(slices), morphology))
    return z_sem, z_mor


def _codes(model: Autoencoder, views: Tensor, between: Tensor) -> tuple[Tensor, Tensor]:
    """z_sem and z_mor of (B, 3, H, W): of the first, or where `between` half way from second to third."""
    slices = torch.cat([views[~between, :1], views[between, 1:2], views[between, 2:]])
    slices = slices.contiguous(memory_format=torch.channels_last)
    model.segmenter.eval()
    with torch.no_grad():
        morphology = model.segmenter.morphology(slices)
    order = torch.cat([torch.nonzero(~between), torch.nonzero(between)]).ravel().argsort()
    own, mixed = int((~between).sum()), int(between.sum())
    half = torch.full((mixed,), 0.5, device=views.device)
    z_sem, z_mor = (
        torch.cat([code[:own], lerp(code[own : own + mixed], code[own + mixed :], half)])[order]
        for code in (model.encoder(slices), morphology)
    )
    return z_sem, z_mor
