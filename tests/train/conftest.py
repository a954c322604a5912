"""A training set that is made in no time: discs on noise, three patients, five slices 8 mm apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.train.config import TrainConfig
from dmcvr.train.data import CANVAS, TrainingSet
from dmcvr.train.split import Split

NAMES = ("p", "q", "r")
SLICES = 5


def discs() -> TrainingSet:
    rng = np.random.default_rng(0)
    count = len(NAMES) * SLICES
    radius = np.hypot(*(np.indices((CANVAS, CANVAS)) - CANVAS / 2))
    outer = rng.uniform(25, 35, (count, 1, 1))
    labels = np.where(radius < outer - 10, 1, np.where(radius < outer, 2, 0)).astype(np.uint8)
    labels[:, 60:80, 100:120] = 3
    noise = np.stack([ndimage.gaussian_filter(rng.normal(0, 8, (CANVAS, CANVAS)), 12) for _ in range(count)])
    return TrainingSet(
        images=np.clip(np.array([-0.6, 0.8, -0.2, 0.7])[labels] + noise, -1.5, 3).astype(np.float16),
        labels=labels,
        patients=np.repeat(np.array(NAMES), SLICES),
        phases=np.full(count, "ED"),
        positions=np.tile(8.0 * np.arange(SLICES), len(NAMES)),
        known=np.full(count, 0b111, np.uint8),
    )


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `dmcvr train pack` writes it, with a split beside it."""
    folder = tmp_path_factory.mktemp("packed")
    discs().save(folder / "packed.npz")
    Split(("p", "q"), ("r",), ()).write(folder / "split.json")
    return folder / "packed.npz"


def tiny(packed: Path, out: Path, **changes: object) -> TrainConfig:
    """A training of a few steps."""
    values: dict[str, object] = {
        "data": packed,
        "out": out,
        "preset": "tiny",
        "max_steps": 4,
        "batch": 2,
        "device": "cpu",
        "split": packed.parent / "split.json",
    }
    return TrainConfig(**values | changes)  # type: ignore[arg-type]
