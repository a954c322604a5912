"""`dmcvr train`: a command for each network, and what belongs to training data."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dmcvr.cli.terminal import LogJson
from dmcvr.errors import Interrupted
from dmcvr.io.folder import check_output_file
from dmcvr.options import maybe
from dmcvr.progress import shown_progress
from dmcvr.stages import Stages
from dmcvr.train.config import Kind, Output, TrainConfig


@dataclass(frozen=True, kw_only=True)
class Training(TrainConfig):
    """What all trainings can be told."""

    log_json: LogJson = None


@dataclass(frozen=True, kw_only=True)
class TrainSegmenter(Training):
    """What labels acquired slices: a network that sees their stack; labels may be partial."""

    def run(self) -> None:
        _train("segmenter", self)


@dataclass(frozen=True, kw_only=True)
class TrainMorphology(Training):
    """E_mor and its head, on focal + Dice: before the autoencoder."""

    def run(self) -> None:
        _train("morphology", self)


@dataclass(frozen=True, kw_only=True)
class TrainAutoencoder(Training):
    """E_sem and the denoiser, with a trained E_mor: writes a whole model. Preset aligned grows from compact."""

    start: Annotated[Path | None, maybe("FILE")] = None
    """Weights of E_mor, for preset aligned of the whole compact model; default: the bundled compact."""

    def run(self) -> None:
        _train("autoencoder", self, self.start)


@dataclass(frozen=True, kw_only=True)
class TrainLabeller(Training):
    """The labeller of drawn slices, for an autoencoder of preset aligned: writes a whole model."""

    autoencoder: Annotated[Path | None, maybe("FILE")] = None
    """The autoencoder's weights; default: the bundled aligned."""

    def run(self) -> None:
        _train("labeller", self, self.autoencoder)


@dataclass(frozen=True, kw_only=True)
class TrainDrawing(Training):
    """Slices that look like true ones, for an autoencoder of preset aligned: writes a whole model."""

    autoencoder: Annotated[Path | None, maybe("FILE")] = None
    """The autoencoder's weights; default: the bundled aligned."""

    def run(self) -> None:
        _train("drawing", self, self.autoencoder)


@dataclass(frozen=True, kw_only=True)
class TrainDistillation(Training):
    """What a trained drawing does in several network calls, in one: writes a whole model."""

    autoencoder: Annotated[Path | None, maybe("FILE")] = None
    """Weights that draw in several calls, as train drawing makes them (the bundled aligned draw in one)."""

    def run(self) -> None:
        _train("distillation", self, self.autoencoder)


@dataclass(frozen=True, kw_only=True)
class TrainOrienter(Training):
    """What tells how a picture lies: which of its eight turned and mirrored views is the one that is shown."""

    def run(self) -> None:
        _train("orienter", self)


@dataclass(frozen=True, kw_only=True)
class TrainViews(Training):
    """What labels long-axis views, on views cut through phantoms and through the patients' stacks."""

    def run(self) -> None:
        _train("views", self)


@dataclass(frozen=True, kw_only=True)
class TrainDeeprecon(Training):
    """DeepRecon's generator of slices with their labels, for --method deeprecon."""

    def run(self) -> None:
        _train("deeprecon", self)


def _train(kind: Kind, training: Training, start: Path | None = None) -> None:
    first = os.environ.get("RANK", "0") == "0"  # of several processes, the first is shown
    with shown_progress(log_json=training.log_json) if first else nullcontext(Stages()) as stages:
        training.check(kind, start)  # before torch is imported
        from dmcvr.train.run import train

        try:
            path = train(kind, training, start=start, stages=stages)
        except Interrupted as interrupt:
            if interrupt.told:  # between steps a training says itself what it saved
                raise
            resume = " with --resume" if (training.out / "checkpoint.pt").is_file() else ""
            told = f"interrupted, no weights are written: give the same command again{resume}."
            raise Interrupted(told, interrupt.number) from None
    if first:
        print(f"Weights written to {path}")


@dataclass(frozen=True, kw_only=True)
class TrainPack:
    """Pack the training slices of folders into one file, to carry or to mix; refuses a split that parts twins."""

    data: Annotated[tuple[Path, ...], arg(metavar="FOLDER ...")]
    """Folders of labelled patients (see the other trainings)."""
    out: Output
    """The .npz file to write."""
    split: Annotated[Path | None, maybe("FILE")] = None
    """Leave out the validation patients of this split; default: the bundled one."""

    def run(self) -> None:
        from dmcvr.train.data import joined, load_training_set
        from dmcvr.train.split import BUNDLED_SPLIT, Split
        from dmcvr.train.twins import describe_twins, twins_in

        split = Split.read(self.split or BUNDLED_SPLIT)
        for folder in self.data:
            if twins := twins_in(folder, split.names):
                print(describe_twins(twins))
            split.check_whole(twins)
        check_output_file(self.out)
        packed = joined([load_training_set(folder, (*split.train, *split.development)) for folder in self.data])
        packed.save(self.out)
        print(f"{len(packed)} slices written to {self.out}")


@dataclass(frozen=True, kw_only=True)
class TrainTwins:
    """Name the patients that are one scan, and refuse a split that parts them."""

    data: Path
    """Folder of labelled patients, or a file of dmcvr train pack."""
    split: Annotated[Path | None, maybe("FILE")] = None
    """The split to check; default: none, they are named alone."""

    def run(self) -> None:
        from dmcvr.train.split import Split
        from dmcvr.train.twins import describe_twins, twins_in

        twins = twins_in(self.data)
        print(describe_twins(twins) if twins else "No two patients are one scan.")
        if self.split is not None:
            Split.read(self.split).check_whole(twins)


@dataclass(frozen=True, kw_only=True)
class TrainRange:
    """Measure what the training patients span in geometry, heart size and contrast: `quality/training_range.json`."""

    data: Path
    """ACDC-style folder with manual labels."""
    out: Output
    """The .json file to write."""
    split: Annotated[Path | None, maybe("FILE")] = None
    """Whose training patients; default: the bundled one."""

    def run(self) -> None:
        from dmcvr.train.range import training_range
        from dmcvr.train.split import BUNDLED_SPLIT, Split

        check_output_file(self.out)
        found = training_range(self.data, Split.read(self.split or BUNDLED_SPLIT).train)
        found.write(self.out)
        print(f"Ranges of {found.patients} patients written to {self.out}")
