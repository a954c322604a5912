"""One way in: a file or a folder to a `SliceStack`, whatever layout it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.io.acdc import is_acdc_patient, read_acdc, read_acdc_frame
from dmcvr.io.labels import to_internal
from dmcvr.io.nifti import read_stack
from dmcvr.stack import SliceStack


def read_exam(path: Path) -> SliceStack:
    """The exam at `path`, without labels.

    A NIfTI file (3D: one phase; 4D: phases last), or a folder in ACDC's layout (Info.cfg and frames), or a
    folder with one NIfTI file. Raises `InputError` for anything else.
    """
    if path.is_dir():
        if is_acdc_patient(path):
            return read_acdc(path)
        files = sorted(p for p in path.iterdir() if p.name.endswith((".nii", ".nii.gz")))
        if len(files) != 1:
            raise InputError(
                f"The folder {path} holds {len(files)} NIfTI files and no Info.cfg: "
                "give the file of the short-axis stack."
            )
        return read_stack(files[0])
    if not path.exists():
        raise InputError(f"There is no file or folder {path}: check the path.")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path.name} is not a NIfTI file (.nii or .nii.gz): convert the exam to NIfTI first.")
    return read_acdc_frame(path) if is_acdc_patient(path.parent) else read_stack(path)


def with_labels(stack: SliceStack, path: Path, convention: str) -> SliceStack:
    """The stack with labels from a NIfTI file of the same grid, in a named convention.

    Raises `InputError` where shape or values do not fit.
    """
    given = read_stack(path)  # sorts the slices as it sorts those of the image
    if given.images.shape != stack.images.shape:
        raise InputError(
            f"The labels in {path.name} have {_shape(given.images.shape)}, the image has "
            f"{_shape(stack.images.shape)}: give labels for just the phases that are reconstructed (--phase)."
        )
    if not np.allclose(given.affines, stack.affines, atol=0.1):
        raise InputError(f"The labels in {path.name} lie elsewhere than the image: their headers differ.")
    return replace(stack, labels=to_internal(given.images, convention))


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} phase(s), {shape[1]} slices of {shape[2]} x {shape[3]} pixels"
