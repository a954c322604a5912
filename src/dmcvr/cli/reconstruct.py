"""`dmcvr reconstruct`, `demo` and `report`: the main job, and its page anew."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from dmcvr.cli.terminal import Device, LogJson, Output, Steps, quick_imports
from dmcvr.errors import InputError
from dmcvr.options import LABEL_FORMATS, MESH_FORMATS, Options, chosen_formats, maybe, wanted_phases
from dmcvr.progress import clock, shown_progress

if TYPE_CHECKING:
    from rich.console import Console

    from dmcvr.io.exam import Exam
    from dmcvr.reconstruction import Reconstruction
    from dmcvr.stages import Stages

#: Room (MiB) that the results of one phase take at most, at the usual voxel sizes.
ROOM_MIB_A_PHASE = 24


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Reconstruct a synthetic exam with the bundled weights and write everything."""

    output: Output
    seed: Annotated[int, arg(metavar="N", help="which synthetic heart")] = 0
    spacing: Annotated[float | None, maybe("MM", help="voxel size; default: the in-plane pixel size")] = None
    steps: Steps = None
    device: Device = "auto"
    log_json: LogJson = None

    def run(self) -> None:
        with shown_progress(log_json=self.log_json) as stages:
            heart = self._made(stages)
        print_summary(heart, self.output, stages.now().seconds)

    def _made(self, stages: Stages) -> Reconstruction:
        options = Options(spacing_mm=self.spacing, steps=self.steps, device=self.device)
        with stages("start"):
            check_before(options, self.output, phases=2)
            with quick_imports():
                from dmcvr.phantom import make_phantom
                from dmcvr.reconstruction import reconstruct

        stages.expect(["write"])
        with stages("synthetic exam"):
            stack = make_phantom(self.seed).stack
        heart = reconstruct(stack.without_labels(), options, stages=stages)
        with stages("write"):
            heart.save(self.output)
        return heart


