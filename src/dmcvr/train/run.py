"""`dmcvr train`: from a folder of patients to a weights file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dmcvr.errors import InputError
from dmcvr.model.checkpoint import save_weights
from dmcvr.model.device import fast_precision
from dmcvr.model.presets import Preset
from dmcvr.model.weights import WeightsInfo
from dmcvr.stages import Stages
from dmcvr.train.config import Kind, TrainConfig
from dmcvr.train.cuts import TO_LEARN, TO_LOOK_AT
from dmcvr.train.data import load_training_set, patient_groups
from dmcvr.train.inputs import TRAINING, code_version
from dmcvr.train.loop import LoopConfig, Trainer
from dmcvr.train.processes import barrier, first_alone, is_first, processes, together
from dmcvr.train.split import BUNDLED_SPLIT, PARTS, Split
from dmcvr.train.stages import STAGES, Material, stage_name
from dmcvr.train.twins import describe_twins, twins_in

#: Held-out slices are looked at so often, and in a training of few minutes so many times.
LOOK_EVERY_S, LOOKS = 600.0, 6

#: Steps that no training reaches: the clock ends it.
NO_LIMIT = 10**9


def train(kind: Kind, config: TrainConfig, *, start: str | Path | None = None, stages: Stages | None = None) -> Path:
    """Train and write `<kind>.safetensors`; returns its path.

    What a network stands on comes from the weights `start` (a file or a bundled name; default: bundled ones): an
    autoencoder's segmenter, the autoencoder that gets a labeller or goes on learning to draw.

    The folder also gets split.json, log.jsonl, checkpoint.pt and sample pictures. Raises `InputError` for data, split,
    preset or checkpoint that cannot be used, before any work where that can be; and `Interrupted`, saying what is
    saved, when it is interrupted. `stages` are told what is done.
    """
    stages = stages or Stages()
    preset, before = config.check(kind, start)
    with together(config.device) as device:
        return _train(kind, config, preset, before, device, stages)


def _train(
    kind: Kind, config: TrainConfig, preset: Preset, before: WeightsInfo | None, device: str, stages: Stages
) -> Path:
    """On this device, one of as many processes as there are; the first writes."""
    stage = STAGES[stage_name(kind, preset)]
    batch = config.batch or stage.batch
    _check_shares(kind, batch)
    split = _split(config)  # read by all, before it is written anew
    barrier()
    if is_first():
        config.out.mkdir(parents=True, exist_ok=True)
        split.write(config.out / "split.json")
    watched = split.development or split.validation
    with stages("load"):
        training = load_training_set(config.data, split.train, window=config.window)
        held_out = load_training_set(config.data, watched, window=config.window) if watched else training
    pairs, out = config.pairs or config.out / "pairs.npz", config.out
    learnt = Material(training, preset, pairs, out / "views.npz", TO_LEARN)
    looked_at = Material(held_out, preset, out / "held_out_pairs.npz", out / "held_out_views.npz", TO_LOOK_AT)

    natively = fast_precision(torch.device(device)) == torch.bfloat16  # only emulated, it is slower than float32
    loop = LoopConfig(
        max_steps=config.max_steps or (stage.steps if config.max_minutes is None else NO_LIMIT),
        max_minutes=config.max_minutes,
        clock=config.clock,
        look_every_s=LOOK_EVERY_S if config.max_minutes is None else min(LOOK_EVERY_S, 60 * config.max_minutes / LOOKS),
        learning_rate=config.learning_rate or stage.learning_rate,
        seed=config.seed,
        mixed_precision=natively if config.precision == "auto" else config.precision == "bfloat16",
        device=device,
        **stage.loop,
    )
    inputs = {
        "stage": preset.name if kind == "autoencoder" else kind,
        "preset": preset.name,
        "batch": batch,
        "learning_rate": loop.learning_rate,
        "seed": loop.seed,
        "mixed_precision": loop.mixed_precision,
        "clock": config.clock,
        "window": None if config.window is None else list(config.window),
        "data_sha256": training.sha256,
        "split_sha256": split.sha256,
        "start_sha256": before.sha256 if before else None,
        "code": code_version(TRAINING),
    }
    torch.manual_seed(config.seed)
    model = stage.build(preset, before.path if before else None)
    with first_alone():
        objective = stage.objective(learnt, batch, device)  # registers pairs, once
    monitor = stage.monitor(looked_at) if is_first() else None
    trainer = Trainer(model, objective, loop, config.out, inputs, stages)
    if config.resume:
        trainer.resume()
    if trainer.spent:
        told = (
            f"The budget is spent (step {trainer.step}): nothing was trained; give more --max-steps or --max-minutes."
        )
        Console(stderr=True).print(told, highlight=False, soft_wrap=True)
    averaged = trainer.run(monitor)
    path = config.out / f"{kind}.safetensors"
    if monitor is None:
        return path
    with stages("look"):
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
        "processes": processes(),
        "loop": asdict(loop),
    }
    kept, history = stage.kept(averaged), _before(kind, preset, before)
    save_weights(kept, path, preset=getattr(kept, "preset", preset), training=record, before=history)
    return path


def _check_shares(kind: Kind, batch: int) -> None:
    """Raise `InputError` where a process would have nothing to do: a drawing shares half of its batch at a time."""
    least = processes() * (2 if kind == "drawing" else 1)
    if batch < least:
        raise InputError(
            f"A batch of {batch} is too small for {processes()} processes, expected {least} or more: give --batch, or "
            "start fewer."
        )


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
    if twins and is_first():
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
