"""The morphology-guided diffusion autoencoder: slices to three codes and back (He et al. 2023, Sect. 2.1).

As published: it knows one slice at a time, and nothing of neighbours (see `dmcvr.model.aligned` for that).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmcvr.diffusion.ddim import PredictNoise, Progress, ddim_invert, ddim_sample
from dmcvr.diffusion.schedule import Schedule
from dmcvr.model.denoiser import Denoiser
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import Preset
from dmcvr.model.semantic import SemanticEncoder


@dataclass(frozen=True)
class SliceCodes:
    """What a slice is made of.

    =====  ============  ===========================================
    x_T    (B, 1, H, W)  stochastic code, by DDIM inversion
    z_sem  (B, D)        global semantic code
    z_mor  (B, C, h, w)  regional morphology code
    =====  ============  ===========================================
    """

    x_T: Float[Tensor, "B 1 H W"]
    z_sem: Float[Tensor, "B D"]
    z_mor: Float[Tensor, "B C h w"]

    def __len__(self) -> int:
        return len(self.x_T)

    def __getitem__(self, index: slice | Tensor) -> SliceCodes:
        return SliceCodes(self.x_T[index], self.z_sem[index], self.z_mor[index])


class Autoencoder(nn.Module):
    """E_sem, E_mor (inside the segmenter) and the denoiser, with the schedule they share."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        self.schedule = Schedule.linear(preset.train_steps, preset.beta)
        self.segmenter = Segmenter(preset.segmenter)
        self.encoder = SemanticEncoder(preset.encoder)
        self.denoiser = self._new_denoiser()

    def _new_denoiser(self, context: int = 0) -> Denoiser:
        return Denoiser(
            self.preset.denoiser,
            code_dimension=self.preset.encoder.dimension,
            morphology_dimension=self.segmenter.code_channels,
            context=context,
        )

    def predict(
        self,
        x: Float[Tensor, "B 1 H W"],
        t: Int[Tensor, " B"],
        z_sem: Float[Tensor, "B D"],
        z_mor: Float[Tensor, "B C h w"],
    ) -> Float[Tensor, "B 1 H W"]:
        """The noise or the velocity in x_t (B, 1, H, W), as `preset.denoiser.prediction` says."""
        output: Tensor = self.denoiser(x, t, z_sem, z_mor)
        return output

    def noise_predictor(self, z_sem: Float[Tensor, "B D"], z_mor: Float[Tensor, "B C h w"]) -> PredictNoise:
        """eps_theta(x_t, t, z_sem, z_mor) for these codes."""
        return self._as_noise(lambda x, t: self.predict(x, t, z_sem, z_mor))

    def _as_noise(self, predict: Callable[[Tensor, Tensor], Tensor]) -> PredictNoise:
        def predict_noise(x: Tensor, step: int) -> Tensor:
            t = torch.full((len(x),), step, device=x.device)
            output = predict(x, t).float()
            if self.preset.denoiser.prediction == "v":
                return self.schedule.noise_of_velocity(x, output, t)
            return output

        return predict_noise

    @torch.no_grad()
    def guides(self, x: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B C h w"]]:
        """Slices (B, 1, H, W) to z_sem = E_sem(x) and z_mor = E_mor(x)."""
        return self.encoder(x).float(), self.segmenter.morphology(x).float()

    @torch.no_grad()
    def encode(
        self,
        x: Float[Tensor, "B 1 H W"],
        steps: int,
        *,
        corrections: int = 3,
        last: int | None = None,
        progress: Progress = lambda: None,
    ) -> SliceCodes:
        """Slices (B, 1, H, W) in [-1, 1] to their three codes; with `last`, x_T is the state at that time."""
        z_sem, z_mor = self.guides(x)
        predict_noise = self.noise_predictor(z_sem, z_mor)
        x_T = ddim_invert(predict_noise, x, self.schedule, steps, corrections=corrections, last=last, progress=progress)
        return SliceCodes(x_T, z_sem, z_mor)

    @torch.no_grad()
    def decode(
        self, codes: SliceCodes, steps: int, *, last: int | None = None, progress: Progress = lambda: None
    ) -> Float[Tensor, "B 1 H W"]:
        """Codes to slices (B, 1, H, W), by conditional DDIM from time `last` (T - 1) on."""
        predict_noise = self.noise_predictor(codes.z_sem, codes.z_mor)
        return ddim_sample(predict_noise, codes.x_T, self.schedule, steps, progress, last=last)
