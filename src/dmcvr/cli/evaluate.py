"""`dmcvr evaluate` and `dmcvr benchmark`: what is claimed, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dmcvr.cli.terminal import Device, LogJson
from dmcvr.errors import InputError
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
    cine: Annotated[int, arg(metavar="N", help="time a whole cine of so many phases as well; 0: none")] = 0
    repeats: Annotated[int, arg(metavar="N", help="whole processes, of which the median counts")] = 1
    history: Annotated[
        Path | None,
        maybe("FILE", help="append a line to this file, and say what is slower than in its last runs; default: none"),
    ] = None
    log_json: LogJson = None

    def run(self) -> None:
        import json

        from dmcvr.evaluate import history

        if self.cine < 0 or self.cine == 1 or self.repeats < 1:
            raise InputError("Expected --cine of 2 or more phases (or 0), and --repeats of 1 or more.")
        before = history.read(self.history) if self.history else []
        with shown_progress(log_json=self.log_json) as stages:
            for file in filter(None, (self.output, self.history)):
                check_output_file(file)
            from dmcvr.evaluate.benchmark import benchmark
            from dmcvr.evaluate.benchmark_table import table

            found = benchmark(
                weights=self.weights, device=self.device, cine=self.cine, repeats=self.repeats, stages=stages
            )
        print(table(found))
        if self.output is not None:
            self.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if self.history is not None:
            line = history.entry(found)
            for sentence in history.slower(before, line):
                print(f"Slower: {sentence}")
            history.append(self.history, line)
