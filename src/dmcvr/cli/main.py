"""`dmcvr`: one frozen dataclass a command. Heavy imports wait until a command runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg, subcommand

from dmcvr.cli.exam import Export, Inspect, Layout
from dmcvr.errors import InputError
from dmcvr.train.config import TrainConfig
from dmcvr.weights import DEFAULT

if TYPE_CHECKING:
    from dmcvr.reconstruction import Reconstruction
    from dmcvr.stages import Stages
    from dmcvr.weights import WeightsInfo

Output = Annotated[Path, arg(aliases=["-o"], help="folder to write; replaced if it is of an earlier run")]
Device = Literal["auto", "cpu", "cuda"]
METHODS_HELP = (
    "methods, separated by commas: dmcvr, nearest, linear, cubic, shape, registration; with options such as "
    "shape:labels=manual or dmcvr:steps=10:x_T=lerp; default: the protocol's own"
)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Reconstruct a synthetic exam with the bundled weights and write everything."""

    output: Output
    seed: int = 0
    """Which synthetic heart."""
    spacing: Annotated[float | None, arg(metavar="MM", help="voxel size; default: the in-plane pixel size")] = None
    steps: int | None = None
    """DDIM steps each way; default: the preset's."""
    device: Device = "auto"

    def run(self) -> None:
        from dmcvr.io.folder import check_output_folder
        from dmcvr.phantom import make_phantom
        from dmcvr.reconstruction import reconstruct

        check_output_folder(self.output)
        with _progress() as stages:
            with stages("synthetic exam"):
                stack = make_phantom(self.seed).stack
            heart = reconstruct(
                stack.without_labels(),
                spacing_mm=self.spacing,
                steps=self.steps,
                device=self.device,
                seed=self.seed,
                stages=stages,
            )
            with stages("write"):
                heart.save(self.output)
        _summary(heart, self.output)


@dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """A short-axis exam in, a 3D heart out: image, labels, meshes, measures."""

    input: Annotated[Path, arg(aliases=["-i"], help="NIfTI file, folder of DICOM, or a patient's folder")]
    output: Output
    phase: Annotated[str, arg(metavar="ED|ES|all|N", help="which phase")] = "all"
    ed: Annotated[str | None, arg(metavar="N", help="phase of end-diastole; default: found by LV volume")] = None
    es: Annotated[str | None, arg(metavar="N", help="phase of end-systole; default: found by LV volume")] = None
    method: Literal["dmcvr", "linear", "shape", "registration", "cubic", "nearest"] = "dmcvr"
    """How the gaps are filled: ours, or a plain interpolation."""
    image: Literal["sharp", "mean"] = "sharp"
    """Between the slices: as sharp as those, or what is expected there: smoother, and nearer to the truth."""
    spacing: Annotated[float | None, arg(metavar="MM", help="voxel size; default: the in-plane pixel size")] = None
    steps: int | None = None
    """DDIM steps each way; default: the preset's."""
    device: Device = "auto"
    seed: int = 0
    weights: str = DEFAULT
    """A bundled name (see dmcvr models) or a .safetensors file."""
    labels_in: Annotated[Path | None, arg(metavar="FILE", help="NIfTI labels of the acquired slices")] = None
    label_map: Literal["dmcvr", "acdc", "mnms", "ukbb"] = "dmcvr"
    """How --labels-in numbers the structures."""
    layout: Layout = "auto"
    label_format: Annotated[str, arg(metavar="A,B", help="labels as nifti, nrrd (3D Slicer)")] = "nifti,nrrd"
    mesh_format: Annotated[str, arg(metavar="A,B", help="meshes as ply, stl, glb (a cine beats in it)")] = "ply"

    def run(self) -> None:
        from dmcvr.io.folder import check_output_folder
        from dmcvr.io.write import LABEL_FORMATS
        from dmcvr.mesh import MESH_FORMATS, check_formats
        from dmcvr.reconstruction import reconstruct

        check_output_folder(self.output)
        label_formats, mesh_formats = (
            tuple(part for part in text.split(",") if part) for text in (self.label_format, self.mesh_format)
        )
        check_formats("label", label_formats, LABEL_FORMATS)
        check_formats("mesh", mesh_formats, MESH_FORMATS)
        with _progress() as stages:
            heart = reconstruct(
                self.input,
                phase=self.phase,
                ed=self.ed,
                es=self.es,
                method=self.method,
                image=self.image,
                spacing_mm=self.spacing,
                steps=self.steps,
                device=self.device,
                seed=self.seed,
                labels_in=self.labels_in,
                label_map=self.label_map,
                layout=self.layout,
                weights=self.weights,
                stages=stages,
            )
            with stages("write"):
                heart.save(self.output, label_formats=label_formats, mesh_formats=mesh_formats)
        _summary(heart, self.output)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write report.html of a folder that reconstruct wrote: one page with a 3D viewer, to look at offline."""

    folder: Positional[Path]

    def run(self) -> None:
        from dmcvr.report.page import rewrite_report

        print(f"Written: {rewrite_report(self.folder)}")


@dataclass(frozen=True, kw_only=True)
class PhantomCommand:
    """Write synthetic exams and their exact 3D truth, one ACDC-style folder each."""

    output: Annotated[Path, arg(aliases=["-o"], help="folder to write into; exams of other seeds stay")]
    number: Annotated[int, arg(aliases=["-n"], help="how many")] = 1
    seed: int = 0
    """The first exam's seed; the others count up."""
    spacing: Annotated[float, arg(metavar="MM", help="distance between slices")] = 10.0
    thickness: Annotated[float, arg(metavar="MM", help="thickness of a slice")] = 8.0
    noise: Annotated[float, arg(help="standard deviation, as a share of white")] = 0.02
    shift: Annotated[float, arg(metavar="MM", help="sideways breath-hold shift between slices (SD)")] = 0.0

    def run(self) -> None:
        from dmcvr.phantom import Scan, make_phantom, write_phantom

        if self.number < 1:
            raise InputError(f"Expected at least one exam; got -n {self.number}.")
        scan = Scan(spacing_mm=self.spacing, thickness_mm=self.thickness, noise=self.noise, shift_mm=self.shift)
        with _progress() as stages, stages("synthetic exams", self.number) as advance:
            for seed in range(self.seed, self.seed + self.number):
                write_phantom(make_phantom(seed, scan), self.output / f"phantom{seed:03d}")
                advance()
        print(f"{self.number} exam(s) written to {self.output}")


