"""`dmcvr train deeprecon`: a generator of slices with their labels, and a discriminator, against each other."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dmcvr.errors import InputError
from dmcvr.model.deeprecon import DeepRecon, Discriminator, Generator
from dmcvr.model.morphology import CLASSES
from dmcvr.train.autoencoder import AUGMENTATION
from dmcvr.train.data import TrainingSet, random_view
from dmcvr.train.loop import Objective
from dmcvr.train.processes import gathered, share

#: The share of the steps on which the discriminator's slope at true slices is held down, which then counts as much
#: more (StyleGAN2, Sect. 3.1: lazy regularisation), and its weight (gamma of Mescheder et al. 2018).
LAZY, GAMMA = 1 / 16, 1.0

#: The share of the slices that are made from two codes, one for the coarse levels and one for the fine.
MIXED = 0.5

#: `TrainingSet.known` of a slice all of whose structures were looked for.
ALL_KNOWN = 2 ** (CLASSES - 1) - 1


def deeprecon_objective(data: TrainingSet, *, batch: int, size: int, device: str) -> Objective:
    """The non-saturating loss for both, with R1 (Karras et al. 2020), on random views of random slices.

    Slices are judged with their labels, as one picture of five channels. Both networks learn in each step, the
    generator from a discriminator that is held still. Raises `InputError` where no slice is wholly labelled.
    """
    whole = np.flatnonzero(data.known == ALL_KNOWN)
    if not len(whole):
        raise InputError("DeepRecon learns slices with their labels: give patients with all three structures labelled.")
    images, labels = torch.from_numpy(data.images[whole]), torch.from_numpy(data.labels[whole])

    def objective(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(model, DeepRecon)
        chosen = torch.randint(len(images), (batch,), generator=generator)
        views, masks = random_view(images[chosen][:, None], labels[chosen], generator, AUGMENTATION, size)
        z = torch.randn(batch, 2, model.generator.config.dimension, generator=generator)
        codes = model.generator.config.codes
        change = torch.randint(1, codes, (batch,), generator=generator)
        change = torch.where(torch.rand(batch, generator=generator) < MIXED, change, codes)
        slope = bool(torch.rand(1, generator=generator) < LAZY)

        own = share(batch)
        true = views[own].to(device), softened(masks[own]).to(device)
        drawn = draw(model.generator, z[own].to(device), change[own].to(device))
        model.discriminator.requires_grad_(False)
        judged = gathered(model.discriminator(*drawn))
        model.discriminator.requires_grad_(True)
        found = gathered(model.discriminator(*(part.detach() for part in drawn)))
        wanted = gathered(model.discriminator(*true))
        losses = F.softplus(-judged).mean(), F.softplus(found).mean() + F.softplus(-wanted).mean()
        numbers = {
            "loss_generator": losses[0].item(),
            "loss_discriminator": losses[1].item(),
            "true": wanted.mean().item(),
            "drawn": found.mean().item(),
        }
        loss = losses[0] + losses[1]
        if slope:
            steepness = gathered(slopes(model.discriminator, *true)).mean()
            loss = loss + 0.5 * GAMMA / LAZY * steepness
            numbers["slope"] = steepness.item()
        return loss, numbers

    return objective


def draw(generator: Generator, z: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Slices (B, 1, H, W) and their classes' shares (B, 4, H, W) from two random vectors each (B, 2, D).

    The first makes the codes of the convolutions before number `change` (B,), the second the others.
    """
    first, second = (generator.spread(generator.map(part)) for part in z.unbind(dim=1))
    early = torch.arange(generator.config.codes, device=z.device) < change[:, None]
    images, logits = generator(torch.where(early[..., None], first, second))
    return images, logits.softmax(dim=1)


def softened(masks: Tensor) -> Tensor:
    """(B, H, W) labels to shares (B, 4, H, W) whose borders are two pixels wide, as a network draws them."""
    shares = F.one_hot(masks, CLASSES).movedim(-1, 1).float()
    return F.avg_pool2d(F.pad(shares, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def slopes(discriminator: Discriminator, images: Tensor, shares: Tensor) -> Tensor:
    """(B,) squared gradients of the judgement by what is judged."""
    seen = images.detach().requires_grad_(), shares.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        by = torch.autograd.grad(discriminator(*seen).sum(), seen, create_graph=True)
    return by[0].square().sum(dim=(1, 2, 3)) + by[1].square().sum(dim=(1, 2, 3))
