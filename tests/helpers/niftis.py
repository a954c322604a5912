"""NIfTI files of noise."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

#: As a scanner puts a short axis: pixels of 1.25 x 1.5 mm, 8.75 mm apart, square to each other.
OBLIQUE = np.array(
    [
        [0.627506872, -0.719073099, -0.298611795, 81.0],
        [0.439385042, 0.643652468, -0.62661973, -149.0],
        [0.64278761, 0.26200263, 0.71984631, 94.0],
        [0, 0, 0, 1.0],
    ]
) @ np.diag([1.25, 1.5, 8.75, 1])


def save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """As NIfTI; by default, pixels of 1.5 mm, 8 mm apart."""
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1]) if affine is None else affine), path)
    return path


def grey(*shape: int) -> np.ndarray:
    """Grey values, always the same."""
    return np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)
