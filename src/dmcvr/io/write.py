"""A reconstruction as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dmcvr.cycle import beat_ms
from dmcvr.io.folder import whole_folder
from dmcvr.io.nifti import write_nifti
from dmcvr.io.result import Result
from dmcvr.io.slicer import write_segmentation
from dmcvr.io.tidy import write_measures
from dmcvr.mesh import MESH_FORMATS, check_formats, write_meshes
from dmcvr.report.page import write_report
from dmcvr.stack import SliceStack
from dmcvr.volume import Volume

if TYPE_CHECKING:
    from dmcvr.reconstruction import Reconstruction


#: labels.nii.gz; labels.seg.nrrd for 3D Slicer.
LABEL_FORMATS = ("nifti", "nrrd")


def write_reconstruction(
    heart: Reconstruction,
    folder: Path,
    *,
    label_formats: Sequence[str] = LABEL_FORMATS,
    mesh_formats: Sequence[str] = ("ply",),
) -> Path:
    """Write images, labels, acquired.nii.gz, meshes/, measures.json and .csv, run.json and report.html.

    Slicer's segmentation holds one phase: several go into labels/<phase>.seg.nrrd.

    `acquired.nii.gz` is the input in the frame that was used: where a header's affine and spacing disagree,
    viewers place the original file differently, and this one overlays. It is left out for unequal spacing,
    which NIfTI cannot express.
    """
    check_formats("label", label_formats, LABEL_FORMATS)
    check_formats("mesh", mesh_formats, MESH_FORMATS)
    with whole_folder(folder) as partial:
        write_nifti(partial / "image.nii.gz", heart.image)
        if "nifti" in label_formats:
            write_nifti(partial / "labels.nii.gz", heart.labels)
        if "nrrd" in label_formats:
            _write_segmentations(partial, heart.labels, heart.acquired.phases)
        acquired = stack_volume(heart.acquired)
        if acquired is not None:
            write_nifti(partial / "acquired.nii.gz", acquired)
        write_meshes(
            partial / "meshes",
            heart.labels,
            heart.acquired.phases,
            formats=mesh_formats,
            beat_s=(beat_ms(heart.acquired.times_ms) or 1000) / 1000,
        )
        (partial / "measures.json").write_text(json.dumps(heart.measures, indent=2) + "\n", encoding="utf-8")
        write_measures(partial / "measures.csv", heart.measures)
        (partial / "run.json").write_text(json.dumps(heart.run, indent=2) + "\n", encoding="utf-8")
        write_report(Result.of(heart), partial / "report.html")
    return folder


def _write_segmentations(folder: Path, labels: Volume, phases: tuple[str, ...]) -> None:
    if len(phases) == 1:
        write_segmentation(folder / "labels.seg.nrrd", labels.data[0], labels.affine)
        return
    (folder / "labels").mkdir()
    for phase, data in zip(phases, labels.data, strict=True):
        write_segmentation(folder / "labels" / f"{phase}.seg.nrrd", data, labels.affine)


def stack_volume(stack: SliceStack) -> Volume | None:
    """The stack's images as a `Volume`, or None where its slices are not on one regular grid."""
    steps = np.diff(stack.affines[:, :3, 3], axis=0)
    if np.abs(steps - steps[0]).max() > 0.05:
        return None
    affine = stack.affines[0].copy()
    affine[:3, 2] = steps[0]
    return Volume(np.moveaxis(stack.images, 1, 3), affine)
