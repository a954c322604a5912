"""What `dmcvr train` can be told: one source for the command line, the API and the record of a run. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from dmcvr.errors import InputError, OutputError
from dmcvr.model.presets import Preset, get_preset
from dmcvr.model.weights import KIND_WORDS, WeightsInfo, describe, find, require_kind
from dmcvr.options import DeviceName, maybe

Kind = Literal[
    "segmenter", "morphology", "autoencoder", "labeller", "drawing", "distillation", "orienter", "views", "deeprecon"
]

#: Where a command of this room writes to: `-o`, as all commands have it; `--out` was its name, and is still understood.
Output = Annotated[Path, arg(name="output", aliases=["-o", "--out"], metavar="PATH")]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What is trained on what, and for how long."""

    data: Path
    """Folder of labelled patients (ACDC's way, nnU-Net's raw folder, Sunnybrook's slices), or a file of train pack."""
    out: Output
    """Folder for weights, checkpoint, log.jsonl, split.json and sample pictures."""
    preset: Annotated[str | None, maybe("NAME")] = None
    """Default: compact; the labeller, the drawing and its distillation have that of the weights they go on with."""
    max_minutes: Annotated[float | None, maybe("MIN")] = None
    """Budget of time, over all resumed parts; the learning rate then falls by the clock, too."""
    clock: Literal["wall", "cpu"] = "wall"
    """What --max-minutes are told by: the clock on the wall, or what the training has used of all cores, which others
    that work there do not change."""
    max_steps: Annotated[int | None, maybe("N")] = None
    """Default: as many as the bundled weights had, or no limit with --max-minutes."""
    batch: Annotated[int | None, maybe("N")] = None
    """Slices a step; default: 16 for the autoencoder, the drawing, its distillation, views and deeprecon, 8 for the
    orienter, 24 for the others."""
    learning_rate: Annotated[float | None, maybe("RATE")] = None
    """Default: 2e-3 for E_mor, 5e-4 for the autoencoder, 2e-4 for the drawing and its distillation, 3e-3 for the
    orienter, 2e-3 for views, 2.5e-3 for deeprecon, 1e-3 for the others."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of all that is drawn: a new split, first weights, and each step's slices, views, times, noise and dropout."""
    device: DeviceName = "auto"
    """Where the networks run."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """In which the networks compute; weights are float32. auto: bfloat16 where the device multiplies it natively."""
    window: Annotated[tuple[float, float] | None, maybe("BLACK WHITE")] = None
    """Grey values that become black and white, such as -160 440 for CT; default: as each heart has them (MRI)."""
    split: Annotated[Path | None, maybe("FILE")] = None
    """JSON with the lists train, development, validation; default: the bundled ACDC split, else a new one."""
    pairs: Annotated[Path | None, maybe("FILE")] = None
    """File of registered neighbours (preset aligned), made there if missing; default: in the output folder."""
    resume: bool = False
    """Go on from the checkpoint in the output folder, with the same data and options (the budget may grow)."""

    def check(self, kind: Kind, start: str | Path | None = None) -> tuple[Preset, WeightsInfo | None]:
        """The preset, and the weights that this training starts from.

        Raises `InputError` for what cannot be trained so, before any work is done.
        """
        self._check_numbers(kind)
        self._check_files()
        preset, info = self._check_start(kind, start)
        if self.pairs is not None and not preset.denoiser.surroundings:
            raise InputError(
                f"Preset {preset.name} sees no neighbours, and --pairs are for those that do: leave it out, or give "
                "--preset aligned."
            )
        if kind in ("morphology", "labeller") and find_spec("monai") is None:
            raise InputError("This training needs monai: pip install 'dmcvr[train]'.")
        return preset, info

    def _check_numbers(self, kind: Kind) -> None:
        least: dict[str, float] = {"max_steps": 1, "batch": 2 if kind == "drawing" else 1, "seed": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"Expected --{name.replace('_', '-')} of {low:g} or more; got {value}.")
        for name in ("max_minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"Expected --{name.replace('_', '-')} above 0; got {value}.")

        if self.window is not None and not self.window[0] < self.window[1]:
            raise InputError(f"Expected --window as two rising grey values; got {self.window[0]:g} {self.window[1]:g}.")
        if self.window is not None and self.data.is_file():
            raise InputError("A packed file has its grey values fixed: give --window with the folder of the patients.")

    def _check_files(self) -> None:
        if not self.data.exists():
            raise InputError(f"There is no folder {self.data}: give the folder that holds the patients.")
        if self.split is not None and not self.split.is_file():
            raise InputError(f"There is no split file {self.split}: check the path, or leave --split out.")
        if self.pairs is not None and not self.pairs.parent.is_dir():
            raise InputError(f"There is no folder {self.pairs.parent} for --pairs: make it first.")
        parent = next(folder for folder in (self.out, *self.out.absolute().parents) if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise OutputError(f"Nothing can be written to {self.out} (see {parent}): choose another folder with -o.")
        earlier = (self.out / "checkpoint.pt").is_file()
        if earlier and not self.resume:
            raise InputError(f"{self.out} holds an earlier run: go on with --resume, or choose another folder.")
        if self.resume and not earlier:
            raise InputError(f"There is no checkpoint in {self.out} to resume from: run without --resume first.")

    def _check_start(self, kind: Kind, start: str | Path | None) -> tuple[Preset, WeightsInfo | None]:
        preset = get_preset(self.preset or "compact")
        if kind in ("segmenter", "morphology", "orienter", "views", "deeprecon"):
            if start is not None:
                name = KIND_WORDS.get(kind, "DeepRecon")
                name = name[0].upper() + name[1:]
                raise InputError(f"{name} starts from nothing; got the weights {start}: leave them out.")
            return preset, None
        grows = kind == "autoencoder"
        info = describe(find(start or ("compact" if grows else "aligned")))
        if grows and not preset.denoiser.surroundings:
            if info.kind != "autoencoder":
                require_kind(info, "morphology")
            if info.preset.segmenter != preset.segmenter:
                raise InputError(
                    f"The E_mor in {info.path} is not of preset {preset.name}: train one with that preset."
                )
            return preset, info
        require_kind(info, "autoencoder")
        if grows:
            same = replace(info.preset.denoiser, surroundings=True) == preset.denoiser
            if not same or (info.preset.segmenter, info.preset.encoder) != (preset.segmenter, preset.encoder):
                raise InputError(f"The autoencoder in {info.path} has not the sizes of preset {preset.name}.")
            return preset, info
        if self.preset is not None and preset.name != info.preset.name:
            raise InputError(
                f"{info.path} is of preset {info.preset.name}, and a {kind} keeps that; got --preset {self.preset}: "
                "leave it out."
            )
        if not info.preset.denoiser.surroundings:
            raise InputError(f"The weights in {info.path} see no surroundings: train those of preset aligned first.")
        if kind == "distillation" and info.preset == info.preset.in_one_call():
            raise InputError(
                f"The weights in {info.path} draw in one call already: give those that dmcvr train drawing made, with "
                "--autoencoder."
            )
        if kind == "labeller" and info.preset.labeller is None:
            raise InputError(
                f"The weights in {info.path} have no labeller: train an autoencoder of preset aligned first."
            )
        return info.preset, info
