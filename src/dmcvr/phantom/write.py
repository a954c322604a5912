"""A phantom on disk: one ACDC-style patient folder with long-axis views, and the truth beside it."""

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
from dmcvr.phantom.heart import CYCLE_MS

#: How a view is called in a file's name, as M&Ms-2 does.
VIEW_FILES = {"2-chamber": "LA_2c", "3-chamber": "LA_3c", "4-chamber": "LA_4c", "RVOT": "LA_rvot"}


def write_phantom(phantom: Phantom, folder: Path) -> None:
    """Write the patient folder `folder` (its name is the patient's) for `read_acdc`.

    ED and ES are frames with their labels, a cine is a 4D file besides; each view is a file, with the phases along its
    fourth axis, and its labels. The truth: truth_image.nii.gz, truth_labels.nii.gz (all phases, our labels) and
    phantom.json, which has every slice's and view's shift, the valves' planes and the apices. The folder appears whole
    or not at all; an existing one is an `InputError`.
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
    for phase in dict.fromkeys((phantom.ed, phantom.es)):
        frame = f"{name}_frame{phase + 1:02d}"
        slices, labels = stack.images[phase], theirs[stack.labels[phase]]
        write_nifti(folder / f"{frame}.nii.gz", Volume(np.moveaxis(slices, 0, 2)[None], affine))
        write_nifti(folder / f"{frame}_gt.nii.gz", Volume(np.moveaxis(labels, 0, 2)[None], affine))
    if len(stack.phases) > 2:
        write_nifti(folder / f"{name}_4d.nii.gz", Volume(np.moveaxis(stack.images, 1, 3), affine))
    for view, short in VIEW_FILES.items():
        shown = [v for v in phantom.views if v.name == view]
        if shown:
            pictures, labels = np.stack([v.image for v in shown]), np.stack([theirs[v.labels] for v in shown])
            slab = shown[0].affine @ np.diag([1.0, 1.0, phantom.view_thickness_mm, 1.0])
            write_nifti(folder / f"{name}_{short}.nii.gz", Volume(pictures[..., None], slab))
            write_nifti(folder / f"{name}_{short}_gt.nii.gz", Volume(labels[..., None], slab))
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
    lines = [
        f"ED: {phantom.ed + 1}",
        f"ES: {phantom.es + 1}",
        f"Group: {patient.group}",
        f"Height: {patient.height_cm}",
        f"NbFrame: {len(phantom.stack.phases)}",
        f"Weight: {patient.weight_kg}",
    ]
    return "\n".join(lines) + "\n"


def _describe(phantom: Phantom) -> dict[str, object]:
    return {
        "seed": phantom.seed,
        "kind": phantom.heart.kind,
        "ejection_fraction_percent": 100 * phantom.heart.ejection_fraction,
        "base_descent_mm": phantom.heart.descent_mm,
        "cycle_ms": CYCLE_MS,
        "scan": asdict(phantom.scan),
        "papillary_muscles": "counted as LV cavity in the labels, dark in the images",
        "slice_shifts_mm": phantom.shifts_mm.tolist(),
        "view_shifts_mm": {name: shift.tolist() for name, shift in phantom.view_shifts_mm.items()},
        "phases": {name: _phase(phantom, number) for number, name in enumerate(phantom.stack.phases)},
    }


def _phase(phantom: Phantom, number: int) -> dict[str, object]:
    shape = phantom.shapes[number]
    planes = phantom.valve_planes(number)
    return {
        "shape": asdict(shape),
        "measures": {
            "lv_cavity_volume_ml": shape.lv_cavity_volume_ml(),
            "lv_epicardial_volume_ml": shape.lv_epicardial_volume_ml(),
            "lv_mass_g": shape.lv_mass_g(),
            "rv_cavity_volume_ml": shape.rv_cavity_volume_ml(),
        },
        "valve_planes_ras_mm": {
            name: {"point": point.tolist(), "normal": normal.tolist()} for name, (point, normal) in planes.items()
        },
        "apices_ras_mm": {name: point.tolist() for name, point in phantom.apices(number).items()},
    }
