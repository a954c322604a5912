"""The autoencoder that also sees both neighbours of a slice, warped to its place: our extension of the published one.

It wraps the plain denoiser: what is known of a place gives a best linear guess, and the network corrects that (Karras
et al. 2022, Sect. 5). Its labeller names the structures of a slice that was never acquired.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dmcvr.diffusion.ddim import PredictNoise, Progress, ddim_sample
from dmcvr.model.autoencoder import Autoencoder, SliceCodes
from dmcvr.model.blocks import zero
from dmcvr.model.denoiser import Denoiser
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import Preset

#: Images of a slice's surroundings (below, above, their mean), and as many numbers that say where they are.
CONTEXT = 3

#: How far a slice lies from the weighted mean of its warped neighbours: standard deviation, intensities in [-1, 1].
SPREAD = 0.2

#: The least probability of a label that neither neighbour has at a pixel.
LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Surroundings:
    """What is known of the place of a slice: its neighbours, warped there (by `registration.paths`), and how far.

    ========  ============  ====================================================
    below     (B, 1, H, W)  the lower neighbour at this place, in [-1, 1]
    above     (B, 1, H, W)  the upper one
    fraction  (B,)          0 at the lower neighbour, 1 at the upper
    gap_mm    (B,)          between the two
    known     (B,)          1; 0 where nothing is known and the codes are all
    ========  ============  ====================================================
    """

    below: Float[Tensor, "B 1 H W"]
    above: Float[Tensor, "B 1 H W"]
    fraction: Float[Tensor, " B"]
    gap_mm: Float[Tensor, " B"]
    known: Float[Tensor, " B"]

    @property
    def middle(self) -> Float[Tensor, "B 1 H W"]:
        """(B, 1, H, W) the neighbours' weighted mean: the best plain guess; 0 where nothing is known."""
        f = self.fraction.view(-1, 1, 1, 1)
        return ((1 - f) * self.below + f * self.above) * self.known.view(-1, 1, 1, 1)

    def images(self) -> Float[Tensor, "B 3 H W"]:
        """(B, 3, H, W) for the denoiser."""
        neighbours = torch.cat([self.below, self.above], dim=1) * self.known.view(-1, 1, 1, 1)
        return torch.cat([neighbours, self.middle], dim=1)

    def place(self) -> Float[Tensor, "B 3"]:
        """(B, 3) for the denoiser: whether anything is known, the fraction, the gap in cm."""
        return torch.stack([self.known, self.known * self.fraction, self.known * self.gap_mm / 10], dim=1)

    def __len__(self) -> int:
        return len(self.fraction)

    def __getitem__(self, index: slice | Tensor) -> Surroundings:
        parts = (self.below, self.above, self.fraction, self.gap_mm, self.known)
        return Surroundings(*(part[index] for part in parts))

    @classmethod
    def unknown(cls, like: Float[Tensor, "B 1 H W"]) -> Surroundings:
        """Nothing known of slices (B, 1, H, W)."""
        nothing, zero = torch.zeros_like(like), like.new_zeros(len(like))
        return cls(nothing, nothing, zero, zero, zero)


