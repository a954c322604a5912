"""The trainings that follow each other, as a table: what learns from what, how it is watched, and how long.

Steps, batches and learning rates are those of the bundled weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.checkpoint import load_autoencoder, load_morphology
from dmcvr.model.deeprecon import DeepRecon
from dmcvr.model.morphology import Segmenter
from dmcvr.model.orientation import Orienter
from dmcvr.model.presets import Preset
from dmcvr.model.stack_segmenter import StackSegmenter
from dmcvr.model.view_segmenter import ViewSegmenter
from dmcvr.train.autoencoder import autoencoder_objective, surrounded_objective
from dmcvr.train.config import Kind
from dmcvr.train.cuts import CutSet, cut
from dmcvr.train.data import TrainingSet
from dmcvr.train.deeprecon import deeprecon_objective
from dmcvr.train.distillation import Distillation, distillation_objective
from dmcvr.train.drawing import drawing_objective
from dmcvr.train.labeller import labeller_objective
from dmcvr.train.loop import Objective
from dmcvr.train.monitors import (
    Monitor,
    autoencoder_monitor,
    deeprecon_monitor,
    distillation_monitor,
    labeller_monitor,
    mean_monitor,
    morphology_monitor,
    orienter_monitor,
    segmenter_monitor,
    views_monitor,
)
from dmcvr.train.morphology import morphology_objective
from dmcvr.train.orienter import as_shown, orienter_objective
from dmcvr.train.pairs import PairSet, registered
from dmcvr.train.segmenter import segmenter_objective, set_temperature
from dmcvr.train.views import views_objective

#: Share of the labeller's correction that is kept.
LABELLER_TRUST = 0.2


@dataclass(frozen=True)
class Material:
    """Slices to learn from or to look at; where those between two others are kept once they are registered, and views
    once they are cut; the phantoms that views are cut of."""

    slices: TrainingSet
    preset: Preset
    pairs_file: Path
    views_file: Path
    phantoms: range

    @property
    def pairs(self) -> PairSet:
        return registered(self.slices, self.pairs_file)

    @property
    def views(self) -> CutSet:
        return cut(self.slices, self.views_file, phantoms=self.phantoms)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training.

    =============  ============================================================================================
    build          the preset and the weights it starts from to the model, of which the part that learns needs
                   gradients
    objective      what is learnt: training material, batch and device to the loss
    monitor        what is looked at: held-out material to numbers and pictures
    steps          as many as the bundled weights had
    batch          slices a step
    learning_rate  the highest
    settle         what follows: the averaged model, the weights it started from, and held-out material; changes the
                   model in place
    loop           what is different in `LoopConfig`
    kept           the part of the averaged model that is written
    =============  ============================================================================================
    """

    build: Callable[[Preset, Path | None], nn.Module]
    objective: Callable[[Material, int, str], Objective]
    monitor: Callable[[Material], Monitor]
    steps: int
    batch: int
    learning_rate: float
    settle: Callable[[nn.Module, Path | None, Material], None] = lambda model, start, on: None
    loop: Mapping[str, Any] = field(default_factory=dict)
    kept: Callable[[nn.Module], nn.Module] = lambda model: model


def stage_name(kind: Kind, preset: Preset) -> str:
    """The stage in `STAGES`: an autoencoder with surroundings is one of its own."""
    return "aligned" if kind == "autoencoder" and preset.denoiser.surroundings else kind


def _new_morphology(preset: Preset, start: Path | None) -> nn.Module:
    return Segmenter(preset.segmenter)


def _new_segmenter(preset: Preset, start: Path | None) -> nn.Module:
    return StackSegmenter(preset.stack_segmenter)


def _new_view_segmenter(preset: Preset, start: Path | None) -> nn.Module:
    return ViewSegmenter(preset.view_segmenter)


def _new_orienter(preset: Preset, start: Path | None) -> nn.Module:
    return Orienter(preset.orienter)


def _new_autoencoder(preset: Preset, start: Path | None) -> nn.Module:
    """On a trained E_mor, which stays as it is."""
    model = Autoencoder(preset)
    model.segmenter.load_state_dict(load_morphology(_given(start))[0].state_dict())
    model.segmenter.requires_grad_(False)
    return model


def _grown_autoencoder(preset: Preset, start: Path | None) -> nn.Module:
    """From a trained one, whose codes stay as they are."""
    model = AlignedAutoencoder(preset)
    model.grow_from(load_autoencoder(_given(start))[0])
    return _only(model, "denoiser")


def _new_distillation(preset: Preset, start: Path | None) -> nn.Module:
    model, teacher = (load_autoencoder(_given(start))[0] for _ in range(2))
    assert isinstance(model, AlignedAutoencoder)
    assert isinstance(teacher, AlignedAutoencoder)
    return Distillation(model, teacher)


def _only(model: nn.Module, part: str) -> nn.Module:
    model.requires_grad_(False)
    model.get_submodule(part).requires_grad_(True)
    return model


def _given(start: Path | None) -> Path:
    assert start is not None  # as `TrainConfig.check` gives it
    return start


