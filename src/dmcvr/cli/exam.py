"""`dmcvr inspect` and `dmcvr export`: what an exam's files hold, and a result in the clinic's format."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from dmcvr.errors import InputError
from dmcvr.options import LayoutName, maybe

if TYPE_CHECKING:
    from rich.table import Table

    from dmcvr.exam.source import Source

Layout = Annotated[LayoutName, arg(help="how the files lie on disk")]


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """What a file or folder holds, what of it would be reconstructed, and why the rest would not (headers only)."""

    path: Annotated[Positional[Path], arg(help="image file, folder of DICOM, patient's folder, or a zip of one")]
    layout: Layout = "auto"
    series: Annotated[
        str | None, maybe("N", help="read the stack that this series of the DICOM is part of; default: the best one")
    ] = None
    json: bool = False
    """Print JSON, as in run.json."""

    def run(self) -> None:
        from dmcvr.io.read import find_exam

        source = find_exam(self.path, layout=self.layout, series=self.series).source
        if self.json:
            json.dump(source.record(), sys.stdout, indent=2)
            print()
        else:
            print_source(source)


@dataclass(frozen=True, kw_only=True)
class Export:
    """A result folder as DICOM (image series, SEG, SR; de-identified unless told otherwise), or biv-me's points."""

    result: Annotated[Positional[Path], arg(metavar="FOLDER", help="a result of dmcvr reconstruct")]
    output: Annotated[Path, arg(aliases=["-o"], help="folder to write; replaced if it is of an earlier export")]
    to: Literal["dicom", "dicom-seg", "dicom-sr", "dicom-all", "guidepoints"] = "dicom"
    """The image; the labels; the measures as a structured report; all three in one study; or the labels' contours as
    guide points, to fit biv-me's model to."""
    source: Annotated[Path | None, maybe("FOLDER")] = None
    """Folder of the DICOM that the exam was read from, to refer to."""
    phase: Annotated[str, arg(metavar="ED|ES|all|N", help="which phase")] = "all"
    series: Annotated[str | None, maybe("N", help="of the source, as for reconstruct")] = None
    keep_identity: bool = False
    """Write the source's patient and study, for the clinic's archive."""

    def run(self) -> None:
        if self.to == "guidepoints":
            self._guidepoints()
            return
        from dmcvr.io.dicom.export import export

        export(
            self.result,
            self.output,
            to=self.to,
            source=self.source,
            phase=self.phase,
            keep_identity=self.keep_identity,
            series=self.series,
        )
        print(f"Written to {self.output} (research software, not a medical device)")

    def _guidepoints(self) -> None:
        from dmcvr.io.guidepoints import export_guidepoints

        if self.source is not None or self.keep_identity:
            raise InputError("Guide points name no patient and no source: leave out --source and --keep-identity.")
        export_guidepoints(self.result, self.output, phase=self.phase)
        print(f"Written to {self.output}: valves and apex are estimates (research software, not a medical device)")


def _choices(source: Source) -> Table:
    """The stacks to choose from."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Short-axis stacks to choose from", box=SIMPLE_HEAD)
    for name in ("taken", "option", "of", "size", "kind"):
        table.add_column(name, overflow="fold")
    for choice in source.choices:
        kind = f"{choice.kind}, described as {choice.doubt}" if choice.doubt else choice.kind
        row = ("yes" if choice.taken else "no", f"--series {choice.series}", choice.names, choice.size, kind)
        table.add_row(*(escape(cell) for cell in row), style="bold" if choice.taken else "")
    return table


def print_source(source: Source) -> None:
    """A table of the pieces; why some are left, what was passed over, what was assumed; what would be reconstructed."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Layout {source.layout} (sizes in mm)", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("taken", min_width=5)
    table.add_column("found", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for number in ("slices", "phases", "pixel", "apart", "thick"):
        table.add_column(number, justify="right", min_width=len(number))
    pieces = sorted(source.pieces, key=lambda piece: (not piece.taken, not piece.matched))
    for piece in pieces:
        pixel = "" if piece.pixel_mm is None else " x ".join(dict.fromkeys(f"{size:.3g}" for size in piece.pixel_mm))
        sizes = ("" if size is None else f"{size:.3g}" for size in (piece.spacing_mm, piece.thickness_mm))
        taken = "yes" if piece.taken else "view" if piece.matched else "no"
        row = (taken, escape(piece.name), escape(piece.kind), str(piece.slices), str(piece.phases), pixel, *sizes)
        table.add_row(*row, style="bold" if piece.taken else "")
    console = Console()
    console.print(table)
    if len(source.choices) > 1:
        console.print(_choices(source))
    lines = [f"{piece.name}: {piece.why}" for piece in pieces if piece.why]
    lines += [f"Passed over: {count} x {what}" for what, count in source.ignored.items()]
    lines += [f"Note: {note}" for note in source.notes]
    for line in [*lines, source.verdict()]:
        print(line)