@dataclass(frozen=True, kw_only=True)
class Reconstruct(Options):
    """A short-axis exam in, a 3D heart out: image, labels, meshes, measures."""

    input: Annotated[Path, arg(aliases=["-i"], help="image file, folder of DICOM, patient's folder, or a zip of one")]
    output: Output
    label_format: Annotated[str, arg(metavar="A,B", help="labels as nifti, nrrd (3D Slicer), or none")] = "nifti,nrrd"
    mesh_format: Annotated[str, arg(metavar="A,B", help="meshes as ply, stl, vtp, glb (a beating cine), or none")] = (
        "ply"
    )
    case: Annotated[str | None, maybe("NAME", help="what measures.csv calls the exam; default: the folder's name")] = (
        None
    )
    log_json: LogJson = None

    def run(self) -> None:
        with shown_progress(log_json=self.log_json) as stages:
            heart = self._made(stages)
        print_summary(heart, self.output, stages.now().seconds)

    def _made(self, stages: Stages) -> Reconstruction:
        with stages("start"):
            label_formats = chosen_formats("label", self.label_format, LABEL_FORMATS)
            mesh_formats = chosen_formats("mesh", self.mesh_format, MESH_FORMATS)
            check_before(self, self.output)
            with quick_imports():
                exam = check_exam(self, self.input, self.output)
                from dmcvr.reconstruction import reconstruct

        stages.expect(["write"])
        heart = reconstruct(exam, self, stages=stages)
        with stages("write"):
            heart.save(self.output, label_formats=label_formats, mesh_formats=mesh_formats, case=self.case)
        return heart


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write report.html of a folder that reconstruct wrote: one page with a 3D viewer, to look at offline."""

    folder: Annotated[Positional[Path], arg(metavar="FOLDER", help="a result of dmcvr reconstruct")]

    def run(self) -> None:
        from dmcvr.report.page import rewrite_report

        print(f"Written: {rewrite_report(self.folder)}")


def check_before(options: Options, output: Path, *, phases: int = 1) -> None:
    """Raise `InputError` for options, weights and a folder that cannot be used: before any work, in an instant."""
    from dmcvr.io.folder import check_kept, check_output_folder

    options.check()
    if options.labels_in is not None:
        check_kept(options.labels_in, output)
    check_output_folder(output, room_mib=ROOM_MIB_A_PHASE * phases)
    check_weights(options)


def check_weights(options: Options) -> None:
    """Raise `InputError` for weights that are not there, of another kind, or that cannot draw what is asked for."""
    from dmcvr.model.weights import describe, find, require_kind

    preset = require_kind(describe(find(options.weights_name)), "autoencoder", " (--weights)").preset
    if options.segmenter not in (None, "none"):
        require_kind(describe(find(options.segmenter)), "segmenter", " (--segmenter)")
    if options.generator_name is not None:
        advice = " (--weights): train one with dmcvr train deeprecon"
        require_kind(describe(find(options.generator_name)), "generator", advice)
        return
    preset.check_drawing(
        steps=preset.steps if options.steps is None else options.steps,
        start=preset.start,
        image=options.image,
        draws=options.draws,
    )


def check_exam(options: Options, source: Path, output: Path) -> Exam:
    """The exam, not read yet; raises `InputError` for a phase that it lacks, and where there is no room for it."""
    from dmcvr.io.folder import check_kept, check_output_folder
    from dmcvr.io.read import find_exam

    check_kept(source, output)
    exam = find_exam(source, layout=options.layout, series=options.series)
    phases = sum(piece.phases for piece in exam.source.pieces if piece.taken)
    wanted = wanted_phases(options.phase)
    for name, given in (("phase", wanted or ()), ("ed", (options.ed,)), ("es", (options.es,))):
        for number in given:
            if number is not None and number.isdecimal() and int(number) >= phases > 0:
                raise InputError(f"Phase {number} (--{name}) is not in this exam: it has {phases}, counted from 0.")
    check_output_folder(output, room_mib=ROOM_MIB_A_PHASE * (phases if wanted is None else len(wanted)))
    return exam


def print_summary(heart: Reconstruction, folder: Path, seconds: float) -> None:
    """The numbers a person looks for first."""
    from rich.console import Console
    from rich.table import Table

    numbers, run = heart.measures, heart.run
    table = Table("phase", "LV cavity mL", "LV mass g", "RV cavity mL", title="Dense volume (slice summation)")
    marked = {key.upper(): numbers[f"{key}_phase"] for key in ("ed", "es") if numbers[f"{key}_phase"] is not None}
    chosen = [phase for phase in marked.values() if phase in run["phases"]]
    for phase in chosen or run["phases"]:
        dense, summed = (numbers[kind]["phases"][phase] for kind in ("dense_volume", "slice_summation"))
        keys = ("lv_cavity_ml", "lv_mass_g", "rv_cavity_ml")
        table.add_row(phase, *(f"{dense[key]:.1f} ({summed[key]:.1f})" for key in keys))
    console = Console()
    console.print(table)
    if any(name != phase for name, phase in marked.items()):
        text = ", ".join(f"{name} is phase {phase}" for name, phase in marked.items())
        print(f"{text}, of {len(run['phases_segmented'])}: {numbers['ed_es_chosen_by']}")
    _print_function(console, numbers)
    if run["quality"]:
        print(f"Verdict: {run['quality']['verdict']}. {run['quality']['why']}")
    if run["source"]:
        print(run["source"]["summary"])
    for warning in run["warnings"]:
        print(f"Note: {warning}", file=sys.stderr)
    looks = [flag for flag in run["flags"] if flag["level"] == "look"]
    for flag in looks:
        print(f"Look: {flag['title']}. {flag['text']}", file=sys.stderr)
    where = f"Written to {folder} in {clock(seconds)} min"
    print(f"{where}: open {folder / 'report.html'} (research software, not a medical device)")


def _print_function(console: Console, numbers: dict[str, Any]) -> None:
    """Volumes and ejection fractions with their intervals, and what should be one number and was measured twice."""
    both = numbers["consistency"]
    for side in ("lv", "rv"):
        function = numbers["dense_volume"].get(side)
        if function and function["ef_percent"] is not None:
            volumes = ", ".join(
                f"{name} {function[key]:.0f} mL{_interval(numbers, f'{side}_{key}')}"
                for name, key in (("EDV", "edv_ml"), ("ESV", "esv_ml"))
            )
            slices = f", by slices {both[side]['ef_slices_percent']:.0f} %" if both[side] else ""
            fraction = f"EF {function['ef_percent']:.0f} %{_interval(numbers, f'{side}_ef_percent')}{slices}"
            console.print(f"{side.upper()}: {volumes}, {fraction}", highlight=False)
    if both["mass_ed_g"] is not None:
        at_ed = f"{both['mass_ed_g']:.0f} g{_interval(numbers, 'lv_mass_g')} at ED"
        console.print(f"LV mass: {at_ed}, {both['mass_es_g']:.0f} g at ES", highlight=False)


def _interval(numbers: dict[str, Any], name: str) -> str:
    """ " (140 to 160)", or nothing where there is none."""
    found = (numbers.get("intervals") or {"measures": {}})["measures"].get(name)
    return "" if found is None else f" ({found['low']:.0f} to {found['high']:.0f})"
