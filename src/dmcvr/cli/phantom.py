"""`dmcvr phantom`: synthetic exams with their exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from dmcvr.cli.terminal import LogJson
from dmcvr.errors import InputError
from dmcvr.progress import shown_progress


@dataclass(frozen=True, kw_only=True)
class PhantomCommand:
    """Write synthetic exams and their exact 3D truth, one ACDC-style folder each."""

    output: Annotated[Path, arg(aliases=["-o"], help="folder to write into; exams of other seeds stay")]
    number: Annotated[int, arg(metavar="N", aliases=["-n"], help="how many")] = 1
    seed: Annotated[int, arg(metavar="N", help="the first exam's seed; the others count up")] = 0
    spacing: Annotated[float, arg(metavar="MM", help="distance between slices")] = 10.0
    thickness: Annotated[float, arg(metavar="MM", help="thickness of a slice")] = 8.0
    noise: Annotated[float, arg(metavar="SHARE", help="standard deviation, as a share of white")] = 0.02
    shift: Annotated[float, arg(metavar="MM", help="sideways breath-hold shift of slices and views (SD an axis)")] = 0.0
    phases: Annotated[int, arg(metavar="P", help="2: ED and ES; more: a cine with so many phases")] = 2
    modality: Literal["mri", "ct"] = "mri"
    """Balanced SSFP, or CT with contrast agent, in Hounsfield units."""
    long_axis: Annotated[bool, arg(help="2-, 3-, 4-chamber and outflow views as well")] = True
    log_json: LogJson = None

    def run(self) -> None:
        from dmcvr.phantom import Scan, make_phantom, write_phantom

        if self.number < 1:
            raise InputError(f"Expected at least one exam; got -n {self.number}.")
        scan = Scan(
            spacing_mm=self.spacing,
            thickness_mm=self.thickness,
            noise=self.noise,
            shift_mm=self.shift,
            phases=self.phases,
            modality=self.modality,
            long_axis=self.long_axis,
        )
        with shown_progress(log_json=self.log_json) as stages, stages("synthetic exams", self.number) as advance:
            for seed in range(self.seed, self.seed + self.number):
                write_phantom(make_phantom(seed, scan), self.output / f"phantom{seed:03d}")
                advance()
        print(f"{self.number} exam(s) written to {self.output}")
