"""An exam made of image files: which file holds which phases, from headers alone, and the way to its voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.source import LABELS, SHORT_AXIS, SHORT_AXIS_CINE, Piece, Size, Source
from dmcvr.exam.stack import Patient, SliceStack, same_grid
from dmcvr.exam.structures import Numbering
from dmcvr.io.exam import Exam, LongAxis
from dmcvr.io.image import ImageHeader, nifti_named, nifti_stem, read_header, read_stack
from dmcvr.io.labels import to_internal


@dataclass(frozen=True)
class Part:
    """One file of the exam.

    ========  ================================================================================================
    name      its role, as `dmcvr inspect` shows it
    path      the image file
    phases    names of the phases; None numbers them
    frames    which of a 4D file's frames those are; None means all
    labels    the file with their labels, if there is one
    ========  ================================================================================================
    """

    name: str
    path: Path
    phases: tuple[str, ...] | None = None
    frames: tuple[int, ...] | None = None
    labels: Path | None = None


@dataclass(frozen=True)
class Beside:
    """A file that lies beside the exam's and is not taken: its role, its kind, why not, and if it is a long-axis view,
    which, and of how many phases it is used."""

    name: str
    kind: str
    path: Path
    why: str
    view: str = ""
    matched: int = 0


def manual_labels(image: Path) -> Path | None:
    """The labels beside an image, as ACDC and M&Ms name them (`_gt`); None where there are none."""
    return nifti_named(image.parent, f"{nifti_stem(image)}_gt")


def body_size(text: str) -> float | None:
    """A height or weight from a table; None for what is no plausible number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1000 else None


def exam_of(
    layout: str,
    parts: list[Part],
    *,
    patient: Patient | None = None,
    beside: Sequence[Beside] = (),
    notes: tuple[str, ...] = (),
    label_map: str | Numbering | None = None,
    long_axis: Sequence[LongAxis] = (),
) -> Exam:
    """The exam of these parts, whose phases are joined in their order.

    `beside` lists what lies there and is not taken; a file of it that is damaged is listed as such. `label_map`
    numbers the labels: a named convention, or the file's value to ours; None where nothing tells.
    """
    pieces, assumed = [], list(notes)
    for part in parts:
        header = read_header(part.path, whole=True)
        assumed += header.warnings
        count = len(part.frames) if part.frames is not None else header.phases
        kind = SHORT_AXIS_CINE if header.phases > 2 else SHORT_AXIS
        why = f"{count} of {header.phases} phases" if count < header.phases else ""
        pieces.append(_piece(part.name, kind, header, taken=True, why=why))
        if part.labels is not None:
            why = "taken if asked for" if label_map is not None else "give it with --labels-in and --label-map"
            pieces.append(_piece(f"labels of {part.name}", LABELS, read_header(part.labels), taken=False, why=why))
    pieces += [_beside(other) for other in beside]
    person = patient or Patient()
    labelled = parts if all(part.labels is not None for part in parts) else []
    return Exam(
        Source(layout=layout, pieces=tuple(pieces), notes=tuple(dict.fromkeys(assumed)), size=_size(pieces)),
        lambda: _join([_read(part, person) for part in parts], parts),
        _labelled_reader(labelled, person, label_map),
        label_map,
        tuple(long_axis),
    )


def _labelled_reader(
    parts: list[Part], patient: Patient, label_map: str | Numbering | None
) -> Callable[[], SliceStack] | None:
    if not parts or label_map is None:
        return None
    return lambda: _join([_labelled(part, patient, label_map) for part in parts], parts)


def _read(part: Part, patient: Patient) -> SliceStack:
    stack = read_stack(part.path, frames=part.frames, patient=patient)
    if part.phases is not None and len(part.phases) != len(stack.phases):
        wanted = ", ".join(part.phases)
        raise InputError(f"{part.path.name} holds {len(stack.phases)} phases; expected {len(part.phases)} ({wanted}).")
    return stack if part.phases is None else replace(stack, phases=part.phases)


def _labelled(part: Part, patient: Patient, label_map: str | Numbering) -> SliceStack:
    """A part with its labels; of a 4D label file the same frames, of a 3D one the only one."""
    if part.labels is None:
        raise InputError(f"{part.path.name} has no labels.")
    stack = _read(part, patient)
    frames = part.frames if read_header(part.labels).phases > 1 else None
    given = read_stack(part.labels, frames=frames)  # sorts the slices as it sorts those of the image
    if len(given.phases) != len(stack.phases) or not same_grid(given, stack):
        raise InputError(f"The labels in {part.labels.name} have another shape or place than {part.path.name}.")
    return replace(stack, labels=to_internal(given.images, label_map))


def _join(stacks: list[SliceStack], parts: list[Part]) -> SliceStack:
    first = stacks[0]
    for stack, part in zip(stacks[1:], parts[1:], strict=True):
        if not same_grid(stack, first):
            raise InputError(f"{parts[0].name} and {part.name} differ in shape or geometry.")
    labels = [stack.labels for stack in stacks if stack.labels is not None]
    return replace(
        first,
        images=np.concatenate([stack.images for stack in stacks]),
        labels=np.concatenate(labels) if labels else None,
        phases=tuple(phase for stack in stacks for phase in stack.phases),
        times_ms=first.times_ms if len(stacks) == 1 else None,
        warnings=tuple(dict.fromkeys(warning for stack in stacks for warning in stack.warnings)),
    )


def _beside(other: Beside) -> Piece:
    try:
        header = read_header(other.path)
    except InputError:
        return Piece(name=other.name, kind=other.kind, slices=0, phases=0, why="damaged: it cannot be read")
    piece = _piece(other.name, other.kind, header, taken=False, why=other.why)
    return replace(piece, view=other.view, matched=other.matched)


def _size(pieces: list[Piece]) -> Size:
    """Of the exam that these are: the parts share their slices, and their phases are joined."""
    taken = [piece for piece in pieces if piece.taken]
    first = taken[0]
    return Size(slices=first.slices, phases=sum(piece.phases for piece in taken), apart_mm=first.spacing_mm)


def _piece(name: str, kind: str, header: ImageHeader, *, taken: bool, why: str) -> Piece:
    return Piece(
        name=name,
        kind=kind,
        slices=header.shape[2],
        phases=header.phases,
        pixel_mm=(round(header.zooms[0], 4), round(header.zooms[1], 4)),
        spacing_mm=round(header.zooms[2], 4) if header.shape[2] > 1 else None,
        taken=taken,
        why=why,
    )
