"""Any file of voxels on a grid, told by its content: NIfTI, Analyze, NRRD (and Slicer's sequences), MetaImage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from dmcvr.errors import InputError
from dmcvr.exam.stack import Patient, SliceStack
from dmcvr.exam.volume import slice_affines
from dmcvr.io.claims import phase_times, settle
from dmcvr.io.limits import MAX_FILES
from dmcvr.io.metaimage import describe_metaimage
from dmcvr.io.nifti import describe_nifti, pair_header
from dmcvr.io.nrrd import describe_nrrd
from dmcvr.io.sniff import IMAGES, is_hidden, kind_of
from dmcvr.io.voxels import Described, stripped

#: Endings of NIfTI's names, as the datasets' layouts use them; what a file holds, its content tells.
SUFFIXES = (".nii", ".nii.gz")

_READERS: dict[str, Callable[[Path], Described]] = {
    "nifti": describe_nifti,
    "pair": describe_nifti,
    "analyze": describe_nifti,
    "nrrd": describe_nrrd,
    "metaimage": describe_metaimage,
}


@dataclass(frozen=True)
class GridImage:
    """What a file holds, slices last: data (I, J, K, P), affine (4, 4) to RAS+ mm, times, and what was assumed."""

    data: Shaped[np.ndarray, "I J K P"]
    affine: Float64[np.ndarray, "4 4"]
    times_ms: tuple[float, ...] | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ImageHeader:
    """What a file claims to hold, slices last: (I, J, K) voxels of these sizes in mm, phases, and what was assumed."""

    shape: tuple[int, int, int]
    phases: int
    zooms: tuple[float, float, float]
    warnings: tuple[str, ...] = ()


def is_image(path: Path) -> bool:
    """Whether a file holds voxels on a grid, or is the voxels of a pair."""
    return not is_hidden(path) and (kind_of(path) in IMAGES or pair_header(path) is not None)


def image_files(folder: Path) -> list[Path]:
    """The images of one folder, by name; of a pair, its header."""
    files = []
    for count, path in enumerate(sorted(folder.iterdir())):
        if count >= MAX_FILES:
            raise InputError(f"{folder} holds more than {MAX_FILES} files: give the file of the short-axis stack.")
        if path.is_file() and not is_hidden(path) and kind_of(path) in IMAGES:
            files.append(path)
    return files


def nifti_files(folder: Path) -> list[Path]:
    """The files of one folder that are named as NIfTI, by name."""
    return sorted(path for path in folder.iterdir() if is_named_nifti(path) and path.is_file())


def is_named_nifti(path: Path) -> bool:
    """Whether a file has NIfTI's ending, in any case, and is none that macOS left."""
    return path.name.lower().endswith(SUFFIXES) and not is_hidden(path)


def nifti_named(folder: Path, stem: str) -> Path | None:
    """The folder's NIfTI file of this name without its ending, the compressed one first; None where there is none."""
    names = {file.name.lower(): file for file in nifti_files(folder)} if folder.is_dir() else {}
    return next((names[key] for end in (".nii.gz", ".nii") if (key := f"{stem}{end}".lower()) in names), None)


