"""NIfTI files of noise."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

OBLIQUE = np.array([[-0.9, 0.6, -5.0, 81.0], [0.3, 1.1, 5.8, -149.0], [-0.8, -0.7, 4.1, 94.0], [0, 0, 0, 1.0]])


def save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """As NIfTI; by default, pixels of 1.5 mm, 8 mm apart."""
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1]) if affine is None else affine), path)
    return path


def grey(*shape: int) -> np.ndarray:
    """Grey values, always the same."""
    return np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)