@torch.no_grad()
def _half_way(model: nn.Module, start: Path | None, on: Material) -> None:
    """Weights half way from where they started serve slices better that were not trained on (chosen on development
    patients; Wortsman et al. 2022, robust fine-tuning)."""
    assert isinstance(model, Autoencoder)
    theirs = load_autoencoder(_given(start))[0].denoiser.parameters()
    for own, before in zip(model.denoiser.parameters(), theirs, strict=True):
        own.lerp_(before.to(own.device), 0.5)


@torch.no_grad()
def _trusted_a_little(model: nn.Module, start: Path | None, on: Material) -> None:
    """Dice hardly changes with the share of the correction that is kept (chosen on development patients), but a network
    trained on Dice counts in what is doubtful, and walls grow thick."""
    assert isinstance(model, AlignedAutoencoder)
    assert model.labeller is not None
    for weight in model.labeller.head.parameters():
        weight.mul_(LABELLER_TRUST)


@torch.no_grad()
def _as_sure_as_right(model: nn.Module, start: Path | None, on: Material) -> None:
    assert isinstance(model, StackSegmenter)
    set_temperature(model, on.slices, size=on.preset.size)


STAGES = {
    "morphology": Stage(
        build=_new_morphology,
        objective=lambda on, batch, device: morphology_objective(
            on.slices, batch=batch, size=on.preset.size, device=device
        ),
        monitor=lambda on: morphology_monitor(on.preset, on.slices),
        steps=3_266,
        batch=24,
        learning_rate=2e-3,
    ),
    "autoencoder": Stage(
        build=_new_autoencoder,
        objective=lambda on, batch, device: autoencoder_objective(on.slices, batch=batch, device=device),
        monitor=lambda on: autoencoder_monitor(on.slices),
        steps=3_090,
        batch=16,
        learning_rate=5e-4,
    ),
    "aligned": Stage(
        build=_grown_autoencoder,
        objective=lambda on, batch, device: surrounded_objective(on.slices, on.pairs, batch=batch, device=device),
        monitor=lambda on: mean_monitor(on.slices, on.pairs),
        steps=5_236,
        batch=16,
        learning_rate=5e-4,
    ),
    "labeller": Stage(
        build=lambda preset, start: _only(load_autoencoder(_given(start))[0], "labeller"),
        objective=lambda on, batch, device: labeller_objective(on.slices, on.pairs, batch=batch, device=device),
        monitor=lambda on: labeller_monitor(on.slices, on.pairs),
        steps=1_159,
        batch=24,
        learning_rate=1e-3,
        settle=_trusted_a_little,
    ),
    "drawing": Stage(
        build=lambda preset, start: _only(load_autoencoder(_given(start))[0], "denoiser"),
        objective=lambda on, batch, device: drawing_objective(on.slices, on.pairs, batch=batch, device=device),
        monitor=lambda on: mean_monitor(on.slices, on.pairs),
        steps=748,
        batch=16,
        learning_rate=2e-4,
        settle=_half_way,
    ),
    "distillation": Stage(
        build=_new_distillation,
        objective=lambda on, batch, device: distillation_objective(on.slices, on.pairs, batch=batch, device=device),
        monitor=lambda on: distillation_monitor(on.slices, on.pairs),
        steps=170,
        batch=8,
        learning_rate=2e-4,
        loop={"warmup_steps": 50},
        kept=lambda model: model.get_submodule("model"),
    ),
    "orienter": Stage(
        build=_new_orienter,
        objective=lambda on, batch, device: orienter_objective(as_shown(on.slices), batch=batch, device=device),
        monitor=lambda on: orienter_monitor(as_shown(on.slices)),
        steps=2_111,
        batch=8,
        learning_rate=3e-3,
    ),
    "segmenter": Stage(
        build=_new_segmenter,
        objective=lambda on, batch, device: segmenter_objective(
            on.slices, batch=batch, size=on.preset.size, device=device
        ),
        monitor=lambda on: segmenter_monitor(on.preset, on.slices),
        steps=7_887,
        batch=24,
        learning_rate=1e-3,
        settle=_as_sure_as_right,
    ),
    "views": Stage(
        build=_new_view_segmenter,
        objective=lambda on, batch, device: views_objective(on.views, batch=batch, device=device),
        monitor=lambda on: views_monitor(on.views),
        steps=2_911,
        batch=16,
        learning_rate=2e-3,
    ),
    "deeprecon": Stage(
        build=lambda preset, start: DeepRecon(preset.generator),
        objective=lambda on, batch, device: deeprecon_objective(
            on.slices, batch=batch, size=on.preset.size, device=device
        ),
        monitor=lambda on: deeprecon_monitor(on.preset, on.slices),
        steps=1_210,
        batch=16,
        learning_rate=2.5e-3,
        loop={"betas": (0.0, 0.99), "weight_decay": 0.0, "clip": 100.0, "cooldown": 0.2},
        kept=lambda model: model.get_submodule("generator"),
    ),
}
