"""NIfTI in and out.

The spacing comes from the header's zooms and the directions from the affine: ACDC (and others) store a unit
matrix as the affine and the true spacing in the zooms alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.stack import Patient, SliceStack
from dmcvr.volume import Volume, slice_affines

#: More voxels than any cine exam has: a header that claims more is refused before anything is read.
MAX_VOXELS = 1_000_000_000


@dataclass(frozen=True)
class NiftiImage:
    """What a file holds: data (I, J, K, P), affine (4, 4) to RAS+ mm, and what had to be assumed."""

    data: NDArray[Any]
    affine: NDArray[np.float64]
    warnings: tuple[str, ...]


def read_nifti(path: Path) -> NiftiImage:
    """Read a 3D or 4D NIfTI file; raises `InputError` for anything else."""
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path.")
    try:
        image: Any = nib.load(path)
        shape = tuple(int(n) for n in image.shape)
        if not 3 <= len(shape) <= 4 or int(np.prod(shape)) > MAX_VOXELS or min(shape) < 1:
            raise InputError(f"Expected a 3D or 4D image; {path.name} has the shape {shape}: give the whole stack.")
        affine = np.asarray(image.affine, dtype=np.float64)
        zooms = np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
        data = np.asanyarray(image.dataobj)
    except InputError:
        raise
    except Exception as error:  # nibabel, gzip and zlib raise many kinds for a damaged file
        raise InputError(
            f"{path.name} cannot be read as NIfTI ({type(error).__name__}): the file is damaged, cut off or of "
            "another kind; copy or export it again."
        ) from error
    affine, warnings = _affine_with_spacing(affine, zooms, path.name)
    return NiftiImage(data.reshape(*shape[:3], -1), affine, warnings)


def read_stack(path: Path, *, phases: tuple[str, ...] | None = None, patient: Patient | None = None) -> SliceStack:
    """A 3D or 4D NIfTI file as a short-axis stack: slices along the third axis, phases along the fourth."""
    image = read_nifti(path)
    data = np.moveaxis(image.data, (3, 2), (0, 1))
    if np.iscomplexobj(data) or data.dtype.fields is not None:
        raise InputError(f"{path.name} holds colours or complex numbers; expected one grey value a voxel.")
    affines = slice_affines(image.affine, data.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        images = data.astype(np.float32)
    return SliceStack(
        images=images,
        affines=affines,
        thickness_mm=float(np.linalg.norm(image.affine[:3, 2])),
        phases=phases or (("0",) if data.shape[0] == 1 else tuple(str(p) for p in range(data.shape[0]))),
        patient=patient or Patient(),
        warnings=image.warnings,
    )


def write_nifti(path: Path, volume: Volume) -> None:
    """Write a volume: 3D for one phase, 4D for several; millimetres, sform and qform both set."""
    data = volume.data[0] if volume.data.shape[0] == 1 else np.moveaxis(volume.data, 0, 3)
    image = nib.Nifti1Image(data, volume.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(volume.affine, code=1)
    image.set_qform(volume.affine, code=1)
    nib.save(image, path)


def _affine_with_spacing(
    affine: NDArray[np.float64], zooms: NDArray[np.float64], name: str
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    size = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not np.isfinite(zooms).all() or np.any(size < 1e-6) or np.any(zooms <= 0):
        raise InputError(f"The geometry of {name} is broken (a voxel size is zero or not a number): export it again.")
    if np.allclose(size, zooms, rtol=1e-3):
        return affine, ()
    fixed = affine.copy()
    fixed[:3, :3] *= zooms / size
    x, y, z = zooms
    return fixed, (
        f"The header's affine has voxels of {size[0]:g} x {size[1]:g} x {size[2]:g} mm but its zooms say "
        f"{x:g} x {y:g} x {z:g} mm: the zooms were used for the spacing.",
    )