def nifti_stem(path: Path) -> str:
    """A NIfTI file's name without its ending."""
    name = path.name
    for suffix in (".gz", ".nii"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    return name


def read_header(path: Path, *, whole: bool = False) -> ImageHeader:
    """The header of a 3D or 4D image, without its voxels; raises `InputError` for anything else.

    `whole`: it is to be a stack of a heart, and refused where no heart fits its geometry.
    """
    found = _describe(path)
    place = settle(found.claims, stripped(found.shape), path.name, whole=whole)
    sizes = np.linalg.norm(place.affine[:3, :3], axis=0)
    i, j, k = (found.shape[axis] for axis in place.order)
    x, y, z = (float(sizes[axis]) for axis in place.order)
    phases = int(np.prod(found.shape[3:]))
    _, remarks = phase_times(found.claims, phases)
    return ImageHeader((i, j, k), phases, (x, y, z), found.warnings + place.warnings + remarks)


def read_image(path: Path, *, whole: bool = False) -> GridImage:
    """Read a 3D or 4D image; raises `InputError` for anything else, and as `read_header` does."""
    found = _describe(path)
    place = settle(found.claims, stripped(found.shape), path.name, whole=whole)
    times_ms, remarks = phase_times(found.claims, int(np.prod(found.shape[3:])))
    data = found.load()
    data = np.moveaxis(data.reshape(*data.shape[:3], -1), place.order, (0, 1, 2))
    affine = place.affine[:, [*place.order, 3]]
    return GridImage(data, affine, times_ms, found.warnings + place.warnings + remarks)


def read_stack(
    path: Path,
    *,
    phases: tuple[str, ...] | None = None,
    frames: tuple[int, ...] | None = None,
    patient: Patient | None = None,
) -> SliceStack:
    """A 3D or 4D image as a short-axis stack: phases along the fourth axis, slices as `slices_last` tells.

    `frames` takes only these of the fourth axis (from 0), `phases` names what is taken. Voxels that are not a number
    are padding: background, and said.
    """
    image = read_image(path, whole=True)
    data, times = np.moveaxis(image.data, (3, 2), (0, 1)), image.times_ms
    if frames is not None:
        beyond = [frame for frame in frames if not 0 <= frame < len(data)]
        if beyond:
            raise InputError(f"{path.name} has {len(data)} phases, counted from 0; phase {beyond[0]} was asked for.")
        data = data[list(frames)]
        times = None if times is None or list(frames) != sorted(frames) else tuple(times[frame] for frame in frames)
    affines = slice_affines(image.affine, data.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        images, remarks = _without_padding(data.astype(np.float32), path.name)
    return SliceStack(
        images=images,
        affines=affines,
        thickness_mm=float(np.linalg.norm(image.affine[:3, 2])),
        phases=phases or (("0",) if data.shape[0] == 1 else tuple(str(p) for p in range(data.shape[0]))),
        patient=patient or Patient(),
        times_ms=times,
        warnings=image.warnings + remarks,
    )


def _without_padding(
    images: Float32[np.ndarray, "P N I J"], name: str
) -> tuple[Float32[np.ndarray, "P N I J"], tuple[str, ...]]:
    """Voxels that are not a number become the darkest value that there is; a slice without any other is refused."""
    missing = np.isnan(images)
    if not missing.any():
        return images, ()
    empty = missing.all(axis=(2, 3))
    if empty.any():
        phase, slice_ = (int(index) for index in np.argwhere(empty)[0])
        raise InputError(
            f"{name} has only values that are not a number (NaN) in slice {slice_} of phase {phase}, counted from 0: "
            "leave that slice out, or export the file again."
        )
    share = 100 * float(missing.mean())
    images = np.where(missing, np.float32(np.nanmin(images)), images)
    return images, (f"Voxels that are not a number (NaN, {share:.2g} %) were taken to be padding: as background.",)


def _describe(path: Path) -> Described:
    """The file by its content; raises `InputError` for what is no image, saying what it is instead."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected an image file: give one of its files.")
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path.")
    try:
        kind = kind_of(path)
        if kind not in _READERS:
            header = pair_header(path)
            if header is None:
                raise InputError(no_image(path, kind))
            path, kind = header, kind_of(header)
        return _READERS[kind](path)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read ({error.strerror}): check its permissions.") from error


def no_image(path: Path, kind: str) -> str:
    """Why a file is no image, and what to give instead, as one sentence."""
    if path.stat().st_size == 0:
        return f"{path.name} is empty: copy or export it again."
    if kind == "side file" or path.name.startswith("._"):
        return f"{path.name} is a side file that macOS left, not the image: give {path.name.removeprefix('._')}."
    if kind == "tar":
        return f"{path.name} is a tar archive: unpack it and give the folder of the exam."
    if kind == "zip":
        return f"{path.name} is a zip archive, not an image: unpack it, and give the file that is meant."
    if kind == "cvi42":
        return f"{path.name} is a cvi42 workspace: it holds contours, not pictures; give it with --labels-in."
    if path.name.lower().removesuffix(".gz").endswith(".img"):
        return f"{path.name} looks like the voxels of a pair, and no header (.hdr) is beside it: copy both."
    if is_named_nifti(path):
        return (
            f"{path.name} cannot be read as NIfTI: the file is damaged, cut off or of another kind; copy or export it "
            "again."
        )
    return (
        f"{path.name} is neither DICOM nor an image that is known (NIfTI, Analyze, NRRD, MetaImage): convert the exam "
        "first."
    )