@dataclass(frozen=True, kw_only=True)
class TrainSegmenter(TrainConfig):
    """E_mor and its head, on focal + Dice: the first of the two."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('segmenter', self)}")


@dataclass(frozen=True, kw_only=True)
class TrainAutoencoder(TrainConfig):
    """E_sem and the denoiser, with a trained segmenter: writes a whole model. Preset aligned grows from compact."""

    start: Path | None = None
    """Weights of the segmenter, for preset aligned of the whole compact model; default: the bundled ones."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('autoencoder', self, start=self.start)}")


@dataclass(frozen=True, kw_only=True)
class TrainLabeller(TrainConfig):
    """The labeller of drawn slices, for an autoencoder of preset aligned: writes a whole model."""

    autoencoder: Path | None = None
    """The autoencoder's weights; default: the bundled ones."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('labeller', self, start=self.autoencoder)}")


@dataclass(frozen=True, kw_only=True)
class TrainDrawing(TrainConfig):
    """Slices that look like true ones, for an autoencoder of preset aligned: writes a whole model."""

    autoencoder: Path | None = None
    """The autoencoder's weights; default: the bundled ones."""

    def run(self) -> None:
        from dmcvr.train.run import train

        print(f"Weights written to {train('drawing', self, start=self.autoencoder)}")


