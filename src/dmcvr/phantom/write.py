"""A phantom on disk: one ACDC-style patient folder with the truth beside it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.structures import LABEL_MAPS
from dmcvr.exam.volume import Volume
from dmcvr.io.nifti import write_nifti
from dmcvr.phantom.exam import Phantom
from dmcvr.phantom.shape import HeartShape


def write_phantom(phantom: Phantom, folder: Path) -> None:
    """Write the patient folder `folder` (its name is the patient's) for `read_acdc`.

    Beside the two frames and their ACDC labels: truth_image.nii.gz, truth_labels.nii.gz (4D, our labels) and
    phantom.json. The folder appears whole or not at all; an existing one is an `InputError`.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another folder or remove it.")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        _write_files(phantom, part, folder.name)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write_files(phantom: Phantom, folder: Path, name: str) -> None:
    stack, affine = phantom.stack, _stack_affine(phantom.stack)
    assert stack.labels is not None
    theirs = np.zeros(4, dtype=np.uint8)
    for value, ours in LABEL_MAPS["acdc"].items():
        theirs[ours] = value
    for number, (image, labels) in enumerate(zip(stack.images, stack.labels, strict=True), start=1):
        frame = folder / f"{name}_frame{number:02d}"
        write_nifti(frame.with_name(frame.name + ".nii.gz"), Volume(np.moveaxis(image, 0, 2)[None], affine))
        write_nifti(frame.with_name(frame.name + "_gt.nii.gz"), Volume(np.moveaxis(theirs[labels], 0, 2)[None], affine))
    write_nifti(folder / "truth_image.nii.gz", phantom.truth_image)
    write_nifti(folder / "truth_labels.nii.gz", phantom.truth_labels)
    (folder / "phantom.json").write_text(json.dumps(_describe(phantom), indent=2) + "\n", encoding="utf-8")
    (folder / "Info.cfg").write_text(_info(phantom), encoding="utf-8")


def _stack_affine(stack: SliceStack) -> NDArray[np.float64]:
    """(4, 4) voxel to world of the stack as sorted: the third column is the step to the next stored slice."""
    affine: NDArray[np.float64] = stack.affines[0].copy()
    affine[:3, 2] = (stack.affines[-1, :3, 3] - stack.affines[0, :3, 3]) / (len(stack.affines) - 1)
    return affine


def _info(phantom: Phantom) -> str:
    patient = phantom.stack.patient
    lines = [f"{phase}: {number}" for number, phase in enumerate(phantom.stack.phases, start=1)]
    lines += [
        f"Group: {patient.group}",
        f"Height: {patient.height_cm}",
        f"NbFrame: {len(phantom.stack.phases)}",
        f"Weight: {patient.weight_kg}",
    ]
    return "\n".join(lines) + "\n"


def _describe(phantom: Phantom) -> dict[str, object]:
    return {
        "seed": phantom.seed,
        "scan": asdict(phantom.scan),
        "papillary_muscles": "counted as LV cavity in the labels, dark in the images",
        "phases": {
            phase: {"shape": asdict(shape), "measures": _measures(shape)}
            for phase, shape in zip(phantom.stack.phases, phantom.shapes, strict=True)
        },
    }


def _measures(shape: HeartShape) -> dict[str, float]:
    return {
        "lv_cavity_volume_ml": shape.lv_cavity_volume_ml(),
        "lv_epicardial_volume_ml": shape.lv_epicardial_volume_ml(),
        "lv_mass_g": shape.lv_mass_g(),
        "rv_cavity_volume_ml": shape.rv_cavity_volume_ml(),
    }
