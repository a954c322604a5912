"""The trained networks, ready to run: arrays in, arrays out, on a device, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor

from dmcvr.errors import InputError
from dmcvr.fill.mixing import Mixing
from dmcvr.fill.search import Search
from dmcvr.geometry.region import IntensityScale
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import Autoencoder, SliceCodes
from dmcvr.model.checkpoint import (
    load_autoencoder,
    load_generator,
    load_orienter,
    load_segmenter,
    load_view_segmenter,
)
from dmcvr.model.deeprecon import Generator
from dmcvr.model.device import choose_device, fast_precision
from dmcvr.model.orientation import Orienter
from dmcvr.model.presets import NO_NOISE, Preset, StartImage
from dmcvr.model.stack_segmenter import Stacks, StackSegmenter
from dmcvr.model.view_segmenter import ViewSegmenter, with_prior
from dmcvr.model.weights import WeightsInfo, is_bundled
from dmcvr.options import DEFAULT_SEGMENTER, DEFAULT_WEIGHTS, ImageKind
from dmcvr.stages import Stages

#: Slices a network call; on a CPU, whose caches hold the maps of fewer; of the small one that tells how they lie.
BATCH, CPU_BATCH = 16, 8
VOTES = 64

#: What a preset says of drawing.
FROM_PRESET = ("steps", "corrections", "start", "start_image", "temperature", "texture", "detail")


@cache
def bundled_orienter() -> Orienter:
    """Loaded once."""
    return load_orienter()[0]


@cache
def bundled_view_segmenter() -> ViewSegmenter:
    """Loaded once, and not before there are views."""
    return load_view_segmenter()[0]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How slices are drawn: everything but the networks.

    ===========  =========================================================================================
    steps        of DDIM, each way
    corrections  of each inversion step, by fixed point
    start        time at which slices with surroundings start to be drawn
    start_image  the image in their state there: "mean", the expected slice, or "warped", the neighbours' mean
    temperature  scale of the noise there: less is nearer to that image
    texture      share of the warped neighbours' mean in a sharp slice: theirs is measured, if averaged
    detail       share of the neighbours' sharpness that a sharp slice is brought to; 0: as it is drawn
    image        "sharp"; "mean": the expected slice, without that detail; "warped": the neighbours' mean, undrawn
    mixing       how the neighbours' codes are mixed
    ===========  =========================================================================================
    """

    steps: int
    corrections: int
    start: int
    start_image: StartImage
    temperature: float
    texture: float
    detail: float
    image: ImageKind = "sharp"
    mixing: Mixing = field(default_factory=Mixing)

    @classmethod
    def of(cls, preset: Preset, **given: Any) -> Drawing:
        """As the preset says, but for what is given and not None; raises `InputError` where that cannot be drawn."""
        own = {key: getattr(preset, key) for key in FROM_PRESET}
        drawing = cls(**own | {key: value for key, value in given.items() if value is not None})
        preset.check_drawing(steps=drawing.steps, start=drawing.start, image=drawing.image)
        return drawing


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An autoencoder on a device, what labels acquired slices, and how it draws: a value, made by `of` or `load`.

    ==============  ========================================================================
    model           in inference mode, on the device
    drawing         steps and the like
    precision       of the networks' arithmetic
    batch           slices a network call
    info            what its weights file says; None for a model made in memory
    segmenter       of acquired slices, likewise; None: E_mor's head labels each by itself
    segmenter_info  what its weights file says
    orienter        tells how a picture lies; so small that it runs on the CPU
    generator       DeepRecon's, likewise; None: that method cannot be used
    generator_info  what its weights file says
    search          how its codes are searched
    ==============  ========================================================================
    """

    model: Autoencoder
    drawing: Drawing
    device: torch.device
    precision: torch.dtype
    batch: int = BATCH
    info: WeightsInfo | None = None
    segmenter: StackSegmenter | None = None
    segmenter_info: WeightsInfo | None = None
    orienter: Orienter = field(default_factory=bundled_orienter)
    generator: Generator | None = None
    generator_info: WeightsInfo | None = None
    search: Search = field(default_factory=Search)

    @classmethod
    def of(
        cls,
        model: Autoencoder,
        *,
        device: torch.device | None = None,
        precision: torch.dtype | None = None,
        batch: int | None = None,
        info: WeightsInfo | None = None,
        **drawing: Any,
    ) -> Engine:
        """A model made ready; `drawing` as in `Drawing.of`."""
        device = device or torch.device("cpu")
        batch = batch or (CPU_BATCH if device.type == "cpu" else BATCH)
        ready = model.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return cls(
            model=ready,
            drawing=Drawing.of(model.preset, **drawing),
            device=device,
            precision=precision or fast_precision(device),
            batch=batch,
            info=info,
        )

    @classmethod
    def load(
        cls,
        weights: str | Path = DEFAULT_WEIGHTS,
        *,
        segmenter: str | Path | None = None,
        generator: str | Path | None = None,
        device: str = "auto",
        **drawing: Any,
    ) -> Engine:
        """Bundled models by name, or those of weights files; raises `InputError` for what cannot be used.

        `segmenter` "none": E_mor's head labels acquired slices; None: the bundled one beside bundled weights, for which
        it was made, else that head. With a `generator`, `steps` are those of its search.
        """
        model, info = load_autoencoder(weights)
        searched = drawing.pop("steps", None) if generator is not None else None
        engine = cls.of(model, device=choose_device(device), info=info, **drawing)
        if generator is not None:
            engine = engine.with_generator(*load_generator(generator), steps=searched)
        name = segmenter or (DEFAULT_SEGMENTER if is_bundled(info) else "none")
        return engine if name == "none" else engine.with_segmenter(*load_segmenter(name))

    def with_segmenter(self, segmenter: StackSegmenter, info: WeightsInfo | None = None) -> Engine:
        """The same, and acquired slices are labelled by this network."""
        if info is not None and info.window != self._own_window:
            raise InputError(
                f"The segmenter in {info.path.name} was trained with {_window(info.window)}, the autoencoder with "
                f"{_window(self._own_window)}: use two that were trained alike."
            )
        ready = segmenter.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return replace(self, segmenter=ready, segmenter_info=info)

    def with_generator(
        self, generator: Generator, info: WeightsInfo | None = None, *, steps: int | None = None
    ) -> Engine:
        """The same with DeepRecon's generator, and so many steps a search; raises `InputError` for one unsuited."""
        name = "given" if info is None else f"in {info.path.name}"
        size, own = generator.config.size, self.model.preset.size
        if size != own:
            raise InputError(
                f"The generator {name} draws slices of {size} px, and the networks beside it see {own} px: use two of "
                "one size."
            )
        if info is not None and info.window != self._own_window:
            raise InputError(
                f"The generator {name} was trained with {_window(info.window)}, the networks beside it with "
                f"{_window(self._own_window)}: use two that were trained alike."
            )
        ready = generator.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        search = self.search if steps is None else replace(self.search, steps=steps)
        return replace(self, generator=ready.requires_grad_(False), generator_info=info, search=search)

    def check_draws(self, draws: int) -> None:
        """Raise `InputError` where so many draws from other noise would all be one."""
        if draws and not self.drawing.temperature:
            raise InputError(NO_NOISE)

    @property
    def aligned(self) -> AlignedAutoencoder | None:
        """The model, where it sees surroundings."""
        return self.model if isinstance(self.model, AlignedAutoencoder) else None

    @property
    def scale(self) -> IntensityScale | None:
        """The grey values that were black and white in training (CT); None: as each heart has them (MRI)."""
        return None if self._own_window is None else IntensityScale(*self._own_window)

    @property
    def _own_window(self) -> tuple[float, float] | None:
        return None if self.info is None else self.info.window

    def segment(self, images: Float32[np.ndarray, "B H W"]) -> Float32[np.ndarray, "B 4 H W"]:
        """(B, H, W) slices in [-1, 1], each by itself, to (B, 4, H, W) class probabilities, by E_mor's head."""
        x = self.tensor(images)
        with self.batches(len(x)) as (parts, _):
            found = [self.model.segmenter(x[part]).float().softmax(dim=1) for part in parts]
        return np.asarray(torch.cat(found).cpu().numpy())

    def segment_stack(
        self, images: Float32[np.ndarray, "N H W"], positions_mm: Float64[np.ndarray, " N"]
    ) -> Float32[np.ndarray, "N 4 H W"]:
        """Acquired slices (N, H, W) in [-1, 1], at (N,) rising positions in mm, to (N, 4, H, W) class probabilities."""
        if self.segmenter is None:
            return self.segment(images)
        x = self.tensor(images)
        where = torch.from_numpy(np.ascontiguousarray(positions_mm, dtype=np.float32)).to(self.device)
        stacks = Stacks.of(torch.zeros(len(x), dtype=torch.long, device=self.device), where)
        with self.batches(len(x)):
            return np.asarray(self.segmenter.probabilities(x, stacks).cpu().numpy())

    def segment_views(
        self, images: Float32[np.ndarray, "B H W"], priors: UInt8[np.ndarray, "B H W"]
    ) -> Float32[np.ndarray, "B 4 H W"]:
        """Upright long-axis views (B, H, W) in [-1, 1], and the labels that the short axis has in their planes, to
        (B, 4, H, W) class probabilities; on the CPU, as the orienter."""
        network = bundled_view_segmenter()
        seen = with_prior(*(torch.from_numpy(np.ascontiguousarray(part)) for part in (images, priors)))
        seen = seen.contiguous(memory_format=torch.channels_last)
        precision = fast_precision(torch.device("cpu"))
        with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
            found = [network(part).float().softmax(dim=1) for part in seen.split(self.batch)]
        return np.asarray(torch.cat(found).numpy())

    @torch.no_grad()
    def upright(self, views: Float32[np.ndarray, "B S S"]) -> Float32[np.ndarray, " B"]:
        """(B, S, S) views in any unit to (B,) logits: whether each lies as short-axis views are shown.

        It was trained on MRI. Where the networks are for something else, it has no say.
        """
        if self.scale is not None:
            return np.zeros(len(views), dtype=np.float32)
        x = torch.from_numpy(np.ascontiguousarray(views, dtype=np.float32))[:, None]
        return np.asarray(torch.cat([self.orienter(part) for part in x.split(VOTES)]).numpy())

    def encode(
        self, images: Float32[np.ndarray, "N S S"], *, last: int | None = None, stages: Stages | None = None
    ) -> SliceCodes:
        """(N, S, S) slices in [-1, 1] to their codes, by DDIM inversion (with `last`: to that time)."""
        x, steps = self.tensor(images), self.drawing.steps
        with self.batches(len(x), "invert", steps, stages) as (parts, advance):
            found = [
                self.model.encode(x[part], steps, corrections=self.drawing.corrections, last=last, progress=advance)
                for part in parts
            ]
        return SliceCodes(*(torch.cat([getattr(p, f) for p in found]) for f in ("x_T", "z_sem", "z_mor")))

    def decode(self, codes: SliceCodes, *, stages: Stages | None = None) -> Float32[np.ndarray, "B S S"]:
        """Codes to (B, S, S) slices in [-1, 1], by conditional DDIM."""
        steps = self.drawing.steps
        with self.batches(len(codes), "decode", steps, stages) as (parts, advance):
            return self.array([self.model.decode(codes[part], steps, progress=advance) for part in parts])

    def tensor(self, images: Float[np.ndarray, "B H W"]) -> Float[Tensor, "B 1 H W"]:
        """(B, H, W) slices to a tensor (B, 1, H, W) on the device."""
        x = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None].to(self.device)
        return x.contiguous(memory_format=torch.channels_last)

    def array(self, parts: list[Float[Tensor, "_ 1 H W"]]) -> Float32[np.ndarray, "B H W"]:
        """Batches (b, 1, H, W) to slices (B, H, W), clipped to [-1, 1]."""
        return np.asarray(torch.cat(parts)[:, 0].clamp(-1, 1).cpu().numpy())

    @contextmanager
    def batches(
        self, count: int, name: str | None = None, steps: int = 1, stages: Stages | None = None
    ) -> Iterator[tuple[list[slice], Callable[[], None]]]:
        """The batches of so many slices, in the engine's precision; and what to call after each of a batch's steps.

        With a name, the block is timed as a stage of that name.
        """
        parts = [slice(n, n + self.batch) for n in range(0, count, self.batch)]
        stages = stages if stages is not None and name is not None else Stages()
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32),
            stages(name or "", len(parts) * steps) as advance,
        ):
            yield parts, advance


def _window(window: tuple[float, float] | None) -> str:
    return "no --window" if window is None else f"--window {window[0]:g} {window[1]:g}"