@dataclass(frozen=True, kw_only=True)
class TrainPack:
    """Pack a folder's training slices into one file, to carry to another machine."""

    data: Path
    out: Path
    """The .npz file to write."""
    split: Path | None = None
    """Leave out the validation patients of this split; default: the bundled one."""

    def run(self) -> None:
        from dmcvr.train.data import load_training_set
        from dmcvr.train.split import BUNDLED_SPLIT, Split

        split = Split.read(self.split or BUNDLED_SPLIT)
        packed = load_training_set(self.data, (*split.train, *split.development))
        packed.save(self.out)
        print(f"{len(packed)} slices written to {self.out}")


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
    device: Device = "auto"
    weights: str = DEFAULT

    def run(self) -> None:
        from dmcvr.evaluate.run import evaluate

        with _progress() as stages:
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
    device: Device = "auto"
    weights: str = DEFAULT

    def run(self) -> None:
        import json

        from dmcvr.benchmark import benchmark, table

        if self.output is not None and not self.output.absolute().parent.is_dir():
            raise InputError(f"There is no folder {self.output.absolute().parent} to write {self.output.name} into.")
        with _progress() as stages:
            found = benchmark(weights=self.weights, device=self.device, stages=stages)
        print(table(found))
        if self.output is not None:
            self.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the presets and the bundled weights."""

    def run(self) -> None:
        from dmcvr.presets import PRESETS
        from dmcvr.weights import bundled

        width = max(map(len, PRESETS))
        print("Presets:")
        for preset in PRESETS.values():
            print(f"  {preset.name:{width}} {preset.size} px, {preset.steps} steps each way; {preset.about}")
        print("Bundled weights:")
        for info in bundled():
            size = info.path.stat().st_size / 2**20
            print(f"  {info.path.stem:{width}} {info.kind}, {size:.1f} MiB, {_trained(info)}")
            print(f"  {'':{width}} sha256 {info.sha256}")


def _trained(info: WeightsInfo) -> str:
    steps = " + ".join(f"{stage['steps']:,}" for stage in info.stages)
    minutes = sum(stage["minutes"] for stage in info.stages)
    last = info.stages[-1]
    return f"trained on {last['data']} ({last['patients']} patients): {steps} steps in {minutes:.0f} minutes"


Command = (
    Annotated[Demo, subcommand("demo", prefix_name=False)]
    | Annotated[Reconstruct, subcommand("reconstruct", prefix_name=False)]
    | Annotated[Inspect, subcommand("inspect", prefix_name=False)]
    | Annotated[Export, subcommand("export", prefix_name=False)]
    | Annotated[Report, subcommand("report", prefix_name=False)]
    | Annotated[PhantomCommand, subcommand("phantom", prefix_name=False)]
    | Annotated[
        Annotated[TrainSegmenter, subcommand("segmenter", prefix_name=False)]
        | Annotated[TrainAutoencoder, subcommand("autoencoder", prefix_name=False)]
        | Annotated[TrainLabeller, subcommand("labeller", prefix_name=False)]
        | Annotated[TrainDrawing, subcommand("drawing", prefix_name=False)]
        | Annotated[TrainPack, subcommand("pack", prefix_name=False)],
        subcommand("train", prefix_name=False, description="Train a segmenter, then an autoencoder."),
    ]
    | Annotated[Evaluate, subcommand("evaluate", prefix_name=False)]
    | Annotated[Benchmark, subcommand("benchmark", prefix_name=False)]
    | Annotated[Models, subcommand("models", prefix_name=False)]
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: exit 0 on success, 2 with one sentence on bad input, 130 on an interrupt."""
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
        sys.exit(2)
    except KeyboardInterrupt:
        print("dmcvr: interrupted, nothing was written.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _progress() -> Iterator[Stages]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from dmcvr.stages import Stages

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Stages()
        return
    columns = (TextColumn("{task.description:>16}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield Stages(progress)


def _summary(heart: Reconstruction, folder: Path) -> None:
    """The numbers a person looks for first."""
    from rich.console import Console
    from rich.table import Table

    numbers, run = heart.measures, heart.run
    table = Table("phase", "LV cavity mL", "LV mass g", "RV cavity mL", title="Dense volume (slice summation)")
    chosen = [numbers[key] for key in ("ed_phase", "es_phase") if numbers[key] is not None]
    for phase in chosen or run["phases"]:
        dense, summed = (numbers[kind]["phases"][phase] for kind in ("dense_volume", "slice_summation"))
        keys = ("lv_cavity_ml", "lv_mass_g", "rv_cavity_ml")
        table.add_row(phase, *(f"{dense[key]:.1f} ({summed[key]:.1f})" for key in keys))
    console = Console()
    console.print(table)
    if len(run["phases"]) > len(chosen) > 0:
        text = f"ED is phase {chosen[0]}, ES is phase {chosen[1]}, of {len(run['phases'])}"
        console.print(f"{text}: {numbers['ed_es_chosen_by']}", highlight=False)
    for side in ("lv", "rv"):
        function = numbers["dense_volume"].get(side)
        if function and function["ef_percent"] is not None:
            text = f"{side.upper()}: EDV {function['edv_ml']:.0f} mL, ESV {function['esv_ml']:.0f} mL"
            console.print(f"{text}, EF {function['ef_percent']:.0f} %", highlight=False)
    if run["source"]:
        print(run["source"]["summary"])
    for warning in run["warnings"]:
        print(f"Note: {warning}", file=sys.stderr)
    looks = [flag for flag in run["flags"] if flag["level"] == "look"]
    for flag in looks:
        print(f"Look: {flag['name']}. {flag['text']}", file=sys.stderr)
    print(f"Written to {folder}: open {folder / 'report.html'} (research software, not a medical device)")
