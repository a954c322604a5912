"""`dmcvr inspect`: what a path holds and what of it would be taken."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from dmcvr.source import Source

Layout = Annotated[
    Literal["auto", "nifti", "acdc", "mnms", "mnms2", "ukbb", "nnunet", "sunnybrook", "dicom"],
    arg(help="how the files lie on disk"),
]


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """What a file or folder holds, what of it would be reconstructed, and why the rest would not (headers only)."""

    path: Positional[Path]
    layout: Layout = "auto"
    json: bool = False
    """Print JSON, as in run.json."""

    def run(self) -> None:
        from dmcvr.io.read import find_exam

        source = find_exam(self.path, layout=self.layout).source
        if self.json:
            json.dump(source.record(), sys.stdout, indent=2)
            print()
        else:
            print_source(source)


def print_source(source: Source) -> None:
    """A table of the pieces, then why some are left, what was passed over, and what was assumed."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Layout {source.layout}", box=SIMPLE_HEAD)
    table.add_column("taken")
    table.add_column("found", overflow="fold")
    table.add_column("kind", overflow="fold")
    for number in ("slices", "phases", "pixel mm", "apart mm", "thick mm"):
        table.add_column(number, justify="right")
    pieces = sorted(source.pieces, key=lambda piece: not piece.taken)
    for piece in pieces:
        pixel = "" if piece.pixel_mm is None else " x ".join(f"{size:.3g}" for size in piece.pixel_mm)
        sizes = ("" if size is None else f"{size:.3g}" for size in (piece.spacing_mm, piece.thickness_mm))
        taken = "yes" if piece.taken else "no"
        row = (taken, escape(piece.name), escape(piece.kind), str(piece.slices), str(piece.phases), pixel, *sizes)
        table.add_row(*row, style="bold" if piece.taken else "")
    console = Console()
    console.print(table)
    lines = [f"{piece.name}: {piece.why}" for piece in pieces if piece.why]
    lines += [f"Passed over: {count} x {what}" for what, count in source.ignored.items()]
    lines += [f"Note: {note}" for note in source.notes]
    for line in lines:
        console.print(line, highlight=False, markup=False)
