"""`dmcvr train autoencoder`: E_sem and the denoiser on the noise-prediction loss, E_mor frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmcvr.interpolate import lerp
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective

#: Gentler than the segmenter's: what is added here, the decoder learns to draw.
AUGMENTATION = Augmentation(rotation_deg=20, scale=0.1, shift_mm=6, contrast=0.1, gamma=0.15, noise=0, bias=0.1)


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
