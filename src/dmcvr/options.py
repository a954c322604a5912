"""What a reconstruction can be told: one source for the API, the command line and the run's record. No torch here.

The names that people choose from are listed here, each once; readers, methods and writers register under them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from tyro.conf import arg

from dmcvr.errors import InputError
from dmcvr.exam.structures import check_label_map

#: How an exam's files lie on disk.
LayoutName = Literal["auto", "nifti", "acdc", "mnms", "mnms2", "ukbb", "bids", "nnunet", "sunnybrook", "dicom"]

#: How the gaps between slices are filled.
MethodName = Literal["dmcvr", "published", "deeprecon", "registration", "shape", "linear", "cubic", "nearest"]

#: Between the slices: as sharp as those, or what is expected there.
ImageKind = Literal["sharp", "mean", "warped"]

#: In which gaps the labeller corrects the mixture of the neighbours' labels. Across narrow ones it knows no better.
LabellerUse = Literal["wide", "all", "none"]

#: What neighbouring slices are aligned by: grey values and labels (ours), or grey values alone (ITK's demons).
AlignBy = Literal["labels", "grey"]

#: Slices that lie in another breath-hold than the others: left there, or slid where the evidence says so.
AlignSlices = Literal["off", "auto"]

#: Whether what the slices do not show of the heart is completed: a closed apex, a base that ends at its valves.
Complete = Literal["auto", "off"]

#: Long-axis views of the same exam: used where there are any, or left out.
ViewsUse = Literal["auto", "off"]

#: Of the patient, as normal ranges tell them apart.
Sex = Literal["F", "M"]

#: Of a person, from a newborn on.
HEIGHTS_CM, WEIGHTS_KG = (30.0, 250.0), (1.0, 400.0)

DeviceName = Literal["auto", "cpu", "cuda", "mps"]

LabelFormat = Literal["nifti", "nrrd"]
MeshFormat = Literal["ply", "stl", "vtp", "glb"]

#: What of a result is written, beside the run's record; read again as a whole it can only be with all of it.
Kept = Literal["image", "labels", "acquired", "measures", "meshes", "report"]

KEPT: tuple[Kept, ...] = get_args(Kept)
LABEL_FORMATS: tuple[LabelFormat, ...] = get_args(LabelFormat)
MESH_FORMATS: tuple[MeshFormat, ...] = get_args(MeshFormat)

#: Voxels of the dense grid are between these sizes, in mm.
SPACING_LIMITS_MM = (0.4, 10.0)

#: Intervals are calibrated between these levels: beyond, too few exams tell.
LEVEL_LIMITS = (0.5, 0.95)

#: The bundled weights of each method that has networks of its own; the others use the default's segmenter, and so does
#: DeepRecon, whose generator stands beside it.
BUNDLED = {"dmcvr": "aligned", "published": "compact", "deeprecon": "deeprecon"}
DEFAULT_WEIGHTS = BUNDLED["dmcvr"]

#: The bundled segmenter of acquired slices.
DEFAULT_SEGMENTER = "segmenter"


#: No exam has so many phases.
MOST_PHASES = 10_000

#: The phases of the heartbeat that have names: given ones, or found by the LV's volume over all phases.
NAMED_PHASES = ("ED", "ES")


def maybe(metavar: str, **others: Any) -> Any:
    """How the command line takes a value that need not be given; its help says itself what is done without."""
    return arg(metavar=metavar, help_behavior_hint="", **others)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an exam is reconstructed. Nothing here seeds anything: the same exam and options give the same result."""

    phase: Annotated[str, arg(metavar="all|ED,ES|3,7|0-9")] = "all"
    """Which phases, by name, or number from 0. A cine's ED and ES are found: all are segmented, two reconstructed."""
    ed: Annotated[str | None, maybe("N")] = None
    """Phase of end-diastole; default: the one named so, else found by LV volume."""
    es: Annotated[str | None, maybe("N")] = None
    """Phase of end-systole; default: the one named so, else found by LV volume."""
    method: MethodName = "dmcvr"
    """How the gaps are filled: ours, the paper's way (published), what that was compared with (deeprecon), or a plain
    interpolation."""
    image: ImageKind = "sharp"
    """Between the slices: as sharp as those; what is expected there (mean): smoother, and nearer to the truth; or the
    aligned neighbours' mean, without the network (warped): fastest, and the labels are the same."""
    complete: Complete = "auto"
    """Close the apex and end the base at its valves, as an estimate where no slice shows it; or leave both open."""
    align_slices: AlignSlices = "auto"
    """Slide slices into one breath-hold, where grey values and labels say that they lie in another; or leave them."""
    intervals: bool = True
    """Say how sure the measures and labels are: intervals, and a map of how likely each label is to be another."""
    level: Annotated[float, arg(metavar="0..1")] = 0.9
    """The share of hearts whose true value is meant to lie in an interval."""
    draws: Annotated[int, arg(metavar="N")] = 0
    """Draw the slices so often from other noise (published), and write the images' mean and standard deviation, too."""
    long_axis: Annotated[ViewsUse, arg(name="views")] = "auto"
    """Let the exam's own long-axis views tell where slices lie and, with --complete, the shape; or leave them out."""
    spacing_mm: Annotated[float | None, maybe("MM", name="spacing")] = None
    """Voxel size in mm; default: the in-plane pixel size."""
    steps: Annotated[int | None, maybe("N")] = None
    """DDIM steps each way, or deeprecon's of its search; default: what the weights were trained for, or 100."""
    device: DeviceName = "auto"
    """Where the networks run."""
    labels_in: Annotated[Path | None, maybe("PATH")] = None
    """Labels of the acquired slices: an image, 3D Slicer's segmentation (.seg.nrrd; a folder of one a phase), or
    contours (a cvi42 workspace, a folder of Sunnybrook's)."""
    label_map: Annotated[str | None, maybe("NAME|1=rv,...")] = None
    """How --labels-in numbers the structures: dmcvr, acdc, mnms, ukbb, or as in 1=rv,2=myo,3=lv,4=ignore; of segments,
    their names, as in Segment_1=rv; default: by the segments' names; else as the exam's layout does, else dmcvr (1 LV
    cavity, 2 myocardium, 3 RV)."""
    sex: Annotated[Sex | None, maybe("F|M")] = None
    """Of the patient, where the exam does not say: for normal ranges."""
    height_cm: Annotated[float | None, maybe("CM")] = None
    """Of the patient, where the exam does not say; with the weight, sizes are given over body surface area as well."""
    weight_kg: Annotated[float | None, maybe("KG")] = None
    """Of the patient, where the exam does not say."""
    allow_empty: bool = False
    """Write a result even where no heart is seen in the slices; else that is an error (exit status 3)."""
    unmirror: bool = False
    """Where the file's frame mirrors the heart (as in ACDC): write everything in one that does not."""
    layout: LayoutName = "auto"
    """How the exam's files lie on disk."""
    series: Annotated[str | None, maybe("N")] = None
    """Of DICOM: read the stack that this series is part of, as dmcvr inspect numbers it; default: the best one."""
    weights: Annotated[str | None, maybe("NAME|FILE")] = None
    """A bundled name (see dmcvr models) or a .safetensors file; default: the bundled ones of the method."""
    segmenter: Annotated[str | None, maybe("NAME|FILE|none")] = None
    """What labels acquired slices; none: the head of the weights' own E_mor; default: the bundled one beside bundled
    weights, else none."""

    def check(self) -> None:
        """Raise `InputError` for a value that is none of the choices, or for two that exclude each other."""
        for name, kind in CHOICES.items():
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), get_args(kind))
        wanted_phases(self.phase)
        if self.image != "sharp" and self.method != "dmcvr":
            raise InputError(f"The method {self.method} draws no {self.image}: use --image sharp, or --method dmcvr.")
        if self.draws < 0 or self.draws == 1:
            raise InputError(f"Expected --draws of 2 or more, or 0 for none; got {self.draws}.")
        if self.draws and self.method not in ("dmcvr", "published"):
            raise InputError(f"The method {self.method} draws from no noise: leave out --draws, or use --method dmcvr.")
        if self.draws and self.image == "warped":
            raise InputError("With --image warped nothing is drawn: leave out --draws, or use another --image.")
        if not LEVEL_LIMITS[0] <= self.level <= LEVEL_LIMITS[1]:
            raise InputError(f"Expected a --level of {LEVEL_LIMITS[0]} to {LEVEL_LIMITS[1]}; got {self.level:g}.")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"Expected --steps of 1 or more; got {self.steps}.")
        low, high = SPACING_LIMITS_MM
        if self.spacing_mm is not None and not low <= self.spacing_mm <= high:
            raise InputError(f"Expected a spacing of {low:g} to {high:g} mm; got {self.spacing_mm:g}.")
        for name, unit, (low, high) in (("height_cm", "cm", HEIGHTS_CM), ("weight_kg", "kg", WEIGHTS_KG)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(
                    f"Expected --{name.replace('_', '-')} of {low:g} to {high:g} {unit}; got {value:g}: check the unit."
                )
        if self.labels_in is not None and not Path(self.labels_in).exists():
            raise InputError(f"There is no file or folder {self.labels_in} with labels (--labels-in): check the path.")
        if self.label_map is not None:
            check_label_map(self.label_map)
            if self.labels_in is None:
                raise InputError("--label-map says how --labels-in numbers the structures: give both, or neither.")
        if self.ed is not None and self.ed == self.es:
            raise InputError(f"End-diastole and end-systole cannot both be phase {self.ed}: change --ed or --es.")

    @property
    def weights_name(self) -> str:
        """The autoencoder that is used: the one asked for, else the bundled one of the method."""
        if self.method == "deeprecon":
            return DEFAULT_WEIGHTS
        return str(self.weights) if self.weights is not None else BUNDLED.get(self.method, DEFAULT_WEIGHTS)

    @property
    def generator_name(self) -> str | None:
        """The generator that is used: the one asked for, else the bundled one; None: the method needs none."""
        if self.method != "deeprecon":
            return None
        return str(self.weights) if self.weights is not None else BUNDLED["deeprecon"]

    def record(self) -> dict[str, Any]:
        """As run.json keeps them: no path, for a path can name a person, and nothing of the patient."""
        hidden = ("labels_in", "weights", "segmenter", "sex", "height_cm", "weight_kg")
        return {f.name: getattr(self, f.name) for f in fields(Options) if f.name not in hidden}


#: The fields that are a choice from a list.
CHOICES: dict[str, Any] = {
    "method": MethodName,
    "image": ImageKind,
    "complete": Complete,
    "align_slices": AlignSlices,
    "long_axis": ViewsUse,
    "device": DeviceName,
    "layout": LayoutName,
    "sex": Sex,
}


def wanted_phases(text: str) -> tuple[str, ...] | None:
    """The phases of "ED,ES", "3,7" or "0-9", each once, as they are named; None for all of them.

    Raises `InputError` for what names none.
    """
    if text == "all":
        return None
    names: list[str] = []
    for part in str(text).split(","):
        first, dash, last = part.strip().partition("-")
        if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last) < MOST_PHASES:
            names += map(str, range(int(first), int(last) + 1))
        elif not part.strip() or part.strip() == "all" or (dash and first.isdecimal()):
            raise InputError(f"Expected --phase as all, ED,ES, 3,7 or 0-9; got {text!r}.")
        else:
            names.append(part.strip())
    return tuple(dict.fromkeys(names))


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise `InputError`, naming the option, unless the value is one of those allowed."""
    if value not in allowed:
        raise InputError(f"Unknown {name.replace('_', ' ')} {value!r}: choose one of {', '.join(allowed)}.")


def chosen_formats(kind: str, given: str | Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """The formats of "ply,stl" or ("ply", "stl"); "none" alone, or nothing, for none of them.

    Raises `InputError` for a format that is not written.
    """
    parts = [part for part in (given.split(",") if isinstance(given, str) else given) if part]
    for part in parts:
        check_choice(f"{kind} format", part, (*allowed, "none"))
    if "none" in parts and len(parts) > 1:
        raise InputError(f"Expected {kind} formats, or none alone; got {', '.join(parts)}.")
    return tuple(dict.fromkeys(part for part in parts if part != "none"))
