"""The trained networks, ready to run: arrays in, arrays out, on a device, in batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.distances import scores_of, signed_distances
from dmcvr.errors import InputError
from dmcvr.interpolate import Mixing, Plan, blend, interpolate_codes
from dmcvr.methods import Acquired, Dense
from dmcvr.model.autoencoder import Autoencoder, SliceCodes
from dmcvr.model.checkpoint import load_autoencoder
from dmcvr.stages import Stages
from dmcvr.weights import DEFAULT, WeightsInfo

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
        self.batch = batch
        self.stages = stages or Stages()
        self.info = info
        if not 1 <= self.steps < model.schedule.length:
            raise InputError(f"Expected 1 to {model.schedule.length - 1} steps; got {self.steps}.")

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

    def decode(self, codes: SliceCodes) -> NDArray[np.float32]:
        """Codes to (B, S, S) slices in [-1, 1]."""
        with self._autocast(), self.stages("decode", self._batches(len(codes)) * self.steps) as advance:
            parts = [
                self.model.decode(codes[n : n + self.batch], self.steps, progress=advance)
                for n in range(0, len(codes), self.batch)
            ]
        return np.asarray(torch.cat(parts)[:, 0].clamp(-1, 1).cpu().numpy())

    def __call__(self, acquired: Acquired, plan: Plan) -> Dense:
        """DMCVR: invert the acquired slices, interpolate their codes, decode, segment (He et al. 2023, Fig. 1)."""
        return self.label(acquired, plan, self.draw(acquired.images, plan))

    def draw(self, images: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
        """(N, S, S) acquired slices to (N + M, S, S): themselves as they come back, then the plan's."""
        codes = self.encode(images)
        slices, stops, where = _stops(len(codes), plan)
        return self.decode(interpolate_codes(codes, Plan.between(slices, stops), self.mixing))[where]

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


def _stops(count: int, plan: Plan) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Positions in units of slices: the acquired ones, all distinct ones (each is drawn once), and where each went."""
    slices = np.arange(float(count))
    stops, where = np.unique(np.concatenate([slices, plan.lower + plan.fraction]), return_inverse=True)
    return slices, stops, where
