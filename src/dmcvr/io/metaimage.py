"""ITK's MetaImage (.mha, .mhd with its .raw or .zraw beside it): what a header claims, and the voxels.

SimpleITK reads these files too, but takes packed voxels that are damaged; here they are refused.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from dmcvr.errors import InputError
from dmcvr.io.claims import Claims, Frame
from dmcvr.io.nrrd import beside, decoded
from dmcvr.io.sniff import MAX_HEADER, MAX_LAYERS, content, head
from dmcvr.io.voxels import Described, check_claim

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip

#: MetaImage's world is LPS.
_TO_RAS = np.array([-1.0, -1.0, 1.0])


def describe_metaimage(path: Path) -> Described:
    """What a MetaImage file says of itself; its voxels follow the header, or are a file beside it."""
    start = head(path)
    end = re.search(rb"(?m)^[ \t]*ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n?", start)
    if end is None:
        raise InputError(f"{path.name} cannot be read as MetaImage: its header has no end; copy or export it again.")
    fields = _fields(start[: end.start()])
    try:
        dimensions = int(fields["ndims"])
        sizes = tuple(int(word) for word in fields["dimsize"].split())
        dtype = np.dtype(_TYPES[fields.get("elementtype", "").upper()])
        channels = int(fields.get("elementnumberofchannels", "1"))
        claims = _claims(fields, dimensions)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise InputError(
            f"{path.name} cannot be read as MetaImage (its header's {error} is missing or wrong): export it again."
        ) from error
    if len(sizes) != dimensions or min(sizes, default=0) < 1:
        raise InputError(f"{path.name} cannot be read as MetaImage: its sizes are damaged; export it again.")
    if channels != 1:
        raise InputError(f"{path.name} holds {channels} values a voxel (colours or vectors); expected one grey value.")
    if dtype.itemsize > 1:
        big = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "False"))
        dtype = dtype.newbyteorder(">" if _true(big) else "<")
    named = end[1].decode("utf-8", errors="replace").strip()
    local = named.upper() == "LOCAL"
    file = path if local else beside(path, named)
    offset = end.end() if local else 0
    check_claim(sizes, dtype, path.name, file)
    size = int(np.prod(sizes)) * dtype.itemsize
    encoding = "zlib" if _true(fields.get("compresseddata", "False")) else "raw"
    if not _true(fields.get("binarydata", "True")):
        encoding = "ascii"

    def load() -> Shaped[np.ndarray, ...]:
        limit = offset + size * (32 if encoding == "ascii" else 1) + MAX_HEADER
        data = content(file, limit=limit, layers=MAX_LAYERS if local else 0)[offset:]
        return decoded(data, sizes, dtype, encoding, path.name).reshape(sizes, order="F")

    return Described(sizes, dtype, claims, load)


def _fields(text: bytes) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in text.decode("utf-8", errors="replace").splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _claims(fields: dict[str, str], dimensions: int) -> Claims:
    """Axes from TransformMatrix (its rows are the image's axes), sizes from ElementSpacing, both of them LPS."""
    spacing = _numbers(fields, ("elementspacing", "elementsize"), dimensions) or [1.0] * dimensions
    matrix = _numbers(fields, ("transformmatrix", "rotation", "orientation"), dimensions**2)
    origin = _numbers(fields, ("offset", "position", "origin"), dimensions)
    zooms = (abs(spacing[0]), abs(spacing[1]), abs(spacing[2]))
    if matrix is None:
        return Claims((), zooms)
    axes = np.array(matrix).reshape(dimensions, dimensions)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = (axes * np.array(zooms)[:, None]).T * _TO_RAS[:, None]
    if origin is not None:
        affine[:3, 3] = np.array(origin[:3]) * _TO_RAS
    return Claims((Frame("transform", affine, scanner=True),), None)


def _numbers(fields: dict[str, str], names: tuple[str, ...], count: int) -> list[float] | None:
    for name in names:
        if name in fields:
            values = [float(word) for word in fields[name].split()]
            if len(values) != count:
                raise ValueError(name)
            return values
    return None


def _true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "yes")
