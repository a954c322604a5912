"""What an evaluation can be told: one source for the API and the command line. No torch here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from tyro.conf import Positional, arg

from dmcvr.errors import InputError
from dmcvr.evaluate.names import ALL, parse, untouched_by_networks
from dmcvr.io.folder import check_output_folder
from dmcvr.model.weights import describe, find, require_kind
from dmcvr.options import DEFAULT_WEIGHTS, DeviceName, check_choice, maybe

ProtocolName = Literal[
    "held-out",
    "phantom",
    "long-axis",
    "segmentation",
    "clinical",
    "round-trip",
    "ablation",
    "cine",
    "intervals",
    "reliability",
    "trust",
    "paper",
]
PatientsName = Literal["development", "validation", "unseen", "everyone"]

#: Where the cases of a protocol come from: labelled ACDC-style patients, for one else phantoms; patients with
#: long-axis views, else phantoms; phantoms; 4D exams.
Source = Literal["patients", "patients or phantoms", "views", "phantoms", "cines"]

SOURCES: dict[str, Source] = {
    "phantom": "phantoms",
    "long-axis": "views",
    "cine": "cines",
    "intervals": "patients or phantoms",
    **dict.fromkeys(
        ("held-out", "segmentation", "clinical", "round-trip", "ablation", "reliability", "trust", "paper"), "patients"
    ),
}

KEEP_EVERY, EXAMS = 2, 6

#: Protocols that leave slices out.
LEAVING_OUT: tuple[ProtocolName, ...] = ("held-out", "ablation", "reliability", "paper")

METHODS_HELP = (
    f"methods, separated by commas: {', '.join(ALL)}; with options such as shape:labels=manual or "
    "dmcvr:steps=10:x_T=lerp; default: the protocol's own"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A protocol, its cases and its contenders. What is None is the protocol's own default."""

    protocol: Annotated[Positional[ProtocolName], arg(help="what is measured: docs/results.md defines each")]
    data: Annotated[Path | None, maybe("FOLDER")] = None
    """ACDC-style folder with manual labels; long-axis: M&Ms-2 patients, or none for synthetic exams; cine: 4D exams."""
    output: Annotated[
        Path | None,
        maybe(
            "FOLDER",
            aliases=["-o"],
            help="folder for rows, tables and pictures; an interrupted run goes on, a finished one of this protocol "
            "is replaced; default: none, the tables are printed alone",
        ),
    ] = None
    methods: Annotated[str | None, maybe("A,B,C", help=METHODS_HELP)] = None
    patients: Annotated[PatientsName | None, maybe("|".join(get_args(PatientsName)))] = None
    """Of the split: development (the default), to choose by; validation, for the last look alone; unseen: all that were
    not trained on. Everyone: all, for plain methods with labels=manual, which no network touches."""
    limit: Annotated[int | None, maybe("N")] = None
    """So many of those patients, spread evenly over their list: for methods that take long; default: all."""
    split: Annotated[Path | None, maybe("FILE")] = None
    """Who was trained on; default: the bundled weights' own."""
    keep_every: Annotated[
        int | None, maybe("N", help="held-out, ablation, reliability, paper: one slice in N is kept (2)")
    ] = None
    exams: Annotated[
        int | None, maybe("N", help="phantom, long-axis, intervals, paper: how many synthetic hearts (6)")
    ] = None
    steps: Annotated[int | None, maybe("N")] = None
    """DDIM steps each way; default: the preset's."""
    device: DeviceName = "auto"
    """Where the networks run."""
    weights: Annotated[str, arg(metavar="NAME|FILE")] = DEFAULT_WEIGHTS
    """A bundled name (see dmcvr models) or a .safetensors file."""
    segmenter: Annotated[str | None, maybe("NAME|FILE|none")] = None
    """What labels acquired slices: a bundled name, a file, or none (the head of the weights' own E_mor)."""

    @property
    def source(self) -> Source:
        """Where the cases come from."""
        source = SOURCES[self.protocol]
        if source == "patients or phantoms" and self.data is not None:
            return "patients"
        return "phantoms" if source in ("views", "patients or phantoms") and self.data is None else source

    @property
    def contenders(self) -> tuple[str, ...] | None:
        """The names of the methods that are asked for."""
        return None if self.methods is None else tuple(self.methods.split(","))

    def check(self) -> None:
        """Raise `InputError` for what cannot be used, or has no meaning here: before any work is done."""
        check_choice("protocol", self.protocol, tuple(SOURCES))
        self._check_meaning()
        if self.patients is not None:
            check_choice("patients", self.patients, get_args(PatientsName))
        if (self.keep_every or KEEP_EVERY) < 2 or (EXAMS if self.exams is None else self.exams) < 1:
            given = KEEP_EVERY if self.keep_every is None else self.keep_every
            raise InputError(f"Expected --keep-every of 2 or more and at least one exam; got {given} and {self.exams}.")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"Expected --limit of 1 or more; got {self.limit}.")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"Expected --steps of 1 or more; got {self.steps}.")
        if self.data is None and self.source in ("patients", "cines"):
            what = (
                "a 4D exam: give the file, or a folder of them,"
                if self.source == "cines"
                else ("patients with manual labels: give their folder")
            )
            raise InputError(f"The protocol {self.protocol} needs {what} with --data.")
        if self.data is not None and not self.data.exists():
            raise InputError(f"There is no folder {self.data} (--data): check the path.")
        for name in self.contenders or ():
            self._check_slide(parse(name)[1].get("slide", "off"))
        if self.patients == "everyone":
            self._check_everyone()
        require_kind(describe(find(self.weights)), "autoencoder")
        if self.segmenter not in (None, "none"):
            require_kind(describe(find(self.segmenter)), "segmenter")
        if self.output is not None:
            _check_folder(self.output, self.protocol)
        packages = ("monai", "matplotlib", "torchmetrics")
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            raise InputError(f"Evaluation needs {' and '.join(missing)}: pip install 'dmcvr[evaluate]'.")

    def _check_meaning(self) -> None:
        """What is given to a protocol that would ignore it."""
        meant: dict[str, bool] = {
            "data": SOURCES[self.protocol] != "phantoms",
            "methods": self.protocol not in ("segmentation", "intervals", "reliability", "trust"),
            "patients": self.source == "patients",
            "limit": self.source == "patients",
            "split": self.source != "phantoms",
            "keep_every": self.protocol in LEAVING_OUT,
            "exams": self.source == "phantoms" or self.protocol == "paper",
        }
        for name, has_meaning in meant.items():
            if getattr(self, name) is not None and not has_meaning:
                where = " with --data" if self.protocol == "long-axis" and name == "exams" else ""
                raise InputError(
                    f"The protocol {self.protocol}{where} does not use --{name.replace('_', '-')}: leave it out."
                )

    def _check_slide(self, slide: str) -> None:
        """Slices left out of the stack lie where the scanner has them, and a view that is the truth tells nothing."""
        where = {"off": tuple(SOURCES), "auto": ("phantom", "long-axis", "clinical"), "views": ("phantom",)}[slide]
        if self.protocol not in where:
            raise InputError(f"slide={slide} is measured by {', '.join(where)}; got {self.protocol}: leave it out.")

    def _check_everyone(self) -> None:
        trained = [name for name in self.contenders or () if not untouched_by_networks(name)]
        if self.contenders is None or trained or self.protocol == "segmentation":
            raise InputError(
                "--patients everyone takes plain methods with labels=manual alone (such as --methods "
                f"shape:labels=manual,registration:labels=manual), for the networks were trained on most patients; got "
                f"{self.protocol} of {', '.join(trained) or 'its own methods'}."
            )


def settings(
    protocol: str, data: Path | None = None, *, methods: Sequence[str] | None = None, **given: Any
) -> Settings:
    """The settings that the API is given; raises `InputError` for what cannot be used."""
    chosen = Settings(
        protocol=protocol,  # type: ignore[arg-type]
        data=data,
        methods=None if methods is None else ",".join(methods),
        **given,
    )
    chosen.check()
    return chosen


def _check_folder(output: Path, protocol: str) -> None:
    """Raise `InputError` if `output` is neither new nor a finished evaluation by the same protocol."""
    check_output_folder(output)
    record = output / "run.json"
    if not record.is_file():
        return
    try:
        other = json.loads(record.read_text(encoding="utf-8")).get("protocol")
    except (ValueError, AttributeError):
        other = None
    if other != protocol:
        what = f"an evaluation by {other}" if other else "a reconstruction"
        raise InputError(f"The folder {output} holds {what}, not one by {protocol}: choose another with -o.")
