"""A few steps of trainings on discs, in one process or, started by torchrun, in several: the first saves the weights.

python tests/helpers/steps.py FOLDER STAGE...
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from train.conftest import discs
from train.test_views import cut_set

from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.presets import ALIGNED, TINY, Preset
from dmcvr.model.weights import find
from dmcvr.train.loop import LoopConfig, Trainer
from dmcvr.train.pairs import PairSet, kept, registration_version, to_bytes
from dmcvr.train.processes import is_first, together
from dmcvr.train.stages import STAGES, Material

STEPS, BATCH = 3, 7

#: The bundled weights that stages go on from.
STARTS = {"aligned": "compact", "labeller": "aligned", "drawing": "aligned", "distillation": "aligned"}


def restless(preset: Preset) -> Preset:
    """A preset that drops wherever it can."""
    return replace(
        preset,
        denoiser=replace(preset.denoiser, dropout=0.3),
        stack_segmenter=replace(preset.stack_segmenter, dropout=0.3),
        between=0.5,
    )


def unregistered() -> PairSet:
    """Slices between their neighbours, which are taken as they are."""
    data = discs()
    target = np.flatnonzero(data.neighbours()[:, 0] >= 0)
    images, labels, count = kept(data.images).astype(np.float32), kept(data.labels), len(target)
    return PairSet(
        target,
        to_bytes(images[target - 1]),
        to_bytes(images[target + 1]),
        labels[target - 1],
        labels[target + 1],
        np.full(count, 0.5, np.float32),
        np.full(count, 16, np.float32),
        data.sha256,
        registration_version(),
    )


def flat(model: nn.Module) -> torch.Tensor:
    """All numbers that training changes, one after the other."""
    values = model.state_dict().values()
    return torch.cat([value.detach().clone().ravel() for value in values if value.is_floating_point()])


def learn(folder: Path, name: str) -> torch.Tensor:
    """How a few steps of a stage change its weights and running statistics."""
    preset = ALIGNED if name in STARTS else restless(TINY)
    torch.manual_seed(0)
    model = (
        Autoencoder(preset) if name == "autoencoder" else STAGES[name].build(preset, find(STARTS.get(name, "compact")))
    )
    (folder / name).mkdir(parents=True, exist_ok=True)
    pairs = folder / f"pairs{os.getpid()}.npz"
    unregistered().save(pairs)
    views = folder / f"views{os.getpid()}.npz"
    cut_set(discs().sha256).save(views)
    objective = STAGES[name].objective(Material(discs(), preset, pairs, views, range(1)), BATCH, "cpu")
    loop = LoopConfig(max_steps=STEPS, warmup_steps=1, learning_rate=1e-3, mixed_precision=False, log_every=1)
    trainer = Trainer(model, objective, loop, folder / name)
    before = flat(model)
    trainer.run()
    return flat(model) - before


if __name__ == "__main__":
    out = Path(sys.argv[1])
    with together("cpu"):
        for stage in sys.argv[2:]:
            change = learn(out, stage)
            if is_first():
                torch.save(change, out / f"{stage}.pt")
