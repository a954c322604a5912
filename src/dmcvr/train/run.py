"""`dmcvr train`: from a folder of patients to a weights file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dmcvr.model.checkpoint import save_weights
from dmcvr.model.device import choose_device
from dmcvr.model.presets import Preset
from dmcvr.model.weights import WeightsInfo
from dmcvr.train.config import Kind, TrainConfig
from dmcvr.train.cuts import TO_LEARN, TO_LOOK_AT
from dmcvr.train.data import load_training_set, patient_groups
from dmcvr.train.inputs import TRAINING, code_version
from dmcvr.train.loop import LoopConfig, Trainer
from dmcvr.train.split import BUNDLED_SPLIT, PARTS, Split
from dmcvr.train.stages import STAGES, Material, stage_name
from dmcvr.train.twins import describe_twins, twins_in

#: Steps that no training reaches: the clock ends it.
NO_LIMIT = 10**9


def train(kind: Kind, config: TrainConfig, *, start: str | Path | None = None) -> Path:
    """Train and write `<kind>.safetensors`; returns its path.

    What a network stands on comes from the weights `start` (a file or a bundled name; default: bundled ones): an
    autoencoder's segmenter, the autoencoder that gets a labeller or goes on learning to draw.

    The folder also gets split.json, log.jsonl, checkpoint.pt and sample pictures. Raises `InputError` for data, split,
    preset or checkpoint that cannot be used, before any work where that can be; and `KeyboardInterrupt`, saying what is
    saved, when it is interrupted.
    """
    preset, before = config.check(kind, start)
    stage = STAGES[stage_name(kind, preset)]
    device = str(choose_device(config.device))
    split = _split(config)
    config.out.mkdir(parents=True, exist_ok=True)
    split.write(config.out / "split.json")
    training = load_training_set(config.data, split.train, window=config.window)
    watched = split.development or split.validation
    held_out = load_training_set(config.data, watched, window=config.window) if watched else training
    pairs, out = config.pairs or config.out / "pairs.npz", config.out
    learnt = Material(training, preset, pairs, out / "views.npz", TO_LEARN)
    looked_at = Material(held_out, preset, out / "held_out_pairs.npz", out / "held_out_views.npz", TO_LOOK_AT)

    batch = config.batch or stage.batch
    loop = LoopConfig(
        max_steps=config.max_steps or (stage.steps if config.max_minutes is None else NO_LIMIT),
        max_minutes=config.max_minutes,
        learning_rate=config.learning_rate or stage.learning_rate,
        seed=config.seed,
        mixed_precision=config.mixed_precision,
        device=device,
    )
    inputs = {
        "stage": preset.name if kind == "autoencoder" else kind,
        "preset": preset.name,
        "batch": batch,
        "learning_rate": loop.learning_rate,
        "seed": loop.seed,
        "mixed_precision": loop.mixed_precision,
        "window": None if config.window is None else list(config.window),
        "data_sha256": training.sha256,
        "split_sha256": split.sha256,
        "start_sha256": before.sha256 if before else None,
        "code": code_version(TRAINING),
    }
    torch.manual_seed(config.seed)
    model = stage.build(preset, before.path if before else None)
    objective, monitor = stage.objective(learnt, batch, device), stage.monitor(looked_at)
    trainer = Trainer(model, objective, loop, config.out, inputs)
    if config.resume:
        trainer.resume()
    averaged = trainer.run(monitor)
    if trainer.held_out_step != trainer.step:
        monitor(trainer)
    stage.settle(averaged, before.path if before else None, looked_at)
    record = {
        **inputs,
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "data": config.data.name,
        "patients": len(split.train),
        "slices": len(training),
        "torch": torch.__version__,
        "loop": asdict(loop),
    }
    path = config.out / f"{kind}.safetensors"
    save_weights(averaged, path, preset=preset, training=record, before=_before(kind, preset, before))
    return path


def _before(kind: Kind, preset: Preset, info: WeightsInfo | None) -> tuple[dict[str, Any], ...]:
    """The trainings that went into what this one started from: of a new autoencoder, those of its segmenter."""
    if info is None:
        return ()
    if stage_name(kind, preset) == "autoencoder":
        return info.stages[:1]
    return info.stages


def _split(config: TrainConfig) -> Split:
    """As given; that of the run that goes on; the bundled one where it knows all patients; else a new one.

    Patients that are one scan are named, stay together in a new split, and may not be parted by any.
    """
    groups = patient_groups(config.data)
    split = _known_split(config, groups)
    twins = twins_in(config.data, split.names if split else None)
    if twins:
        Console(stderr=True).print(describe_twins(twins), highlight=False)
    if split is None:
        return Split.stratified(groups, seed=config.seed, twins=twins)
    split.check_whole(twins)
    return split


def _known_split(config: TrainConfig, groups: dict[str, str]) -> Split | None:
    if config.split is not None:
        return Split.read(config.split)
    if config.resume and (config.out / "split.json").is_file():
        return Split.read(config.out / "split.json")
    bundled = Split.read(BUNDLED_SPLIT)
    here = Split(*(tuple(name for name in getattr(bundled, part) if name in groups) for part in PARTS))
    return here if here.train and set(groups) <= set(bundled.names) else None
