"""Weights to and from safetensors files: lean (float16), no pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from dmcvr.errors import InputError, OutputError
from dmcvr.model.aligned import new_autoencoder
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.deeprecon import Generator
from dmcvr.model.morphology import Segmenter
from dmcvr.model.orientation import Orienter
from dmcvr.model.presets import Preset
from dmcvr.model.stack_segmenter import StackSegmenter
from dmcvr.model.view_segmenter import ViewSegmenter
from dmcvr.model.weights import ORIENTER, VIEWS, WeightsInfo, describe, find, require_kind

M = TypeVar("M", bound=nn.Module)

#: What a weights file may hold.
KINDS: dict[str, type[nn.Module]] = {
    "autoencoder": Autoencoder,
    "morphology": Segmenter,
    "segmenter": StackSegmenter,
    "views": ViewSegmenter,
    "orienter": Orienter,
    "generator": Generator,
}


def save_weights(
    model: nn.Module,
    path: Path,
    *,
    preset: Preset,
    training: dict[str, Any],
    before: Sequence[dict[str, Any]] = (),
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a model's weights and its record: its last training, and those before it; `kind` follows from its class."""
    kind = next(kind for kind, of in KINDS.items() if isinstance(model, of))
    record = {"kind": kind, "preset": preset.as_dict(), "stages": [*before, training]}
    tensors = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(
            save(tensors, {"dmcvr": json.dumps(record)})
        )  # `save_file` makes a file for its owner alone
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The weights cannot be written to {path}: make room, or choose another folder.") from error


def load_autoencoder(name: str | Path) -> tuple[Autoencoder, WeightsInfo]:
    """A whole model from a bundled name or a file, in float32, ready for inference."""
    info = require_kind(describe(find(name)), "autoencoder")
    return _load(new_autoencoder(info.preset), info.path), info


def load_morphology(name: str | Path) -> tuple[Segmenter, WeightsInfo]:
    """E_mor and its head alone, from a file of their own or a whole model's."""
    info = describe(find(name))
    if info.kind == "autoencoder":
        return load_autoencoder(name)[0].segmenter, info
    return _load(Segmenter(info.preset.segmenter), require_kind(info, "morphology").path), info


def load_segmenter(name: str | Path) -> tuple[StackSegmenter, WeightsInfo]:
    """The segmenter of acquired slices, from a bundled name or a file."""
    info = require_kind(describe(find(name)), "segmenter")
    return _load(StackSegmenter(info.preset.stack_segmenter), info.path), info


def load_view_segmenter(name: str | Path = VIEWS) -> tuple[ViewSegmenter, WeightsInfo]:
    """The segmenter of long-axis views, from a bundled name or a file."""
    info = require_kind(describe(find(name)), "views")
    return _load(ViewSegmenter(info.preset.view_segmenter), info.path), info


def load_orienter(name: str | Path = ORIENTER) -> tuple[Orienter, WeightsInfo]:
    """The network that tells how a picture lies, from a bundled name or a file."""
    info = require_kind(describe(find(name)), "orienter")
    return _load(Orienter(info.preset.orienter), info.path), info


def load_generator(name: str | Path) -> tuple[Generator, WeightsInfo]:
    """DeepRecon's generator, from a bundled name or a file."""
    info = require_kind(describe(find(name)), "generator", ": train it with dmcvr train deeprecon")
    return _load(Generator(info.preset.generator), info.path), info


def _load(model: M, path: Path) -> M:
    try:
        tensors = {key: value.float() for key, value in load_file(path).items()}
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"The weights in {path} do not fit their own description: the file is damaged.") from error
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise InputError(f"The weights in {path} are incomplete or of another version ({[*missing, *unexpected][0]}).")
    return model.eval()
