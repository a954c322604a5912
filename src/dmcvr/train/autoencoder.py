"""`dmcvr train autoencoder`: E_sem and the denoiser on the noise-prediction loss, E_mor frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmcvr.fill.mixing import lerp
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.train.between import ANY_SIDE, Places, mixed_codes
from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import PairSet
from dmcvr.train.processes import gathered, share

#: Gentler than the segmenter's: what is added here, the decoder learns to draw.
AUGMENTATION = Augmentation(rotation_deg=20, scale=0.1, shift_mm=6, contrast=0.1, gamma=0.15, noise=0, bias=0.1)

#: Of the slices drawn from their neighbours: the share at t = T, and where the other times end (a share of T).
AT_END = 0.5
NEAR = 0.3


def autoencoder_objective(data: TrainingSet, *, batch: int, device: str) -> Objective:
    """E || target - prediction ||^2 over random slices, times and noise (He et al. 2023, Eq. 2).

    The target is the noise or the velocity, and times are drawn as T u^p, as the preset says. A share
    `preset.between` of the slices is drawn from codes half way between those of its two neighbours: what the
    decoder will be given for a missing slice. (Slices at the end of a stack keep their own codes.)
    """
    images = torch.from_numpy(data.images)
    neighbours = torch.from_numpy(data.neighbours())

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, Autoencoder)
        preset, schedule = model.preset, model.schedule
        chosen = torch.randint(len(images), (batch,), generator=generator)
        around = neighbours[chosen]
        between = (torch.rand(batch, generator=generator) < preset.between) & (around[:, 0] >= 0)
        sources = torch.where(between[:, None], around, chosen[:, None])
        triplets = torch.cat([chosen[:, None], sources], dim=1)
        views, _ = random_view(images[triplets], None, generator, AUGMENTATION, preset.size)
        u = torch.rand(batch, generator=generator) ** preset.time_power
        t = (u * schedule.length).long().clamp(max=schedule.length - 1)
        noise = torch.randn(batch, 1, preset.size, preset.size, generator=generator)

        views, t, noise, between = (tensor.to(device) for tensor in (views, t, noise, between))
        view = views[:, :1].contiguous(memory_format=torch.channels_last)
        own = share(batch)
        codes = _codes(model, views[own], between[own])
        output = gathered(model.predict(schedule.add_noise(view, noise, t)[own], t[own], *codes))
        target = schedule.velocity(view, noise, t) if preset.denoiser.prediction == "v" else noise
        loss = (output - target).square().mean()
        return loss, {"loss": loss.item()}

    return objective


def surrounded_objective(data: TrainingSet, pairs: PairSet, *, batch: int, device: str) -> Objective:
    """The same for a denoiser with surroundings: the target is the true slice between two others.

    A share `preset.between` of the slices is drawn from their neighbours alone: the codes of both, warped to the
    slice's place, are mixed at its fraction, and the denoiser sees both. Half of those are at t = T, where the least
    squares are those of the expected slice; the others at t < `NEAR` T, where such a slice is drawn. The rest is drawn
    from its own codes with nothing else known: that is how acquired slices are inverted. The codes stay as they are.

    Errors are those of the network's correction (`correction_scale`), so that every time counts alike.
    """
    places = Places.of(data, pairs)

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, AlignedAutoencoder)
        preset, schedule = model.preset, model.schedule
        between = places.sample(batch, generator, ANY_SIDE, preset.size)
        known = torch.rand(batch, generator=generator) < preset.between
        at_end = known & (torch.rand(batch, generator=generator) < AT_END)
        u = torch.rand(batch, generator=generator)
        t = (torch.where(known, NEAR * u, u**preset.time_power) * schedule.length).long()
        t = torch.where(at_end, torch.full_like(t, schedule.length), t).clamp(max=schedule.length - 1)
        noise = torch.randn(batch, 1, preset.size, preset.size, generator=generator)

        between, t, noise, known = between.to(device), t.to(device), noise.to(device), known.to(device)
        view, around, fraction, own = between.truth, between.around(known), between.fraction, share(batch)
        with torch.no_grad():
            sources = torch.where(known.view(-1, 1, 1, 1), between.neighbours, view)
            codes = mixed_codes(model, sources[own], fraction[own])
        x = schedule.add_noise(view, noise, t)
        output = gathered(model.predict(x[own], t[own], *codes, around[own]))
        wanted = schedule.velocity(view, noise, t)
        errors = ((output - wanted) / model.correction_scale(t, around)).square().mean(dim=(1, 2, 3))
        numbers = {"loss": errors.mean().item()}
        ends = at_end.to(device) & (fraction > 0) & (fraction < 1)  # at a neighbour itself the plain guess is right
        if ends.any():
            image = schedule.image_of_velocity(x, output, t)
            ours, plain = ((guess - view)[ends].square().mean() for guess in (image, around.middle))
            numbers["mean_over_plain"] = (ours / plain.clamp(min=1e-6)).item()
        return errors.mean(), numbers

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
