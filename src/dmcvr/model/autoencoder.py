"""The morphology-guided diffusion autoencoder: slices to three codes and back (He et al. 2023, Sect. 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dmcvr.diffusion.ddim import PredictNoise, Progress, ddim_invert, ddim_sample
from dmcvr.diffusion.schedule import Schedule
from dmcvr.model.denoiser import Denoiser
from dmcvr.model.morphology import Segmenter
from dmcvr.model.semantic import SemanticEncoder
from dmcvr.presets import Preset


@dataclass(frozen=True)
class SliceCodes:
    """What a slice is made of.

    =====  ============  ===========================================
    x_T    (B, 1, H, W)  stochastic code, by DDIM inversion
    z_sem  (B, D)        global semantic code
    z_mor  (B, C, h, w)  regional morphology code
    =====  ============  ===========================================
    """

    x_T: Tensor
    z_sem: Tensor
    z_mor: Tensor

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
        self.denoiser = Denoiser(
            preset.denoiser,
            code_dimension=preset.encoder.dimension,
            morphology_dimension=self.segmenter.code_channels,
        )

    def predict(self, x: Tensor, t: Tensor, z_sem: Tensor, z_mor: Tensor) -> Tensor:
        """The denoiser's own output: noise or velocity, as `preset.denoiser.prediction` says."""
        output: Tensor = self.denoiser(x, t, z_sem, z_mor)
        return output

    def noise_predictor(self, z_sem: Tensor, z_mor: Tensor) -> PredictNoise:
        """eps_theta(x_t, t, z_sem, z_mor) for these codes."""

        def predict_noise(x: Tensor, step: int) -> Tensor:
            t = torch.full((len(x),), step, device=x.device)
            output = self.predict(x, t, z_sem, z_mor).float()
            if self.preset.denoiser.prediction == "v":
                return self.schedule.noise_of_velocity(x, output, t)
            return output

        return predict_noise

    @torch.no_grad()
    def encode(self, x: Tensor, steps: int, *, corrections: int = 3, progress: Progress = lambda: None) -> SliceCodes:
        """Slices (B, 1, H, W) in [-1, 1] to their three codes."""
        z_sem, z_mor = self.encoder(x), self.segmenter.morphology(x)
        x_T = ddim_invert(
            self.noise_predictor(z_sem, z_mor),
            x,
            self.schedule,
            steps,
            corrections=corrections,
            progress=progress,
        )
        return SliceCodes(x_T, z_sem.float(), z_mor.float())

    @torch.no_grad()
    def decode(self, codes: SliceCodes, steps: int, *, progress: Progress = lambda: None) -> Tensor:
        """Codes to slices (B, 1, H, W), by conditional DDIM."""
        predict_noise = self.noise_predictor(codes.z_sem, codes.z_mor)
        return ddim_sample(predict_noise, codes.x_T, self.schedule, steps, progress)
