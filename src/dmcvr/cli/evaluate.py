"""`dmcvr evaluate` and `dmcvr benchmark`: what is claimed, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dmcvr.cli.terminal import Device, LogJson
from dmcvr.evaluate.settings import Settings
from dmcvr.io.folder import check_output_file
from dmcvr.options import DEFAULT_WEIGHTS, maybe
from dmcvr.progress import shown_progress


@dataclass(frozen=True, kw_only=True)
class Evaluate(Settings):
    """Measure methods against held-out truth: the tables of the documentation."""

    log_json: LogJson = None

    def run(self) -> None:
        with shown_progress(log_json=self.log_json) as stages:
            self.check()
            from dmcvr.evaluate.run import run

            evaluation = run(self, stages=stages)
        print(evaluation.markdown(whole=False))
        if self.output is not None:
            print(f"\nAll tables, rows and pictures are in {self.output}")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Time every stage, and compare with the published pipeline: ratios of one run."""

    output: Annotated[Path | None, maybe("FILE", aliases=["-o"], help="JSON file to write; default: none")] = None
    device: Device = "auto"
    weights: Annotated[str, arg(metavar="NAME|FILE", help="a bundled name, or a .safetensors file")] = DEFAULT_WEIGHTS
    log_json: LogJson = None

    def run(self) -> None:
        import json

        with shown_progress(log_json=self.log_json) as stages:
            if self.output is not None:
                check_output_file(self.output)
            from dmcvr.evaluate.benchmark import benchmark
            from dmcvr.evaluate.benchmark_table import table

            found = benchmark(weights=self.weights, device=self.device, stages=stages)
        print(table(found))
        if self.output is not None:
            self.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
