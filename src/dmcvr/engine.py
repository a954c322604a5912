"""The trained networks, ready to run: arrays in, arrays out, on a device, in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.align import paths
from dmcvr.distances import scores_of, signed_distances
from dmcvr.errors import InputError
from dmcvr.interpolate import Mixing, Plan, blend, interpolate_codes, lerp, slerp
from dmcvr.methods import Acquired, Dense
from dmcvr.model.autoencoder import Autoencoder, SliceCodes, Surroundings
from dmcvr.model.checkpoint import load_autoencoder
from dmcvr.stages import Stages
from dmcvr.weights import DEFAULT, WeightsInfo

#: One sharp slice among those that fit, or the mean of all of them.
Output = Literal["sharp", "mean"]

#: Slices a network call.
BATCH = 16


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda`; raises `InputError` where there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here (or this torch is a CPU build): use --device cpu or auto.")
    if name not in ("cpu", "cuda"):
        raise InputError(f"Unknown device {name!r}: choose auto, cpu or cuda.")
    return torch.device(name)


def fast_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


class Engine:
    """An `Autoencoder` on a device: the segmenter as a function, and DMCVR as a `dmcvr.methods.Method`."""

    def __init__(
        self,
        model: Autoencoder,
        *,
        device: torch.device | None = None,
        steps: int | None = None,
        corrections: int = 3,
        mixing: Mixing | None = None,
        output: Output = "sharp",
        temperature: float = 1.0,
        batch: int = BATCH,
        precision: torch.dtype | None = None,
        stages: Stages | None = None,
        info: WeightsInfo | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.precision = precision or fast_precision(self.device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.steps = model.preset.steps if steps is None else steps
        self.corrections = corrections
        self.mixing = mixing or Mixing()
        self.output: Output = output
        self.temperature = temperature
        self.batch = batch
        self.stages = stages or Stages()
        self.info = info
        if not 1 <= self.steps < model.schedule.length:
            raise InputError(f"Expected 1 to {model.schedule.length - 1} steps; got {self.steps}.")
        if output == "mean" and not model.preset.denoiser.surroundings:
            raise InputError(f"Weights of preset {model.preset.name} draw no mean: use others, or --output sharp.")

    @classmethod
    def load(
        cls,
        weights: str | Path = DEFAULT,
        *,
        device: str = "auto",
        steps: int | None = None,
        mixing: Mixing | None = None,
    ) -> Engine:
        """A bundled model by name, or one from a weights file; raises `InputError` for what cannot be used."""
        model, info = load_autoencoder(weights)
        return cls(model, device=choose_device(device), steps=steps, mixing=mixing, info=info)

    def segment(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, H, W) slices in [-1, 1] to (B, 4, H, W) class probabilities."""
        x = self._tensor(images)
        with torch.no_grad(), self._autocast():
            parts = [
                self.model.segmenter(x[n : n + self.batch]).float().softmax(dim=1) for n in range(0, len(x), self.batch)
            ]
        return np.asarray(torch.cat(parts).cpu().numpy())

    def features(self, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """(B, H, W) slices in [-1, 1] to the segmenter's maps (B, C, h, w), finest first; the last is z_mor."""
        with torch.no_grad(), self._autocast():
            morphology, maps = self.model.segmenter.encode(self._tensor(images))
        return [np.asarray(part.float().cpu().numpy()) for part in (*maps, morphology)]

    def encode(self, images: NDArray[np.float32]) -> SliceCodes:
        """(N, S, S) slices in [-1, 1] to their codes, by DDIM inversion."""
        x = self._tensor(images)
        with self._autocast(), self.stages("invert", self._batches(len(x)) * self.steps) as advance:
            parts = [
                self.model.encode(x[n : n + self.batch], self.steps, corrections=self.corrections, progress=advance)
                for n in range(0, len(x), self.batch)
            ]
        return SliceCodes(*(torch.cat([getattr(p, f) for p in parts]) for f in ("x_T", "z_sem", "z_mor")))

    def decode(self, codes: SliceCodes, around: Surroundings | None = None) -> NDArray[np.float32]:
        """Codes (and surroundings, for a model that looks at them) to (B, S, S) slices in [-1, 1]."""
        with self._autocast(), self.stages("decode", self._batches(len(codes)) * self.steps) as advance:
            parts = [
                self.model.decode(
                    codes[n : n + self.batch],
                    self.steps,
                    around=None if around is None else around[n : n + self.batch],
                    progress=advance,
                )
                for n in range(0, len(codes), self.batch)
            ]
        return np.asarray(torch.cat(parts)[:, 0].clamp(-1, 1).cpu().numpy())

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        """DMCVR: invert the acquired slices, interpolate their codes, decode, segment (He et al. 2023, Fig. 1)."""
        return self.label(acquired, plan, self.draw(acquired.images, plan))

    def draw(self, images: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
        """(N, S, S) acquired slices to (N + M, S, S): themselves as they come back, then the plan's."""
        stops, where = plan.with_acquired()  # each distinct position is drawn once
        if not self.model.preset.denoiser.surroundings:
            return self.decode(interpolate_codes(self.encode(images), stops, self.mixing))[where]
        with self.stages("align"):
            around = self._surroundings(images, stops)
        with self.stages("encode"):
            z_sem, z_mor = self._aligned_guides(around)
        if self.output == "mean":
            noise = torch.randn(around.below.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
            return self._mean(SliceCodes(noise, z_sem, z_mor), around)[where]
        x_T = interpolate_codes(self.encode(images), stops, self.mixing).x_T * self.temperature
        return self.decode(SliceCodes(x_T, z_sem, z_mor), around)[where]

    def _surroundings(self, images: NDArray[np.float32], stops: Plan) -> Surroundings:
        below, above = (self._tensor(np.clip(part, -1, 1)) for part in paths(images, stops).warp(images))
        fraction, gap_mm = (torch.from_numpy(part).float().to(self.device) for part in (stops.fraction, stops.gap_mm))
        return Surroundings(below, above, fraction, gap_mm, torch.ones_like(fraction))

    def _aligned_guides(self, around: Surroundings) -> tuple[Tensor, Tensor]:
        """z_sem and z_mor of the warped neighbours, mixed at each slice's fraction."""
        mixed: list[tuple[Tensor, Tensor]] = []
        mix = lerp if self.mixing.guides == "lerp" else slerp
        with torch.no_grad(), self._autocast():
            for n in range(0, len(around.fraction), self.batch):
                part = around[n : n + self.batch]
                pairs = zip(self.model.guides(part.below), self.model.guides(part.above), strict=True)
                sem, mor = (mix(below, above, part.fraction) for below, above in pairs)
                mixed.append((sem, mor))
        return torch.cat([sem for sem, _ in mixed]), torch.cat([mor for _, mor in mixed])

    def _mean(self, codes: SliceCodes, around: Surroundings) -> NDArray[np.float32]:
        with self._autocast(), self.stages("decode", self._batches(len(codes))) as advance:
            parts = []
            for n in range(0, len(codes), self.batch):
                parts.append(self.model.mean(codes[n : n + self.batch], around[n : n + self.batch]))
                advance()
        return np.asarray(torch.cat(parts)[:, 0].clamp(-1, 1).cpu().numpy())

    def label(self, acquired: Acquired, plan: Plan, drawn: NDArray[np.float32]) -> Dense:
        """Drawn slices (N + M, S, S) with their scores; where labels are given, the scores follow them."""
        count = len(acquired.images)
        with self.stages("segment"):
            scores = self.segment(drawn)
        if acquired.labels_given:
            scores = self._follow_given(scores, acquired.labels, plan)
        return Dense(drawn[count:], scores[count:], drawn[:count])

    @staticmethod
    def _follow_given(scores: NDArray[np.float32], given: NDArray[np.uint8], plan: Plan) -> NDArray[np.float32]:
        """Where the user's labels differ from ours at the acquired slices, carry the difference in between.

        `scores` are those of the acquired slices, then of the plan's; the difference is one of signed distances.
        """
        count = len(given)
        distances = signed_distances(scores.argmax(axis=1).astype(np.uint8))
        difference = signed_distances(given) - distances[:count]
        return scores_of(distances + np.concatenate([difference, blend(difference, plan)]))

    def _tensor(self, images: NDArray[np.float32]) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None].to(self.device)
        return x.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def _batches(self, count: int) -> int:
        return -(-count // self.batch)
