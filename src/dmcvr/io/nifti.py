"""NIfTI-1 and NIfTI-2, one file or a pair, and Analyze 7.5, their ancestor: what a header claims, and the voxels."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Shaped

from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume
from dmcvr.io.claims import Claims, Frame
from dmcvr.io.pack import write_packed
from dmcvr.io.sniff import content, head, kind_of_bytes
from dmcvr.io.voxels import Described, check_claim

#: Bytes of header and extensions before the voxels: more is no image.
MAX_OFFSET = 2**24

#: NIfTI's and Analyze's codes of lengths and times.
_UNITS: dict[str, str | None] = {"meter": "m", "mm": "mm", "micron": "um"}
_TIMES: dict[str, str | None] = {"sec": "s", "msec": "ms", "usec": "us"}

#: NIfTI's code of the scanner's own frame.
_SCANNER = 1

#: nibabel's remarks on a header are said in our own words where they matter; from this level on they are errors.
_QUIET = logging.getLogger("dmcvr.io.nifti")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
_ERROR = 40

#: Header and an empty list of extensions.
_FIRST_VOXEL = 352

_ANALYZE = "Analyze 7.5 knows no world frame: how the heart lies is read from the picture."


def describe_nifti(path: Path) -> Described:
    """What a NIfTI or Analyze file says of itself; `path` is the one file, or the header of a pair."""
    start = head(path)
    kind = kind_of_bytes(start)
    if kind == "nifti":
        offset = _voxel_offset(start)
        if not 0 <= offset <= MAX_OFFSET:
            raise InputError(f"{path.name} claims {offset:g} bytes before its first voxel: the header is damaged.")
    with _damage(path):
        header = _header(start, kind)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        file, offset = (path, int(header["vox_offset"])) if kind == "nifti" else (_voxels_of_pair(path), 0)
        if kind != "nifti":
            offset = max(int(header["vox_offset"]), 0)
        claims = _claims(header, kind)
        slope, shift = _scale(header)
    check_claim(shape, dtype, path.name, file)
    size = int(np.prod(shape)) * dtype.itemsize

    def load() -> Shaped[np.ndarray, ...]:
        with _damage(path):
            data = content(file, limit=offset + size + MAX_OFFSET)
            voxels = np.frombuffer(data, dtype, count=size // dtype.itemsize, offset=offset)
            voxels = voxels.reshape(shape, order="F")
            return voxels if (slope, shift) == (1.0, 0.0) else voxels * slope + shift

    return Described(shape, dtype, claims, load, (_ANALYZE,) if kind == "analyze" else ())


def write_nifti(path: Path, volume: Volume, note: str = "") -> None:
    """Write a volume: 3D for one phase, 4D for several; millimetres, sform and qform both set; a note in `descrip`.

    A file whose name ends in .gz is packed.
    """
    if path.suffix == ".gz":
        write_packed(path, _parts(volume, note))
    else:
        path.write_bytes(nifti_bytes(volume, note))


def nifti_bytes(volume: Volume, note: str = "") -> bytes:
    """The same file, not packed."""
    return b"".join(_parts(volume, note))


def _parts(volume: Volume, note: str) -> Iterator[bytes]:
    """All up to the first voxel, then phase by phase: a cine is never held twice."""
    header = nib.Nifti1Header()
    header.set_data_dtype(volume.data.dtype)
    header.set_data_shape(volume.data.shape[1:] + volume.data.shape[:1] * (volume.data.shape[0] > 1))
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = note.encode()
    header["vox_offset"] = _FIRST_VOXEL
    header.set_sform(volume.affine, code=1)
    header.set_qform(volume.affine, code=1)
    yield header.binaryblock.ljust(_FIRST_VOXEL, b"\0")
    for phase in volume.data:
        yield phase.tobytes(order="F")


def pair_header(path: Path) -> Path | None:
    """The header beside the voxels of a pair (x.hdr beside x.img); None where there is none."""
    found = _beside(path, ".img", ".hdr")
    return found if found is not None and kind_of_bytes(head(found, 4096)) in ("pair", "analyze") else None


def _voxels_of_pair(path: Path) -> Path:
    file = _beside(path, ".hdr", ".img")
    if file is None:
        raise InputError(f"{path.name} is the header of a pair, and its voxels (.img) are not beside it: copy both.")
    return file


def _beside(path: Path, ending: str, wanted: str) -> Path | None:
    """The other file of a pair: the same name with another ending, each packed or not, in any case."""
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(ending):
        return None
    names = [name.removesuffix(ending) + wanted + end for end in ("", ".gz")]
    return next((file for file in sorted(path.parent.iterdir()) if file.name.lower() in names and file.is_file()), None)


def _header(start: bytes, kind: str) -> Any:
    second = start[:4] in (struct.pack("<i", 540), struct.pack(">i", 540))
    classes: dict[tuple[str, bool], Any] = {
        ("analyze", False): nib.AnalyzeHeader,
        ("nifti", False): nib.Nifti1Header,
        ("nifti", True): nib.Nifti2Header,
        ("pair", False): nib.nifti1.Nifti1PairHeader,
        ("pair", True): nib.nifti2.Nifti2PairHeader,
    }
    header = classes[kind, second](start[: 540 if second else 348], check=False)
    header.check_fix(logger=_QUIET, error_level=_ERROR)
    return header


def _claims(header: Any, kind: str) -> Claims:
    zooms = tuple(abs(float(size)) for size in header["pixdim"][1:4])
    found = Claims((), (zooms[0], zooms[1], zooms[2]))
    if kind == "analyze":
        return found
    frames = []
    for name in ("sform", "qform"):
        code = int(header[f"{name}_code"])
        if code > 0:
            frames.append(Frame(name, _affine(header, name), code == _SCANNER))
    unit, time = header.get_xyzt_units()
    step = float(header["pixdim"][4]) if int(header["dim"][0]) > 3 else None
    return Claims(tuple(frames), found.zooms, _UNITS.get(unit), step, _TIMES.get(time))


def _affine(header: Any, name: str) -> Any:
    """The affine of that name, its values not numbers where the header's cannot make one."""
    try:
        return np.asarray(header.get_sform() if name == "sform" else header.get_qform(), dtype=np.float64)
    except (ValueError, ArithmeticError, nib.spatialimages.HeaderDataError):
        return np.full((4, 4), np.nan)


def _scale(header: Any) -> tuple[float, float]:
    if not hasattr(header, "get_slope_inter"):
        return 1.0, 0.0
    slope, shift = header.get_slope_inter()
    return (1.0 if slope is None else float(slope)), (0.0 if shift is None else float(shift))


def _voxel_offset(start: bytes) -> float:
    """Where the voxels begin, as the first bytes of a NIfTI-1 or NIfTI-2 file say."""
    for order in "<>":
        size = struct.unpack_from(f"{order}i", start)[0]
        if size == 540:
            return float(struct.unpack_from(f"{order}q", start, 168)[0])
        if size == 348:
            return float(struct.unpack_from(f"{order}f", start, 108)[0])
    return 0.0


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """nibabel and numpy raise and warn in many ways for a damaged file: here they become one sentence."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path.name} cannot be read as NIfTI ({type(error).__name__}): the file is damaged, cut off or of "
            "another kind; copy or export it again."
        ) from error