class AlignedAutoencoder(Autoencoder):
    """The autoencoder with surroundings: expected slices in one call, drawings from them, and labels between slices.

    Where no surroundings are given nothing is known, and it works as the plain one. It predicts velocities, for which
    the linear guess is made (`Preset` sees to that).
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__(preset)
        self.labeller = _new_labeller(preset)

    def _new_denoiser(self, context: int = CONTEXT) -> Denoiser:
        return super()._new_denoiser(context)

    def predict(
        self,
        x: Float[Tensor, "B 1 H W"],
        t: Int[Tensor, " B"],
        z_sem: Float[Tensor, "B D"],
        z_mor: Float[Tensor, "B C h w"],
        around: Surroundings | None = None,
    ) -> Float[Tensor, "B 1 H W"]:
        """The velocity in x_t (B, 1, H, W): a linear guess from the surroundings, corrected by the network.

        The network F corrects the best linear guess for a slice that lies around the neighbours' mean m with variance
        s^2: v = a sigma (1 - s^2) / (a^2 s^2 + sigma^2) (x_t - a m) - sigma m + c F, with a for alpha and
        c = `correction_scale`, the guess's error (Karras et al. 2022, Sect. 5, for a known mean). At t = T, where x_t
        is all noise, the guess's image is m: the network learns what registration leaves.
        """
        around = around or Surroundings.unknown(x)
        output = self.denoiser(x, t, z_sem, z_mor, around.images(), around.place()).float()
        alpha, sigma = self.schedule.at(t, x)
        pull = alpha * sigma * (1 - SPREAD**2) / (alpha**2 * SPREAD**2 + sigma**2)
        guess = pull * (x - alpha * around.middle) - sigma * around.middle
        return self.correction_scale(t, around) * output + guess * around.known.view(-1, 1, 1, 1)

    def correction_scale(self, t: Int[Tensor, " B"], around: Surroundings) -> Float[Tensor, "B 1 1 1"]:
        """(B, 1, 1, 1) SD of the velocity around the linear guess: s / sqrt(a^2 s^2 + sigma^2); 1 if nothing known."""
        alpha, sigma = self.schedule.at(t, around.below)
        scale = SPREAD / (alpha**2 * SPREAD**2 + sigma**2).sqrt()
        return torch.where(around.known.view(-1, 1, 1, 1) > 0, scale, torch.ones_like(scale))

    def noise_predictor(
        self, z_sem: Float[Tensor, "B D"], z_mor: Float[Tensor, "B C h w"], around: Surroundings | None = None
    ) -> PredictNoise:
        """eps_theta(x_t, t, z_sem, z_mor) for these codes and surroundings."""
        return self._as_noise(lambda x, t: self.predict(x, t, z_sem, z_mor, around))

    @torch.no_grad()
    def draw(
        self,
        codes: SliceCodes,
        around: Surroundings,
        steps: int,
        *,
        last: int,
        progress: Progress = lambda: None,
    ) -> Float[Tensor, "B 1 H W"]:
        """States at time `last`, with their codes and surroundings, to slices (B, 1, H, W), by conditional DDIM."""
        predict_noise = self.noise_predictor(codes.z_sem, codes.z_mor, around)
        return ddim_sample(predict_noise, codes.x_T, self.schedule, steps, progress, last=last, clean=True)

    @torch.no_grad()
    def mean(self, codes: SliceCodes, around: Surroundings) -> Float[Tensor, "B 1 H W"]:
        """The expected slice (B, 1, H, W) in one call: at t = T, x_t says nothing, and x_0 = alpha x_t - sigma v."""
        t = torch.full((len(codes),), self.schedule.length - 1, device=codes.x_T.device)
        velocity = self.predict(codes.x_T, t, codes.z_sem, codes.z_mor, around).float()
        return self.schedule.image_of_velocity(codes.x_T, velocity, t)

    def label(
        self,
        around: Surroundings,
        below: Float[Tensor, "B 4 H W"],
        above: Float[Tensor, "B 4 H W"],
        corrected: Bool[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B 4 H W"]:
        """Logits (B, 4, H, W) of the slices in these surroundings, from what is seen and labelled around them.

        `below` and `above` (B, 4, H, W) are the neighbours' class probabilities, warped to the slice's place. The
        network adds to the log of their mixture, the plain guess: to all, or to those that are `corrected` (B,). (It
        does not look at the slice as drawn: that is made of the same surroundings, and where the denoiser has learnt
        its training slices by heart, too good there.)
        """
        f = around.fraction.view(-1, 1, 1, 1)
        guess = torch.log(((1 - f) * below + f * above).float().clamp(min=LEAST_SHARE))
        if self.labeller is None or (corrected is not None and not corrected.any()):
            return guess
        place = torch.stack([around.fraction, around.gap_mm / 10], dim=1)[..., None, None]
        place = place.expand(-1, -1, *below.shape[2:])
        seen = torch.cat([around.middle, around.below, around.above, below[:, 1:], above[:, 1:], place], dim=1)
        logits: Tensor = self.labeller(seen).float()
        if corrected is not None:
            logits = logits * corrected.view(-1, 1, 1, 1)
        return logits + guess

    @torch.no_grad()
    def grow_from(self, other: Autoencoder) -> None:
        """Take over the weights of an autoencoder of the same sizes, one without surroundings too.

        What it does not have keeps its start: the denoiser looks at the surroundings with weights of zero.
        """
        theirs, own = other.state_dict(), self.state_dict()
        for name, value in theirs.items():
            if name == "denoiser.stem.weight" and value.shape != own[name].shape:
                value = torch.cat([value, torch.zeros_like(own[name][:, value.shape[1] :])], dim=1)
            own[name].copy_(value)


def new_autoencoder(preset: Preset) -> Autoencoder:
    """An untrained model of a preset: with surroundings where the preset has them, else as published."""
    return AlignedAutoencoder(preset) if preset.denoiser.surroundings else Autoencoder(preset)


def _new_labeller(preset: Preset) -> Segmenter | None:
    if preset.labeller is None:
        return None
    labeller = Segmenter(preset.labeller)
    zero(labeller.head)
    return labeller
