"""A reconstruction as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dmcvr.io.folder import whole_folder
from dmcvr.io.nifti import write_nifti
from dmcvr.mesh import write_meshes
from dmcvr.report.page import write_report
from dmcvr.report.source import Source
from dmcvr.stack import SliceStack
from dmcvr.volume import Volume

if TYPE_CHECKING:
    from dmcvr.reconstruction import Reconstruction


def write_reconstruction(heart: Reconstruction, folder: Path) -> Path:
    """Write image.nii.gz, labels.nii.gz, acquired.nii.gz, meshes/, measures.json, run.json and report.html.

    `acquired.nii.gz` is the input in the frame that was used: where a header's affine and spacing disagree,
    viewers place the original file differently, and this one overlays. It is left out for unequal spacing,
    which NIfTI cannot express.
    """
    with whole_folder(folder) as partial:
        write_nifti(partial / "image.nii.gz", heart.image)
        write_nifti(partial / "labels.nii.gz", heart.labels)
        acquired = stack_volume(heart.acquired)
        if acquired is not None:
            write_nifti(partial / "acquired.nii.gz", acquired)
        write_meshes(partial / "meshes", heart.labels, heart.acquired.phases)
        (partial / "measures.json").write_text(json.dumps(heart.measures, indent=2) + "\n", encoding="utf-8")
        (partial / "run.json").write_text(json.dumps(heart.run, indent=2) + "\n", encoding="utf-8")
        write_report(Source.of(heart), partial / "report.html")
    return folder


def stack_volume(stack: SliceStack) -> Volume | None:
    """The stack's images as a `Volume`, or None where its slices are not on one regular grid."""
    steps = np.diff(stack.affines[:, :3, 3], axis=0)
    if np.abs(steps - steps[0]).max() > 0.05:
        return None
    affine = stack.affines[0].copy()
    affine[:3, 2] = steps[0]
    return Volume(np.moveaxis(stack.images, 1, 3), affine)
