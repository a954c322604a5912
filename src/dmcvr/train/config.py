"""What `dmcvr train` can be told: one source for the command line, the API and the record of a run. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["segmenter", "autoencoder", "labeller", "drawing"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What is trained on what, and for how long."""

    data: Path
    """ACDC-style folder (one folder a patient, or dmcvr phantom's output), or a file of dmcvr train pack."""
    out: Path
    """Folder for weights, checkpoint, log.jsonl, split.json and sample pictures."""
    preset: str = "compact"
    max_minutes: float | None = None
    """Wall-clock budget, over all resumed parts."""
    max_steps: int = 100_000
    batch: int | None = None
    """Slices a step; default: 24 for the segmenter and the labeller, 16 for the others."""
    learning_rate: float | None = None
    """Default: 2e-3 for the segmenter, 5e-4 for the autoencoder, 1e-3 for the labeller, 2e-4 for the drawing."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    mixed_precision: bool = True
    split: Path | None = None
    """JSON with the lists train, development, validation; default: the bundled ACDC split, else a new one."""
    pairs: Path | None = None
    """File of registered neighbours (preset aligned), made there if missing; default: in --out."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
