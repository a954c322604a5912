"""`dmcvr train`: a command for each network, and one that packs data for another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dmcvr.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainSegmenter(TrainConfig):
    """E_mor and its head, on focal + Dice: the first of the two."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('segmenter', self)}")


@dataclass(frozen=True, kw_only=True)
class TrainAutoencoder(TrainConfig):
    """E_sem and the denoiser, with a trained segmenter: writes a whole model. Preset aligned grows from compact."""

    start: Path | None = None
    """Weights of the segmenter, for preset aligned of the whole compact model; default: the bundled ones."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('autoencoder', self, start=self.start)}")


@dataclass(frozen=True, kw_only=True)
class TrainLabeller(TrainConfig):
    """The labeller of drawn slices, for an autoencoder of preset aligned: writes a whole model."""

    autoencoder: Path | None = None
    """The autoencoder's weights; default: the bundled ones."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('labeller', self, start=self.autoencoder)}")


@dataclass(frozen=True, kw_only=True)
class TrainDrawing(TrainConfig):
    """Slices that look like true ones, for an autoencoder of preset aligned: writes a whole model."""

    autoencoder: Path | None = None
    """The autoencoder's weights; default: the bundled ones."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('drawing', self, start=self.autoencoder)}")


@dataclass(frozen=True, kw_only=True)
class TrainPack:
    """Pack a folder's training slices into one file, to carry to another machine."""

    data: Path
    out: Path
    """The .npz file to write."""
    split: Path | None = None
    """Leave out the validation patients of this split; default: the bundled one."""

    def run(self) -> None:
        from dmcvr.train.data import load_training_set
        from dmcvr.train.split import BUNDLED_SPLIT, Split

        split = Split.read(self.split or BUNDLED_SPLIT)
        packed = load_training_set(self.data, (*split.train, *split.development))
        packed.save(self.out)
        print(f"{len(packed)} slices written to {self.out}")
