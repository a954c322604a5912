"""`dmcvr train`: from a folder of patients to a weights file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dmcvr.engine import BATCH, Engine, choose_device
from dmcvr.errors import InputError
from dmcvr.metrics import dice, ssim
from dmcvr.model.autoencoder import Autoencoder, SliceCodes, Surroundings
from dmcvr.model.checkpoint import load_autoencoder, load_segmenter, save_weights
from dmcvr.model.morphology import Segmenter
from dmcvr.presets import Preset, get_preset
from dmcvr.train.autoencoder import autoencoder_objective, mixed_codes, surrounded_objective
from dmcvr.train.config import Kind, TrainConfig
from dmcvr.train.data import Augmentation, TrainingSet, load_training_set, patient_groups, random_view
from dmcvr.train.labeller import labeller_objective
from dmcvr.train.loop import LoopConfig, Trainer
from dmcvr.train.pairs import PairSet, kept
from dmcvr.train.pictures import save_tiles
from dmcvr.train.segmenter import segmenter_objective
from dmcvr.train.split import BUNDLED_SPLIT, Split
from dmcvr.weights import DEFAULT

#: Held-out slices looked at with every checkpoint.
MONITORED = 12

#: Gaps above this many mm count as wide.
WIDE_MM = 14.0

#: A view as it is.
STILL = Augmentation(rotation_deg=0, scale=0, shift_mm=0, contrast=0, gamma=0, noise=0, bias=0)


#: Batch and learning rate of each kind.
DEFAULTS = {"segmenter": (24, 2e-3), "autoencoder": (16, 5e-4), "labeller": (24, 1e-3)}


def train(kind: Kind, config: TrainConfig, *, start: Path | None = None) -> Path:
    """Train and write `<kind>.safetensors`; returns its path.

    What a network stands on comes from the weights file `start` (default: bundled ones): an autoencoder's segmenter, a
    labeller's autoencoder.

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
    torch.manual_seed(config.seed)
    model: Segmenter | Autoencoder
    if kind == "segmenter":
        model = Segmenter(preset.segmenter)
        objective = segmenter_objective(training, batch=batch, size=preset.size, device=str(device))
        monitor = _segmenter_monitor(preset, held_out)
    elif kind == "autoencoder":
        model = _autoencoder(preset, start)
        if preset.denoiser.surroundings:
            objective = surrounded_objective(training, _pairs(training, pairs), batch=batch, device=str(device))
        else:
            objective = autoencoder_objective(training, batch=batch, device=str(device))
        monitor = _autoencoder_monitor(held_out)
        if preset.denoiser.surroundings and watched:
            monitor = _both(monitor, _mean_monitor(held_out, _pairs(held_out, config.out / "held_out_pairs.npz")))
    else:
        model = _unlabelled(start or preset.name)
        preset = model.preset
        objective = labeller_objective(training, _pairs(training, pairs), batch=batch, device=str(device))
        monitor = _no_monitor
    trainer = Trainer(model, objective, loop, config.out)
    if config.resume and trainer_exists:
        trainer.resume()
    averaged = trainer.run(monitor)
    monitor(trainer)
    path = config.out / f"{kind}.safetensors"
    record = {
        "data": config.data.name,
        "patients": len(split.train),
        "slices": len(training),
        "batch": batch,
        "steps": trainer.step,
        "minutes": round(trainer.seconds / 60, 1),
        "loop": asdict(loop),
    }
    save_weights(averaged, path, preset=preset, training=record)
    return path


def _pairs(data: TrainingSet, path: Path) -> PairSet:
    """Registered once and kept, for the next training too."""
    if not path.is_file():
        PairSet.of(data).save(path)
    return PairSet.load(path)


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
    segmenter, info = load_segmenter(weights or DEFAULT)
    if info.preset.segmenter != preset.segmenter:
        raise InputError(f"The segmenter in {info.path} is not of preset {preset.name}: train one with that preset.")
    model = Autoencoder(preset)
    model.segmenter.load_state_dict(segmenter.state_dict())
    model.segmenter.requires_grad_(False)
    return model


def _grown(preset: Preset, weights: Path | None) -> Autoencoder:
    plain, info = load_autoencoder(weights or DEFAULT)
    same = replace(info.preset.denoiser, surroundings=True) == preset.denoiser
    if not same or (info.preset.segmenter, info.preset.encoder) != (preset.segmenter, preset.encoder):
        raise InputError(f"The autoencoder in {info.path} has not the sizes of preset {preset.name}.")
    model = Autoencoder(preset)
    model.grow_from(plain)
    model.requires_grad_(False)
    model.denoiser.requires_grad_(True)
    return model


