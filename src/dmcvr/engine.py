"""The trained networks, ready to run: arrays in, arrays out, on a device, in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.errors import InputError
from dmcvr.interpolate import Mixing, lerp, slerp
from dmcvr.model.autoencoder import Autoencoder, SliceCodes, Surroundings
from dmcvr.model.checkpoint import load_autoencoder
from dmcvr.model.perceptual import features
from dmcvr.stages import Stages
from dmcvr.weights import DEFAULT, WeightsInfo

#: A slice as sharp as its neighbours, or the expected one, which is smoother and nearer to the truth.
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
    """An `Autoencoder` on a device, and how `dmcvr.fill` uses it.

    ===========  =========================================================================================
    steps        of DDIM, each way
    corrections  of each inversion step, by fixed point
    start        time at which slices with surroundings start to be drawn
    temperature  scale of the noise there: less is nearer to the expected slice
    detail       share of the neighbours' sharpness that a sharp slice is brought to; 0: as it is drawn
    mixing       how the neighbours' codes are mixed
    output       "sharp", or "mean": the expected slice, without that detail
    published    only codes are interpolated, as published, also where the model can see surroundings
    ===========  =========================================================================================
    """

    def __init__(
        self,
        model: Autoencoder,
        *,
        device: torch.device | None = None,
        steps: int | None = None,
        corrections: int | None = None,
        mixing: Mixing | None = None,
        output: Output = "sharp",
        temperature: float | None = None,
        start: int | None = None,
        detail: float | None = None,
        published: bool = False,
        batch: int = BATCH,
        precision: torch.dtype | None = None,
        stages: Stages | None = None,
        info: WeightsInfo | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.precision = precision or fast_precision(self.device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.steps = model.preset.steps if steps is None else steps
        self.corrections = model.preset.corrections if corrections is None else corrections
        self.mixing = mixing or Mixing()
        self.output: Output = output
        self.temperature = model.preset.temperature if temperature is None else temperature
        self.start = model.preset.start if start is None else start
        self.detail = model.preset.detail if detail is None else detail
        self.aligns = model.preset.denoiser.surroundings and not published
        self.batch = batch
        self.stages = stages or Stages()
        self.info = info
        if not 1 <= self.steps < model.schedule.length:
            raise InputError(f"Expected 1 to {model.schedule.length - 1} steps; got {self.steps}.")
        if not self.steps <= self.start < model.schedule.length:
            raise InputError(
                f"Expected to start at time {self.steps} to {model.schedule.length - 1}; got {self.start}."
            )
        if output == "mean" and not self.aligns:
            raise InputError(f"Weights of preset {model.preset.name} draw no mean: use others, or --output sharp.")

    @property
    def calls(self) -> tuple[int, int]:
        """Denoiser calls for each acquired slice (inversion) and for each drawn one."""
        inversion = self.steps * (self.corrections + 1)
        return inversion, self.steps + self.aligns

    @classmethod
    def load(
        cls,
        weights: str | Path = DEFAULT,
        *,
        device: str = "auto",
        steps: int | None = None,
        mixing: Mixing | None = None,
        output: Output = "sharp",
    ) -> Engine:
        """A bundled model by name, or one from a weights file; raises `InputError` for what cannot be used."""
        model, info = load_autoencoder(weights)
        return cls(model, device=choose_device(device), steps=steps, mixing=mixing, output=output, info=info)

    def segment(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, H, W) slices in [-1, 1] to (B, 4, H, W) class probabilities."""
        x = self.tensor(images)
        with torch.no_grad(), self._autocast():
            parts = [self.model.segmenter(x[part]).float().softmax(dim=1) for part in self._parts(len(x))]
        return np.asarray(torch.cat(parts).cpu().numpy())

    def features(self, images: NDArray[np.floating[Any]]) -> list[Tensor]:
        """What `dmcvr.model.perceptual.feature_distances` compares of (B, H, W) slices in [-1, 1]."""
        with torch.no_grad(), self._autocast():
            return [part.cpu() for part in features(self.model.segmenter, self.tensor(images))]

    def encode(self, images: NDArray[np.float32], last: int | None = None) -> SliceCodes:
        """(N, S, S) slices in [-1, 1] to their codes, by DDIM inversion (with `last`: to that time)."""
        x = self.tensor(images)
        with self._autocast(), self.stages("invert", self._batches(len(x)) * self.steps) as advance:
            parts = [
                self.model.encode(x[part], self.steps, corrections=self.corrections, last=last, progress=advance)
                for part in self._parts(len(x))
            ]
        return SliceCodes(*(torch.cat([getattr(p, f) for p in parts]) for f in ("x_T", "z_sem", "z_mor")))

    def noise(self, images: NDArray[np.float32]) -> Tensor:
        """(N, 1, S, S) the noise in the states of slices at time `start`: their stochastic codes there."""
        alpha, sigma = self.start_scales()
        return (self.encode(images, self.start).x_T - alpha * self.tensor(images)) / sigma

    def draw(
        self,
        expected: NDArray[np.float32],
        noise: Tensor,
        guides: tuple[Tensor, Tensor],
        around: Surroundings,
    ) -> NDArray[np.float32]:
        """(B, S, S) slices from noise (B, 1, S, S) on their expectations, from time `start` on."""
        alpha, sigma = self.start_scales()
        state = alpha * self.tensor(expected) + sigma * self.temperature * noise
        return self.decode(SliceCodes(state, *guides), around, self.start)

    def start_scales(self) -> tuple[float, float]:
        """alpha and sigma at time `start`."""
        schedule = self.model.schedule
        return float(schedule.alpha[self.start]), float(schedule.sigma[self.start])

    def decode(
        self, codes: SliceCodes, around: Surroundings | None = None, last: int | None = None
    ) -> NDArray[np.float32]:
        """Codes (and surroundings, for a model that looks at them) to (B, S, S) slices in [-1, 1]."""
        with self._autocast(), self.stages("decode", self._batches(len(codes)) * self.steps) as advance:
            parts = [
                self.model.decode(
                    codes[part],
                    self.steps,
                    around=None if around is None else around[part],
                    last=last,
                    progress=advance,
                )
                for part in self._parts(len(codes))
            ]
        return np.asarray(torch.cat(parts)[:, 0].clamp(-1, 1).cpu().numpy())

    def mean(self, codes: SliceCodes, around: Surroundings) -> NDArray[np.float32]:
        """The expected slices (B, S, S) in [-1, 1]: one network call."""
        with self._autocast(), self.stages("decode", self._batches(len(codes))) as advance:
            parts = []
            for part in self._parts(len(codes)):
                parts.append(self.model.mean(codes[part], around[part]))
                advance()
        return np.asarray(torch.cat(parts)[:, 0].clamp(-1, 1).cpu().numpy())

    def guides(self, around: Surroundings) -> tuple[Tensor, Tensor]:
        """z_sem and z_mor of both warped neighbours, mixed at each slice's fraction."""
        mix = lerp if self.mixing.guides == "lerp" else slerp
        mixed: list[tuple[Tensor, ...]] = []
        with torch.no_grad(), self._autocast():
            for part in self._parts(len(around)):
                here = around[part]
                both = zip(self.model.guides(here.below), self.model.guides(here.above), strict=True)
                mixed.append(tuple(mix(below, above, here.fraction) for below, above in both))
        return torch.cat([codes[0] for codes in mixed]), torch.cat([codes[1] for codes in mixed])

    def label(
        self, around: Surroundings, below: NDArray[np.float32], above: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, 4, S, S) class probabilities in these surroundings, given those of the warped neighbours."""
        shares = [torch.from_numpy(part).to(self.device) for part in (below, above)]
        with torch.no_grad(), self._autocast():
            parts = [
                self.model.label(around[part], shares[0][part], shares[1][part]).softmax(dim=1)
                for part in self._parts(len(around))
            ]
        return np.asarray(torch.cat(parts).cpu().numpy())

    def tensor(self, images: NDArray[np.floating[Any]]) -> Tensor:
        """(B, H, W) slices to a tensor (B, 1, H, W) on the device."""
        x = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None].to(self.device)
        return x.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def _parts(self, count: int) -> list[slice]:
        return [slice(n, n + self.batch) for n in range(0, count, self.batch)]

    def _batches(self, count: int) -> int:
        return -(-count // self.batch)
