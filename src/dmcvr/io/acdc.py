"""ACDC's folder layout (Bernard et al., IEEE TMI 2018): one folder a patient, ED and ES named in Info.cfg."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.io.labels import to_internal
from dmcvr.io.nifti import read_nifti, read_stack
from dmcvr.stack import Patient, SliceStack

_FRAME = re.compile(r"_frame(\d+)\.nii(\.gz)?$")


def is_acdc_patient(folder: Path) -> bool:
    """Whether a folder looks like one ACDC patient."""
    return (folder / "Info.cfg").is_file()


def list_patients(root: Path) -> list[Path]:
    """The ACDC patient folders under `root`, by name; raises `InputError` where there is none."""
    if not root.is_dir():
        raise InputError(f"There is no folder {root}: give the folder that holds the patients.")
    found = sorted(folder for folder in root.iterdir() if is_acdc_patient(folder))
    if not found:
        raise InputError(f"No ACDC-style patient (a folder with Info.cfg) under {root}.")
    return found


def read_acdc(folder: Path, *, with_labels: bool = False) -> SliceStack:
    """The ED and ES frames of one patient, with the manual labels if asked for.

    A patient without the one or the other frame gives the frame there is. Raises `InputError` where files
    are missing or do not fit each other.
    """
    info = _read_info(folder)
    parts: list[SliceStack] = []
    for phase in ("ED", "ES"):
        if phase not in info:
            continue
        path = _frame_path(folder, int(info[phase]))
        stack = read_stack(path, phases=(phase,), patient=_patient(info))
        parts.append(_add_labels(stack, path) if with_labels else stack)
    if not parts:
        raise InputError(f"{folder / 'Info.cfg'} names neither an ED nor an ES frame.")
    first = parts[0]
    for part in parts[1:]:
        if part.images.shape != first.images.shape or not np.allclose(part.affines, first.affines, atol=1e-3):
            raise InputError(f"The ED and ES frames of {folder.name} differ in shape or geometry.")
    return replace(
        first,
        images=np.concatenate([p.images for p in parts]),
        labels=np.concatenate([p.labels for p in parts if p.labels is not None]) if with_labels else None,
        phases=tuple(p.phases[0] for p in parts),
    )


def read_patient(folder: Path) -> Patient:
    """Body size and disease group as Info.cfg gives them."""
    return _patient(_read_info(folder))


def read_acdc_frame(path: Path) -> SliceStack:
    """One frame file of an ACDC patient: its phase is named ED or ES by the Info.cfg beside it."""
    info = _read_info(path.parent)
    match = _FRAME.search(path.name)
    number = int(match.group(1)) if match else None
    name = next((p for p in ("ED", "ES") if p in info and int(info[p]) == number), None)
    return read_stack(path, phases=(name,) if name else None, patient=_patient(info))


def _read_info(folder: Path) -> dict[str, str]:
    try:
        text = (folder / "Info.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{folder / 'Info.cfg'} cannot be read ({error.strerror}).") from error
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, value in pairs}
    for phase in ("ED", "ES"):
        if phase in info and not info[phase].isdecimal():
            raise InputError(f"{folder / 'Info.cfg'} gives {info[phase]!r} as the {phase} frame; expected a number.")
    return info


def _patient(info: dict[str, str]) -> Patient:
    def number(key: str) -> float | None:
        try:
            value = float(info.get(key, ""))
        except ValueError:
            return None
        return value if 0 < value < 1000 else None

    return Patient(height_cm=number("Height"), weight_kg=number("Weight"), group=info.get("Group"))


def _frame_path(folder: Path, number: int) -> Path:
    for suffix in (".nii.gz", ".nii"):
        path = folder / f"{folder.name}_frame{number:02d}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"Info.cfg names frame {number}, but {folder} has no {folder.name}_frame{number:02d}.nii.gz.")


def _add_labels(stack: SliceStack, path: Path) -> SliceStack:
    label_path = path.with_name(path.name.replace(".nii", "_gt.nii"))
    labels = to_internal(read_nifti(label_path).data, "acdc")
    return replace(stack, labels=np.moveaxis(labels, (3, 2), (0, 1)))