def _unlabelled(weights: str | Path) -> Autoencoder:
    """A trained autoencoder of which only the labeller will learn."""
    model, info = load_autoencoder(weights)
    if model.labeller is None:
        raise InputError(f"The weights in {info.path} have no labeller: train an autoencoder of preset aligned first.")
    model.requires_grad_(False)
    model.labeller.requires_grad_(True)
    return model


def _sample(data: TrainingSet, size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    chosen = np.linspace(0, len(data) - 1, min(MONITORED, len(data))).astype(int)
    canvases = torch.from_numpy(data.images[chosen])[:, None], torch.from_numpy(data.labels[chosen])
    images, labels = random_view(*canvases, torch.Generator().manual_seed(0), STILL, size)
    return images[:, 0].numpy(), labels.numpy()


def _no_monitor(trainer: Trainer) -> None:
    del trainer  # the loss in the log is all there is to see


def _segmenter_monitor(preset: Preset, held_out: TrainingSet) -> Callable[[Trainer], None]:
    images, labels = _sample(held_out, preset.size)

    def monitor(trainer: Trainer) -> None:
        model = trainer.averaged()
        with torch.no_grad():
            logits = model(torch.from_numpy(images)[:, None].to(trainer.config.device))
        found = logits.argmax(dim=1).cpu().numpy()
        scores = {f"dice_{c}": dice(found == c, labels == c) for c in (1, 2, 3)}
        trainer.record({"held_out": True, **scores})
        save_tiles(trainer.out / "samples.png", [images, images], [labels, found])

    return monitor


def _autoencoder_monitor(held_out: TrainingSet) -> Callable[[Trainer], None]:
    def monitor(trainer: Trainer) -> None:
        model = trainer.averaged()
        assert isinstance(model, Autoencoder)
        images, _ = _sample(held_out, model.preset.size)
        engine = Engine(model, device=torch.device(trainer.config.device))
        codes = engine.encode(images)
        back = engine.decode(codes)
        codes.x_T.normal_(generator=torch.Generator(codes.x_T.device).manual_seed(0))
        drawn = engine.decode(codes)
        score = float(np.mean([ssim((a + 1) / 2, (b + 1) / 2) for a, b in zip(images, back, strict=True)]))
        trainer.record({"held_out": True, "round_trip_ssim": score})
        save_tiles(trainer.out / "samples.png", [images, back, drawn])

    return monitor


def _mean_monitor(held_out: TrainingSet, pairs: PairSet) -> Callable[[Trainer], None]:
    """By how much the expected slice is nearer to the truth than the plain mean of the warped neighbours, in dB."""
    chosen = np.flatnonzero(pairs.inside)
    truth = kept(held_out.images)[pairs.target[chosen]].astype(np.float32)
    canvases = torch.from_numpy(np.concatenate([truth[:, None], pairs.neighbours()[chosen]], axis=1))
    fraction, gap_mm = torch.from_numpy(pairs.fraction[chosen]), torch.from_numpy(pairs.gap_mm[chosen])

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        assert isinstance(model, Autoencoder)
        no_labels = torch.zeros(len(chosen), *canvases.shape[2:])
        generator = torch.Generator().manual_seed(0)
        views, _ = random_view(canvases, no_labels, generator, STILL, model.preset.size)
        noise = torch.randn(views[:, :1].shape, generator=generator)
        gains = []
        for part in torch.arange(len(chosen)).split(BATCH):
            view, f, gap = views[part].to(device), fraction[part].to(device), gap_mm[part].to(device)
            around = Surroundings(view[:, 1:2], view[:, 2:], f, gap, torch.ones_like(f))
            with torch.no_grad(), torch.autocast(torch.device(device).type, torch.bfloat16):
                codes = mixed_codes(model, view[:, 1:], f)
                expected = model.mean(SliceCodes(noise[part].to(device), *codes), around)
            errors = [(guess - view[:, :1]).square().mean(dim=(1, 2, 3)) for guess in (around.middle, expected)]
            gains.append(10 * torch.log10(errors[0] / errors[1]).cpu())
        gain_db = torch.cat(gains)
        wide = gap_mm > WIDE_MM
        trainer.record(
            {"held_out": True}
            | {
                f"mean_gain_db_{name}": float(gain_db[which].mean())
                for name, which in (("narrow", ~wide), ("wide", wide))
                if which.any()
            }
        )

    return monitor


def _both(first: Callable[[Trainer], None], second: Callable[[Trainer], None]) -> Callable[[Trainer], None]:
    def monitor(trainer: Trainer) -> None:
        first(trainer)
        second(trainer)

    return monitor
