"""`dmcvr evaluate` and `dmcvr benchmark`: what is claimed, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dmcvr.cli.terminal import shown_progress
from dmcvr.errors import InputError
from dmcvr.evaluate.settings import Settings
from dmcvr.options import DEFAULT_WEIGHTS, DeviceName


@dataclass(frozen=True, kw_only=True)
class Evaluate(Settings):
    """Measure methods against held-out truth: the tables of the documentation."""

    def run(self) -> None:
        self.check()

        from dmcvr.evaluate.run import run

        with shown_progress() as stages:
            evaluation = run(self, stages=stages)
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

        from dmcvr.evaluate.benchmark import benchmark
        from dmcvr.evaluate.benchmark_table import table

        if self.output is not None and not self.output.absolute().parent.is_dir():
            raise InputError(f"There is no folder {self.output.absolute().parent} to write {self.output.name} into.")
        with shown_progress() as stages:
            found = benchmark(weights=self.weights, device=self.device, stages=stages)
        print(table(found))
        if self.output is not None:
            self.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
