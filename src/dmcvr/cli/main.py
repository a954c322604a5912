"""`dmcvr`: one frozen dataclass a command. Heavy imports wait until a command runs."""

from __future__ import annotations

import os
import platform
import signal
import sys
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import tyro
from tyro.conf import subcommand

from dmcvr.cli.bids import Bids
from dmcvr.cli.cohort import CohortCommand
from dmcvr.cli.evaluate import Benchmark, Evaluate
from dmcvr.cli.exam import Export, Inspect
from dmcvr.cli.phantom import PhantomCommand
from dmcvr.cli.reconstruct import Demo, Reconstruct, Report
from dmcvr.cli.train import (
    TrainAutoencoder,
    TrainDeeprecon,
    TrainDistillation,
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
from dmcvr.errors import NO_ROOM, InputError, Interrupted, OutputError


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
    | Annotated[CohortCommand, subcommand("cohort", prefix_name=False)]
    | Annotated[Bids, subcommand("bids", prefix_name=False)]
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
        | Annotated[TrainDistillation, subcommand("distillation", prefix_name=False)]
        | Annotated[TrainOrienter, subcommand("orienter", prefix_name=False)]
        | Annotated[TrainViews, subcommand("views", prefix_name=False)]
        | Annotated[TrainDeeprecon, subcommand("deeprecon", prefix_name=False)]
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
    """Entry point. Exits with 0 when done; else, after one sentence, as docs/reference.md lists it."""
    try:
        _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except InputError as error:
        _end(error.exit_status, str(error))
    except KeyboardInterrupt as interrupt:  # a training says what it saved
        known = interrupt if isinstance(interrupt, Interrupted) else Interrupted(str(interrupt))
        _end(known.exit_status, str(known))
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _close_stdout()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _close_stdout()
        where = f" to {error.filename}" if error.filename else ""
        _end(OutputError.exit_status, f"nothing more can be written{where} ({error.strerror}): make room.")


def _run(words: list[str]) -> None:
    if words == ["--version"]:
        from importlib.metadata import version

        print(f"dmcvr {version('dmcvr')} (torch {version('torch')}, Python {platform.python_version()})")
        return
    command: Any = tyro.cli(
        Command,
        prog="dmcvr",
        description="From the slices of a cardiac MRI exam to a 3D heart (dmcvr --version: which version this is). "
        "Research software, not a medical device.",
        args=words,
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # as a person and as a batch system stop a job: clean up
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    command.run()


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(number=number)


def _end(status: int, sentence: str) -> NoReturn:
    print(f"dmcvr: {sentence}", file=sys.stderr)
    sys.exit(status)


def _close_stdout() -> None:
    """What is left in its buffer cannot be written, and must not be tried again when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
