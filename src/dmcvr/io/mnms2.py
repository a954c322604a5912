"""M&Ms-2's folder layout: a short-axis stack at ED and ES, and long-axis views of the same heart, in one frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.source import LONG_AXIS
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.io.exam import Exam
from dmcvr.io.image import nifti_files, read_image
from dmcvr.io.labels import to_internal
from dmcvr.io.long_axis import Frames, long_axis_files, view_of_name
from dmcvr.io.parts import Beside, Part, exam_of, manual_labels

#: 001_SA_ED.nii.gz and 001_LA_ES.nii.gz as published; sax_ed.nii.gz and lax_4c_es.nii.gz as often renamed.
_NAME = re.compile(r"^(?:.*_)?(?P<kind>sa|sax|la|lax)(?P<view>_[234]c)?_(?P<phase>ed|es)\.nii(?:\.gz)?$", re.IGNORECASE)


def is_mnms2_patient(path: Path) -> bool:
    """Whether a folder holds files like 001_SA_ED.nii.gz."""
    return path.is_dir() and any(kind == "SA" for kind, *_ in _files(path))


def find_mnms2(path: Path) -> Exam:
    """The short-axis stack of one patient's folder at ED, ES or both; raises `InputError`."""
    if not path.is_dir():
        raise InputError(f"There is no folder {path}: give a patient's folder in the layout of M&Ms-2.")
    files = _files(path)
    parts = [
        Part(f"SA {phase}", file, (phase,), labels=manual_labels(file))
        for wanted in ("ED", "ES")
        for kind, _, phase, file in files
        if kind == "SA" and phase == wanted
    ]
    if not parts:
        raise InputError(f"{path} holds no short-axis stack: expected files like 001_SA_ED.nii.gz or sax_ed.nii.gz.")
    taken = {phase for part in parts for phase in part.phases or ()}
    planes: dict[str, dict[str, Path]] = {}
    beside = []
    for kind, view, phase, file in files:
        if kind == "LA":
            name, used = view_of_name(view), phase in taken
            planes.setdefault(name, {})[phase] = file
            why = f"the {name} view, for {phase}" if used else f"the {name} view of {phase}, which the stack lacks"
            beside.append(Beside(f"LA {view} {phase}", LONG_AXIS, file, why, name, int(used)))
    long_axis = [long_axis_files(name, _by_name(found)) for name, found in planes.items()]
    return exam_of("mnms2", parts, beside=beside, label_map="mnms", long_axis=long_axis)


def _by_name(files: dict[str, Path]) -> Callable[[Sequence[str]], Frames]:
    return lambda phases: {phase: (files[phase], 0) for phase in phases if phase in files}


def read_mnms2(folder: Path) -> tuple[SliceStack, tuple[View, ...]]:
    """The short-axis stack (ED, ES or both; without labels) and the long-axis views of one patient's folder.

    Raises `InputError` where either is missing or files do not fit each other.
    """
    stack = find_mnms2(folder).read()
    views = [_view(file, view, phase) for kind, view, phase, file in _files(folder) if kind == "LA"]
    if not views:
        raise InputError(
            f"{folder} holds no short-axis stack with a long-axis view: expected files like 001_SA_ED.nii.gz and "
            "001_LA_ED.nii.gz, or sax_ed.nii.gz and lax_4c_ed.nii.gz."
        )
    return stack, tuple(view for view in views if view.phase in stack.phases)


def _files(folder: Path) -> list[tuple[str, str, str, Path]]:
    """For every image by name: "SA" or "LA", the view ("4c"), the phase ("ED") and the path."""
    matches = [(_NAME.match(path.name), path) for path in nifti_files(folder)]
    return [
        (m["kind"][0].upper() + "A", (m["view"] or "_4c")[1:], m["phase"].upper(), path) for m, path in matches if m
    ]


def _view(path: Path, name: str, phase: str) -> View:
    image = read_image(path)
    if image.data.shape[2:] != (1, 1):
        raise InputError(f"{path.name} has the shape {image.data.shape}; expected one long-axis slice.")
    manual = manual_labels(path)
    labels = None if manual is None else to_internal(read_image(manual).data[..., 0, 0], "mnms")
    return View(name, phase, image.data[..., 0, 0].astype(np.float32), image.affine, labels)
