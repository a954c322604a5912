"""What is looked at while a model trains: its averaged weights on slices held out, as numbers and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.fill.engine import BATCH, Engine
from dmcvr.fill.search import Search, search_codes
from dmcvr.geometry.orient import VIEW_MM, VIEW_PIXELS
from dmcvr.model.aligned import AlignedAutoencoder
from dmcvr.model.autoencoder import Autoencoder, SliceCodes
from dmcvr.model.deeprecon import DeepRecon
from dmcvr.model.presets import Preset
from dmcvr.model.stack_segmenter import StackSegmenter
from dmcvr.model.view_segmenter import with_prior
from dmcvr.quality.metrics import dice, psnr_db, ssim
from dmcvr.train.between import Places, mixed_codes
from dmcvr.train.cuts import UNKNOWN, CutSet
from dmcvr.train.data import STILL, TrainingSet, random_view
from dmcvr.train.distillation import Distillation, draw_as_taught, draw_in_one_call
from dmcvr.train.labeller import label
from dmcvr.train.loop import Trainer
from dmcvr.train.orienter import way_logits
from dmcvr.train.pairs import PairSet
from dmcvr.train.pictures import save_tiles
from dmcvr.train.segmenter import StackViews
from dmcvr.train.views import ViewDraws

Monitor = Callable[[Trainer], None]

#: Held-out slices looked at with every checkpoint.
MONITORED = 12

#: Steps of the search for them, of a generator.
LOOKED_STEPS = 60

#: A view as it is, wide.
WHOLE = replace(STILL, view_mm=VIEW_MM)


def _sample(data: TrainingSet, size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    chosen = np.linspace(0, len(data) - 1, min(MONITORED, len(data))).astype(int)
    canvases = torch.from_numpy(data.images[chosen])[:, None], torch.from_numpy(data.labels[chosen])
    images, labels = random_view(*canvases, torch.Generator().manual_seed(0), STILL, size)
    return images[:, 0].numpy(), labels.numpy()


def morphology_monitor(preset: Preset, held_out: TrainingSet) -> Monitor:
    images, labels = _sample(held_out, preset.size)

    def monitor(trainer: Trainer) -> None:
        model = trainer.averaged()
        with torch.no_grad():
            logits = model(torch.from_numpy(images)[:, None].to(trainer.config.device))
        found = logits.argmax(dim=1).cpu().numpy()
        scores = {f"dice_{c}": dice(found == c, labels == c) for c in (1, 2, 3)}
        trainer.record_held_out(scores)
        save_tiles(trainer.out / "samples.png", [images, images], [labels, found])

    return monitor


def segmenter_monitor(preset: Preset, held_out: TrainingSet) -> Monitor:
    """Dice of each structure that was looked for, over a whole stack, as the mean over stacks."""
    stacks = StackViews(held_out, batch=1, size=preset.size).still()

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        assert isinstance(model, StackSegmenter)
        scores: dict[str, list[float]] = {f"dice_{name}": [] for name in LABEL_NAMES.values()}
        rows: list[list[NDArray[np.float32]]] = []
        for seen in stacks:
            part = seen.to(device)
            found = model.probabilities(part.images, part.stacks).argmax(dim=1).cpu().numpy()
            truth = seen.labels.numpy()
            for c, name in LABEL_NAMES.items():
                if seen.known[0, c - 1]:
                    scores[f"dice_{name}"].append(dice(found == c, truth == c))
            middle = len(found) // 2
            rows.append([seen.images[middle, 0].numpy(), truth[middle], found[middle]])
        trainer.record_held_out({name: round(float(np.nanmean(of)), 4) for name, of in scores.items() if of})
        images, truth, found = (np.stack(column) for column in zip(*rows[:MONITORED], strict=True))
        save_tiles(trainer.out / "samples.png", [images, images], [truth, found])

    return monitor


def views_monitor(held_out: CutSet) -> Monitor:
    """Dice of each structure over all views of phantoms and of patients, where it is known; and that of the priors."""
    views = ViewDraws(held_out, batch=1).still()
    known = views.labels < UNKNOWN
    kinds = {"phantoms": ~held_out.of_patients, "patients": held_out.of_patients}

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        with torch.no_grad():
            logits = [model(with_prior(*part).to(device)) for part in views.batches(BATCH)]
        found = torch.cat([part.argmax(dim=1).cpu() for part in logits])
        numbers = {}
        for kind, which in kinds.items():
            for what, labels in (("", found), ("_prior", views.priors)):
                for c, name in LABEL_NAMES.items():
                    chosen = [part[which][known[which]].numpy() == c for part in (labels, views.labels)]
                    numbers[f"dice_{name}_{kind}{what}"] = round(dice(*chosen), 4)
        trainer.record_held_out(numbers)
        some = np.linspace(0, len(found) - 1, MONITORED).astype(int)
        pictures, *maps = (part[some].numpy() for part in (views.images, views.labels, views.priors, found))
        save_tiles(trainer.out / "samples.png", [pictures] * 3, maps)

    return monitor


def orienter_monitor(held_out: TrainingSet) -> Monitor:
    """How many held-out slices, and how many exams by the mean over their slices, are seen as they lie."""
    views, _ = random_view(
        torch.from_numpy(held_out.images)[:, None], None, torch.Generator().manual_seed(0), WHOLE, VIEW_PIXELS
    )
    exams = [f"{name} {phase}" for name, phase in zip(held_out.patients, held_out.phases, strict=True)]

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        with torch.no_grad():
            votes = [way_logits(model, part.to(device)).log_softmax(dim=1).cpu() for part in views.split(BATCH)]
        found = torch.cat(votes).numpy()
        means = [found[np.array(exams) == exam].mean(axis=0) for exam in dict.fromkeys(exams)]
        margins = [vote[0] - vote[1:].max() for vote in means]
        trainer.record_held_out(
            {
                "right_slices": float((found.argmax(axis=1) == 0).mean()),
                "right_exams": float(np.mean(np.array(margins) > 0)),
                "least_margin": float(min(margins)),
            }
        )

    return monitor


def autoencoder_monitor(held_out: TrainingSet) -> Monitor:
    def monitor(trainer: Trainer) -> None:
        model = trainer.averaged()
        assert isinstance(model, Autoencoder)
        images, _ = _sample(held_out, model.preset.size)
        engine = Engine.of(model, device=torch.device(trainer.config.device))
        codes = engine.encode(images)
        back = engine.decode(codes)
        codes.x_T.normal_(generator=torch.Generator(codes.x_T.device).manual_seed(0))
        drawn = engine.decode(codes)
        score = float(np.mean([ssim((a + 1) / 2, (b + 1) / 2) for a, b in zip(images, back, strict=True)]))
        trainer.record_held_out({"round_trip_ssim": score})
        save_tiles(trainer.out / "samples.png", [images, back, drawn])

    return monitor


def deeprecon_monitor(preset: Preset, held_out: TrainingSet) -> Monitor:
    """Held-out slices found again by a short search, led by their labels; and slices drawn from random codes.

    The pictures are, by rows: the truth, what was found, and what is drawn, each with its labels.
    """
    images, labels = _sample(held_out, preset.size)
    how = Search(steps=LOOKED_STEPS)

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        assert isinstance(model, DeepRecon)
        generator = model.generator
        truth = torch.from_numpy(images)[:, None].to(device), torch.from_numpy(labels).to(device)
        z = torch.randn(len(images), generator.config.dimension, generator=torch.Generator().manual_seed(0))
        with trainer.autocast():
            codes = search_codes(generator, *truth, how)
            with torch.no_grad():
                made = [generator(part) for part in (codes, generator.spread(generator.map(z.to(device))))]
        (found, its_labels), drawn = [
            (image[:, 0].float().clamp(-1, 1).cpu().numpy(), logits.argmax(dim=1).cpu().numpy())
            for image, logits in made
        ]
        pairs = [((a + 1) / 2, (b + 1) / 2) for a, b in zip(found, images, strict=True)]
        scores = {f"search_dice_{name}": dice(its_labels == c, labels == c) for c, name in LABEL_NAMES.items()}
        scores |= {f"search_{f.__name__}": float(np.mean([f(a, b) for a, b in pairs])) for f in (psnr_db, ssim)}
        trainer.record_held_out(scores)
        save_tiles(
            trainer.out / "samples.png",
            [images, images, found, found, drawn[0], drawn[0]],
            [np.zeros_like(labels), labels, np.zeros_like(labels), its_labels, np.zeros_like(labels), drawn[1]],
        )

    return monitor


def mean_monitor(held_out: TrainingSet, pairs: PairSet) -> Monitor:
    """By how much the expected slice is nearer to the truth than the plain mean of the warped neighbours, in dB.

    The pictures are, by rows: the lower neighbour, warped; the truth; the upper neighbour; what is expected.
    """
    places = Places.of(held_out, pairs).inside()
    kinds = _by_gap(places.pairs)

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        assert isinstance(model, AlignedAutoencoder)
        generator = torch.Generator().manual_seed(0)
        between = places.views(generator, STILL, model.preset.size)
        noise = torch.randn(between.truth.shape, generator=generator)
        gains, drawn = [], []
        for which in torch.arange(len(places)).split(BATCH):
            part = between[which].to(device)
            around = part.around()
            with torch.no_grad(), trainer.autocast():
                codes = mixed_codes(model, part.neighbours, part.fraction)
                expected = model.mean(SliceCodes(noise[which].to(device), *codes), around)
            errors = [(guess - part.truth).square().mean(dim=(1, 2, 3)) for guess in (around.middle, expected)]
            drawn.append(expected[:, 0].float().cpu())
            gains.append(10 * torch.log10(errors[0] / errors[1]).cpu())
        gain_db = torch.cat(gains).numpy()
        trainer.record_held_out({f"mean_gain_db_{kind}": float(gain_db[which].mean()) for kind, which in kinds.items()})
        some = np.linspace(0, len(places) - 1, min(MONITORED, len(places))).astype(int)
        rows = [*between.views.transpose(0, 1).numpy()[[1, 0, 2]], torch.cat(drawn).numpy()]
        save_tiles(trainer.out / "samples.png", [row[some] for row in rows])

    return monitor


def distillation_monitor(held_out: TrainingSet, pairs: PairSet) -> Monitor:
    """By how much both models' drawings are nearer to the truth than the plain mean, in dB, and how near to each other.

    The pictures are, by rows: the truth; the warped neighbours' mean; the teacher's drawing; the model's.
    """
    places = Places.of(held_out, pairs).inside()
    kinds = _by_gap(places.pairs)

    def monitor(trainer: Trainer) -> None:
        module, device = trainer.averaged(), trainer.config.device
        assert isinstance(module, Distillation)
        generator, size = torch.Generator().manual_seed(0), module.model.preset.size
        between = places.views(generator, STILL, size)
        noise = torch.randn(between.truth.shape, generator=generator)
        gains, drawn = [], []
        for which in torch.arange(len(places)).split(BATCH):
            part, own = between[which].to(device), noise[which].to(device)
            with torch.no_grad(), trainer.autocast():
                theirs, ours = draw_as_taught(module.teacher, part, own), draw_in_one_call(module.model, part)
            rows = (part.around().middle, theirs, ours)
            errors = [(row - part.truth).square().mean(dim=(1, 2, 3)).cpu() for row in rows]
            apart = (theirs - ours).square().mean(dim=(1, 2, 3)).cpu()
            gains.append(10 * torch.log10(torch.stack([errors[0] / errors[1], errors[0] / errors[2], 4 / apart])))
            drawn.append(torch.cat(rows, dim=1).float().cpu())
        numbers = torch.cat(gains, dim=1).numpy()
        names = ("teacher_gain_db", "gain_db", "psnr_to_teacher_db")
        trainer.record_held_out(
            {
                f"{name}_{kind}": float(row[which].mean())
                for kind, which in kinds.items()
                for name, row in zip(names, numbers, strict=True)
            }
        )
        some = np.linspace(0, len(places) - 1, min(MONITORED, len(places))).astype(int)
        save_tiles(
            trainer.out / "samples.png",
            [between.truth[:, 0].numpy()[some], *torch.cat(drawn)[some].transpose(0, 1).numpy()],
        )

    return monitor


def labeller_monitor(held_out: TrainingSet, pairs: PairSet) -> Monitor:
    """Dice and area (over the true one) of the labels between two slices that were segmented, or are given.

    Dice is per slice, in 2D. A training on Dice counts in what is doubtful: the areas show by how much.
    """
    places = Places.of(held_out, pairs).inside()
    kinds = _by_gap(places.pairs)

    def monitor(trainer: Trainer) -> None:
        model, device = trainer.averaged(), trainer.config.device
        assert isinstance(model, AlignedAutoencoder)
        between = places.views(torch.Generator().manual_seed(0), STILL, model.preset.size, labelled=True)
        truth = between.labels[:, 0].numpy()
        numbers: dict[str, float] = {}
        for name in ("segmented", "given"):
            found = []
            for which in torch.arange(len(places)).split(BATCH):
                part = between[which].to(device)
                given = torch.full_like(part.fraction, name == "given", dtype=torch.bool)
                with torch.no_grad(), trainer.autocast():
                    found.append(label(model, part, given).argmax(dim=1).cpu())
            labels = torch.cat(found).numpy()
            for kind, chosen in kinds.items():
                for c, structure in LABEL_NAMES.items():
                    scores = [dice(labels[n] == c, truth[n] == c) for n in np.flatnonzero(chosen)]
                    numbers[f"dice_{structure}_{kind}_{name}"] = round(float(np.nanmean(scores)), 4)
                    areas = [int((part[chosen] == c).sum()) for part in (labels, truth)]
                    numbers[f"area_{structure}_{kind}_{name}"] = round(areas[0] / max(1, areas[1]), 4)
        trainer.record_held_out(numbers)

    return monitor


def _by_gap(pairs: PairSet) -> dict[str, NDArray[np.bool_]]:
    """Which lie in gaps of each kind that occurs."""
    return {kind: which for kind, which in (("narrow", pairs.narrow), ("wide", ~pairs.narrow)) if which.any()}
