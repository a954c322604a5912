"""`dmcvr evaluate` and `dmcvr benchmark`: what is claimed, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dmcvr.cli.terminal import shown_progress
from dmcvr.errors import InputError
from dmcvr.options import DEFAULT_WEIGHTS, DeviceName

METHODS_HELP = (
    "methods, separated by commas: dmcvr, nearest, linear, cubic, shape, registration; with options such as "
    "shape:labels=manual or dmcvr:steps=10:x_T=lerp; default: the protocol's own"
)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure methods against held-out truth: the tables of the documentation."""

    protocol: Positional[
        Literal["held-out", "phantom", "long-axis", "segmentation", "clinical", "round-trip", "ablation", "cine"]
    ]
    data: Path | None = None
    """ACDC-style folder with manual labels; long-axis: M&Ms-2 patients, or none for synthetic exams; cine: 4D exams."""
    output: Annotated[
        Path | None, arg(aliases=["-o"], help="folder for rows, tables and pictures; goes on if interrupted")
    ] = None
    methods: Annotated[str | None, arg(metavar="A,B,C", help=METHODS_HELP)] = None
    patients: Literal["validation", "development", "all"] = "validation"
    """Of the split; all: those that were not trained on."""
    split: Path | None = None
    keep_every: Annotated[int, arg(metavar="N", help="held-out, ablation: one slice in N is kept")] = 2
    exams: int = 6
    """phantom, long-axis: how many synthetic hearts."""
    steps: int | None = None
    """DDIM steps each way; default: the preset's."""
    device: DeviceName = "auto"
    weights: str = DEFAULT_WEIGHTS

    def run(self) -> None:
        from dmcvr.evaluate.run import evaluate

        with shown_progress() as stages:
            evaluation = evaluate(
                self.protocol,
                self.data,
                methods=tuple(self.methods.split(",")) if self.methods else None,
                output=self.output,
                patients=self.patients,
                split=self.split,
                keep_every=self.keep_every,
                exams=self.exams,
                steps=self.steps,
                device=self.device,
                weights=self.weights,
                stages=stages,
            )
        print(evaluation.markdown(whole=False))
        if self.output is not None:
            print(f"\nAll tables, rows and pictures are in {self.output}")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Time every stage, and compare with the published pipeline: ratios of one run."""

    output: Annotated[Path | None, arg(aliases=["-o"], help="JSON file to write")] = None
    device: DeviceName = "auto"
    weights: str = DEFAULT_WEIGHTS

    def run(self) -> None:
        import json

        from dmcvr.evaluate.benchmark import benchmark, table

        if self.output is not None and not self.output.absolute().parent.is_dir():
            raise InputError(f"There is no folder {self.output.absolute().parent} to write {self.output.name} into.")
        with shown_progress() as stages:
            found = benchmark(weights=self.weights, device=self.device, stages=stages)
        print(table(found))
        if self.output is not None:
            self.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
