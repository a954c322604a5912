"""`dmcvr`: one frozen dataclass a command. Heavy imports wait until a command runs."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from dmcvr.cli.evaluate import Benchmark, Evaluate
from dmcvr.cli.exam import Export, Inspect
from dmcvr.cli.phantom import PhantomCommand
from dmcvr.cli.reconstruct import Demo, Reconstruct, Report
from dmcvr.cli.train import (
    TrainAutoencoder,
    TrainDrawing,
    TrainLabeller,
    TrainMorphology,
    TrainOrienter,
    TrainPack,
    TrainRange,
    TrainSegmenter,
    TrainTwins,
    TrainViews,
)
from dmcvr.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the presets and the bundled weights."""

    def run(self) -> None:
        from dmcvr.model.presets import PRESETS
        from dmcvr.model.weights import bundled

        width = max(map(len, PRESETS))
        print("Presets:")
        for preset in PRESETS.values():
            print(f"  {preset.name:{width}} {preset.size} px, {preset.steps} steps each way; {preset.about}")
        print("Bundled weights:")
        for info in bundled():
            size = info.path.stat().st_size / 2**20
            print(f"  {info.path.stem:{width}} {info.kind}, {size:.1f} MiB, sha256 {info.sha256}")
            print(f"  {'':{width}} {info.history}")


Command = (
    Annotated[Demo, subcommand("demo", prefix_name=False)]
    | Annotated[Reconstruct, subcommand("reconstruct", prefix_name=False)]
    | Annotated[Inspect, subcommand("inspect", prefix_name=False)]
    | Annotated[Export, subcommand("export", prefix_name=False)]
    | Annotated[Report, subcommand("report", prefix_name=False)]
    | Annotated[PhantomCommand, subcommand("phantom", prefix_name=False)]
    | Annotated[
        Annotated[TrainSegmenter, subcommand("segmenter", prefix_name=False)]
        | Annotated[TrainMorphology, subcommand("morphology", prefix_name=False)]
        | Annotated[TrainAutoencoder, subcommand("autoencoder", prefix_name=False)]
        | Annotated[TrainLabeller, subcommand("labeller", prefix_name=False)]
        | Annotated[TrainDrawing, subcommand("drawing", prefix_name=False)]
        | Annotated[TrainOrienter, subcommand("orienter", prefix_name=False)]
        | Annotated[TrainViews, subcommand("views", prefix_name=False)]
        | Annotated[TrainPack, subcommand("pack", prefix_name=False)]
        | Annotated[TrainTwins, subcommand("twins", prefix_name=False)]
        | Annotated[TrainRange, subcommand("range", prefix_name=False)],
        subcommand("train", prefix_name=False, description="Train a segmenter; or E_mor, then an autoencoder."),
    ]
    | Annotated[Evaluate, subcommand("evaluate", prefix_name=False)]
    | Annotated[Benchmark, subcommand("benchmark", prefix_name=False)]
    | Annotated[Models, subcommand("models", prefix_name=False)]
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: exit 0 on success, 130 on an interrupt; with one sentence, 2 on bad input, 3 without a heart."""
    command: Any = tyro.cli(
        Command,
        prog="dmcvr",
        description="From the slices of a cardiac MRI exam to a 3D heart. Research software, not a medical device.",
        args=arguments,
    )
    signal.signal(signal.SIGTERM, _interrupt)  # as batch systems stop a job: clean up, as after Ctrl-C
    try:
        command.run()
        sys.stdout.flush()
    except InputError as error:
        print(f"dmcvr: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt as interrupt:  # a training says what it saved
        print(f"dmcvr: {str(interrupt) or 'interrupted, nothing was written.'}", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
