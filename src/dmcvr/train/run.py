"""`dmcvr train`: from a folder of patients to a weights file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch

from dmcvr.errors import InputError
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.checkpoint import load_autoencoder, load_segmenter, save_weights
from dmcvr.model.device import choose_device
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import Preset, get_preset
from dmcvr.model.weights import WeightsInfo
from dmcvr.options import DEFAULT_WEIGHTS
from dmcvr.train.autoencoder import autoencoder_objective, surrounded_objective
from dmcvr.train.config import Kind, TrainConfig
from dmcvr.train.data import TrainingSet, load_training_set, patient_groups
from dmcvr.train.drawing import drawing_objective
from dmcvr.train.labeller import labeller_objective
from dmcvr.train.loop import LoopConfig, Trainer
from dmcvr.train.monitors import autoencoder_monitor, labeller_monitor, mean_monitor, segmenter_monitor
from dmcvr.train.pairs import MAX_GAP_MM, PairSet
from dmcvr.train.segmenter import segmenter_objective
from dmcvr.train.split import BUNDLED_SPLIT, Split

#: Batch and learning rate of each kind.
DEFAULTS = {"segmenter": (24, 2e-3), "autoencoder": (16, 5e-4), "labeller": (24, 1e-3), "drawing": (16, 2e-4)}

#: Share of the labeller's correction that is kept.
LABELLER_TRUST = 0.2


def train(kind: Kind, config: TrainConfig, *, start: Path | None = None) -> Path:
    """Train and write `<kind>.safetensors`; returns its path.

    What a network stands on comes from the weights file `start` (default: bundled ones): an autoencoder's segmenter,
    the autoencoder that gets a labeller or goes on learning to draw.

    The folder also gets split.json, log.jsonl, checkpoint.pt and sample pictures. Raises `InputError` for data,
    split, preset or checkpoint that cannot be used.
    """
    preset = get_preset(config.preset)
    device = choose_device(config.device)
    config.out.mkdir(parents=True, exist_ok=True)
    trainer_exists = (config.out / "checkpoint.pt").is_file()
    if trainer_exists and not config.resume:
        raise InputError(f"{config.out} holds an earlier run: go on with --resume, or choose another folder.")
    split = _split(config)
    split.write(config.out / "split.json")
    training = load_training_set(config.data, split.train)
    watched = split.development or split.validation
    held_out = load_training_set(config.data, watched) if watched else training

    batch, rate = DEFAULTS[kind]
    batch = config.batch or batch
    loop = LoopConfig(
        max_steps=config.max_steps,
        max_minutes=config.max_minutes,
        learning_rate=config.learning_rate or rate,
        seed=config.seed,
        mixed_precision=config.mixed_precision,
        device=str(device),
    )
    pairs = config.pairs or config.out / "pairs.npz"
    before: WeightsInfo | None = None
    torch.manual_seed(config.seed)
    model: Segmenter | Autoencoder
    if kind == "segmenter":
        model = Segmenter(preset.segmenter)
        objective = segmenter_objective(training, batch=batch, size=preset.size, device=str(device))
        monitor = segmenter_monitor(preset, held_out)
    elif kind == "autoencoder":
        model = _autoencoder(preset, start)
        if preset.denoiser.surroundings:
            objective = surrounded_objective(training, _pairs(training, pairs), batch=batch, device=str(device))
            monitor = mean_monitor(held_out, _pairs(held_out, config.out / "held_out_pairs.npz"))
        else:
            objective = autoencoder_objective(training, batch=batch, device=str(device))
            monitor = autoencoder_monitor(held_out)
    elif kind == "labeller":
        model, before = _going_on(start or DEFAULT_WEIGHTS, "labeller")
        objective = labeller_objective(training, _pairs(training, pairs), batch=batch, device=str(device))
        monitor = labeller_monitor(held_out, _pairs(held_out, config.out / "held_out_pairs.npz"))
    else:
        model, before = _going_on(start or DEFAULT_WEIGHTS, "denoiser")
        objective = drawing_objective(training, _pairs(training, pairs), batch=batch, device=str(device))
        monitor = mean_monitor(held_out, _pairs(held_out, config.out / "held_out_pairs.npz"))
    preset = before.preset if before else preset
    trainer = Trainer(model, objective, loop, config.out)
    if config.resume and trainer_exists:
        trainer.resume()
    averaged = trainer.run(monitor)
    monitor(trainer)
    if isinstance(averaged, Autoencoder) and before:
        _settle(kind, averaged, load_autoencoder(before.path)[0])
    path = config.out / f"{kind}.safetensors"
    record: dict[str, Any] = {
        "data": config.data.name,
        "patients": len(split.train),
        "slices": len(training),
        "batch": batch,
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "loop": asdict(loop),
    }
    if before:
        record["autoencoder"] = before.training
    save_weights(averaged, path, preset=preset, training=record)
    return path


@torch.no_grad()
def _settle(kind: Kind, model: Autoencoder, start: Autoencoder) -> None:
    """Keep as much of what was learnt last as serves slices that were not trained on (chosen on development patients).

    Of a drawing, the weights half way from where it started (Wortsman et al. 2022, robust fine-tuning). Of a
    labeller's correction, `LABELLER_TRUST`: Dice hardly changes with it, but a network trained on Dice counts in what
    is doubtful, and walls grow thick.
    """
    if kind == "drawing":
        for own, theirs in zip(model.denoiser.parameters(), start.denoiser.parameters(), strict=True):
            own.lerp_(theirs.to(own.device), 0.5)
    elif isinstance(model, AlignedAutoencoder) and model.labeller is not None:
        for weight in model.labeller.head.parameters():
            weight.mul_(LABELLER_TRUST)


def _pairs(data: TrainingSet, path: Path) -> PairSet:
    """Registered once and kept, for the next training too; raises `InputError` where no slice lies between others."""
    if not path.is_file():
        PairSet.of(data).save(path)
    pairs = PairSet.load(path)
    if not pairs.inside.any():
        names = ", ".join(dict.fromkeys(data.patients.tolist()))
        raise InputError(
            f"No slice of {names} lies between two others at most {MAX_GAP_MM:g} mm apart: there is nothing to learn "
            "between slices. Choose exams with closer slices (--split)."
        )
    return pairs


def _split(config: TrainConfig) -> Split:
    if config.split is not None:
        return Split.read(config.split)
    if config.resume and (config.out / "split.json").is_file():
        return Split.read(config.out / "split.json")
    groups = patient_groups(config.data)
    bundled = Split.read(BUNDLED_SPLIT)
    if set(groups) <= {*bundled.train, *bundled.development, *bundled.validation}:
        names = [
            tuple(n for n in part if n in groups) for part in (bundled.train, bundled.development, bundled.validation)
        ]
        if names[0]:
            return Split(*names)
    return Split.stratified(groups, seed=config.seed)


def _autoencoder(preset: Preset, weights: Path | None) -> Autoencoder:
    """A new one on a trained segmenter; one with surroundings grows from a trained one and keeps its codes."""
    if preset.denoiser.surroundings:
        return _grown(preset, weights)
    segmenter, info = load_segmenter(weights or DEFAULT_WEIGHTS)
    if info.preset.segmenter != preset.segmenter:
        raise InputError(f"The segmenter in {info.path} is not of preset {preset.name}: train one with that preset.")
    model = Autoencoder(preset)
    model.segmenter.load_state_dict(segmenter.state_dict())
    model.segmenter.requires_grad_(False)
    return model


def _grown(preset: Preset, weights: Path | None) -> Autoencoder:
    plain, info = load_autoencoder(weights or DEFAULT_WEIGHTS)
    same = replace(info.preset.denoiser, surroundings=True) == preset.denoiser
    if not same or (info.preset.segmenter, info.preset.encoder) != (preset.segmenter, preset.encoder):
        raise InputError(f"The autoencoder in {info.path} has not the sizes of preset {preset.name}.")
    model = AlignedAutoencoder(preset)
    model.grow_from(plain)
    model.requires_grad_(False)
    model.denoiser.requires_grad_(True)
    return model


def _going_on(weights: str | Path, part: Literal["denoiser", "labeller"]) -> tuple[Autoencoder, WeightsInfo]:
    """A trained autoencoder of preset aligned, of which only this part will learn."""
    model, info = load_autoencoder(weights)
    if part == "denoiser" and not model.preset.denoiser.surroundings:
        raise InputError(f"The weights in {info.path} see no surroundings: train those of preset aligned first.")
    if part == "labeller" and (not isinstance(model, AlignedAutoencoder) or model.labeller is None):
        raise InputError(f"The weights in {info.path} have no labeller: train an autoencoder of preset aligned first.")
    model.requires_grad_(False)
    model.get_submodule(part).requires_grad_(True)
    return model, info
