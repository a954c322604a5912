"""M&Ms-2's folder layout: a short-axis stack at ED and ES, and long-axis views of the same heart, in one frame."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.io.labels import to_internal
from dmcvr.io.nifti import read_nifti, read_stack
from dmcvr.stack import Patient, SliceStack

#: 001_SA_ED.nii.gz and 001_LA_ES.nii.gz as published; sax_ed.nii.gz and lax_4c_es.nii.gz as often renamed.
_NAME = re.compile(r"^(?:.*_)?(?P<kind>sa|sax|la|lax)(?P<view>_[234]c)?_(?P<phase>ed|es)\.nii(?:\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class View:
    """One long-axis picture in the exam's world frame.

    ======  ======  ============================================
    image   (I, J)  float32, any intensity unit
    affine  (4, 4)  pixel (i, j, 0, 1) to RAS+ mm
    labels  (I, J)  uint8, the package's labels; None if unknown
    ======  ======  ============================================
    """

    name: str
    phase: str
    image: NDArray[np.float32]
    affine: NDArray[np.float64]
    labels: NDArray[np.uint8] | None = None


def read_mnms2(folder: Path) -> tuple[SliceStack, tuple[View, ...]]:
    """The short-axis stack (ED, ES or both; without labels) and the long-axis views of one patient's folder.

    Raises `InputError` where either is missing or files do not fit each other.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}: give a patient's folder in the layout of M&Ms-2.")
    stacks: dict[str, SliceStack] = {}
    views: list[View] = []
    for path in sorted(folder.iterdir()):
        match = _NAME.match(path.name)
        if match is None:
            continue
        phase = match["phase"].upper()
        if match["kind"].lower().startswith("s"):
            stacks[phase] = read_stack(path, phases=(phase,), patient=Patient())
        else:
            views.append(_view(path, (match["view"] or "_4c")[1:], phase))
    if not stacks or not views:
        raise InputError(
            f"{folder} holds no short-axis stack with a long-axis view: expected files like 001_SA_ED.nii.gz and "
            "001_LA_ED.nii.gz, or sax_ed.nii.gz and lax_4c_ed.nii.gz."
        )
    parts = [stacks[phase] for phase in ("ED", "ES") if phase in stacks]
    first = parts[0]
    for part in parts[1:]:
        if part.images.shape != first.images.shape or not np.allclose(part.affines, first.affines, atol=1e-2):
            raise InputError(f"The ED and ES stacks of {folder.name} differ in shape or geometry.")
    stack = replace(first, images=np.concatenate([p.images for p in parts]), phases=tuple(p.phases[0] for p in parts))
    return stack, tuple(view for view in views if view.phase in stack.phases)


def _view(path: Path, name: str, phase: str) -> View:
    image = read_nifti(path)
    if image.data.shape[2:] != (1, 1):
        raise InputError(f"{path.name} has the shape {image.data.shape}; expected one long-axis slice.")
    manual = path.with_name(path.name.replace(".nii", "_gt.nii"))
    labels = to_internal(read_nifti(manual).data[..., 0, 0], "mnms") if manual.is_file() else None
    return View(name, phase, image.data[..., 0, 0].astype(np.float32), image.affine, labels)
