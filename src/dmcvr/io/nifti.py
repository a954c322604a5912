"""NIfTI in and out.

The spacing comes from the header's zooms and the directions from the affine: ACDC (and others) store a unit
matrix as the affine and the true spacing in the zooms alone.
"""

from __future__ import annotations

import gzip
import math
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import Patient, SliceStack
from dmcvr.exam.volume import Volume, slice_affines
from dmcvr.io.limits import check_size

#: Size of a NIfTI-2 header; NIfTI-1's is 348.
NIFTI2_BYTES = 540

#: Bytes of header and extensions before the voxels: more is no image.
MAX_OFFSET = 2**24

#: The most that deflate can pack into one byte: a file that claims more holds less than it claims.
MAX_DEFLATE = 1032


#: Slices are further apart than this many pixels.
CLEARLY = 1.5


@dataclass(frozen=True)
class NiftiImage:
    """What a file holds, slices last: data (I, J, K, P), affine (4, 4) to RAS+ mm, and what had to be assumed."""

    data: Shaped[np.ndarray, "I J K P"]
    affine: Float64[np.ndarray, "4 4"]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class NiftiHeader:
    """What a file claims to hold, slices last: (I, J, K) voxels of these sizes in mm, and how many phases."""

    shape: tuple[int, int, int]
    phases: int
    zooms: tuple[float, float, float]


def read_header(path: Path) -> NiftiHeader:
    """The header of a 3D or 4D NIfTI file, without its voxels; raises `InputError` for anything else."""
    image = _open(path)
    zooms = image.header.get_zooms()[:3]
    order = slices_last(image.shape[:3], zooms)
    i, j, k = (int(image.shape[axis]) for axis in order)
    x, y, z = (float(zooms[axis]) for axis in order)
    return NiftiHeader((i, j, k), int(np.prod(image.shape[3:])), (x, y, z))


def read_nifti(path: Path) -> NiftiImage:
    """Read a 3D or 4D NIfTI file; raises `InputError` for anything else."""
    image = _open(path)
    with _damage(path):
        affine = np.asarray(image.affine, dtype=np.float64)
        zooms = np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
        data = np.asanyarray(image.dataobj)
    affine, remarks = _affine_with_spacing(affine, zooms, path.name)
    order = slices_last(data.shape[:3], zooms)
    data = np.moveaxis(data.reshape(*data.shape[:3], -1), order, (0, 1, 2))
    return NiftiImage(data, affine[:, [*order, 3]], remarks)


def slices_last(shape: Sequence[int], zooms: ArrayLike) -> list[int]:
    """The order of a file's three axes in which its slices come last: the axis of the largest steps and fewest voxels.

    Where no axis is clearly that one (as in a volume without slices), the order is the file's own.
    """
    step = np.asarray(zooms, dtype=np.float64)
    axis = int(step.argmax())
    others = [n for n in range(3) if n != axis]
    clear = step[axis] > CLEARLY * step[others].max() and shape[axis] < min(shape[n] for n in others)
    return [*others, axis] if clear else [0, 1, 2]


def read_stack(
    path: Path,
    *,
    phases: tuple[str, ...] | None = None,
    frames: tuple[int, ...] | None = None,
    patient: Patient | None = None,
) -> SliceStack:
    """A 3D or 4D NIfTI file as a short-axis stack: phases along the fourth axis, slices as `slices_last` tells.

    `frames` takes only these of the fourth axis (from 0), `phases` names what is taken.
    """
    image = read_nifti(path)
    data = np.moveaxis(image.data, (3, 2), (0, 1))
    if frames is not None:
        beyond = [frame for frame in frames if not 0 <= frame < len(data)]
        if beyond:
            raise InputError(f"{path.name} has {len(data)} phases, counted from 0; phase {beyond[0]} was asked for.")
        data = data[list(frames)]
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


def write_nifti(path: Path, volume: Volume, note: str = "") -> None:
    """Write a volume: 3D for one phase, 4D for several; millimetres, sform and qform both set; a note in `descrip`."""
    data = volume.data[0] if volume.data.shape[0] == 1 else np.moveaxis(volume.data, 0, 3)
    image = nib.Nifti1Image(data, volume.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = note.encode()
    image.set_sform(volume.affine, code=1)
    image.set_qform(volume.affine, code=1)
    nib.save(image, path)


def _open(path: Path) -> Any:
    """The nibabel image, its voxels unread, once its header makes no absurd claim."""
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path.")
    with _damage(path):
        compressed = path.name.endswith(".gz")
        with gzip.open(path) if compressed else path.open("rb") as file:
            start = file.read(NIFTI2_BYTES)
        offset = _voxel_offset(start)
        if not 0 <= offset <= MAX_OFFSET:
            raise InputError(f"{path.name} claims {offset:g} bytes before its first voxel: the header is damaged.")
        image: Any = nib.load(path)
        shape = tuple(int(n) for n in image.shape)
        if not 3 <= len(shape) <= 4 or min(shape) < 1:
            raise InputError(f"Expected a 3D or 4D image; {path.name} has the shape {shape}: give the whole stack.")
        size = int(image.get_data_dtype().itemsize)
        check_size(shape, path.name, bytes_a_voxel=size)
        if math.prod(shape) * size > path.stat().st_size * (MAX_DEFLATE if compressed else 1):
            raise InputError(
                f"{path.name} cannot be read as NIfTI: it is shorter than its header says, so damaged or cut off; "
                "copy or export it again."
            )
    return image


def _voxel_offset(start: bytes) -> float:
    """Where the voxels begin, as the first bytes of a NIfTI-1 or NIfTI-2 file say; 0 for any other file."""
    for order in "<>":
        size = struct.unpack_from(f"{order}i", start.ljust(4, b"\0"))[0]
        if size == NIFTI2_BYTES and len(start) == NIFTI2_BYTES:
            return float(struct.unpack_from(f"{order}q", start, 168)[0])
        if size == 348 and len(start) >= 348:
            return float(struct.unpack_from(f"{order}f", start, 108)[0])
    return 0.0


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """nibabel, gzip and zlib raise and warn in many ways for a damaged file: here they become one sentence."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(), nib.imageglobals.LoggingOutputSuppressor():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path.name} cannot be read as NIfTI ({type(error).__name__}): the file is damaged, cut off or of "
            "another kind; copy or export it again."
        ) from error


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
