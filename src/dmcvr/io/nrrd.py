"""NRRD, and 3D Slicer's sequences in it (teem.sourceforge.net/nrrd/format.html): what a header claims, the voxels.

SimpleITK reads these files too, but takes packed voxels whose checksum is wrong; here they are refused.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Shaped, UInt8

from dmcvr.errors import InputError
from dmcvr.io.claims import Claims, Frame
from dmcvr.io.pack import write_packed
from dmcvr.io.sniff import MAX_HEADER, MAX_LAYERS, content, head, inflate
from dmcvr.io.voxels import Described, check_claim

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names}

#: From the file's space to RAS+.
_SPACES = {
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1), "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1), "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "scanner-xyz": (-1, -1, 1),
}  # fmt: skip

_UNITS = {"m": "m", "cm": "cm", "mm": "mm", "um": "um", "micron": "um", "microns": "um"}


def describe_nrrd(path: Path) -> Described:
    """What an NRRD file says of itself: a detached header (.nhdr) names the file of its voxels, beside it."""
    start = head(path)
    end = re.search(rb"\r?\n\r?\n", start)
    attached = end is not None
    text = start[: end.start()] if end is not None else start
    fields = _fields(text, path.name)
    try:
        sizes = tuple(int(word) for word in fields["sizes"].split())
        dtype = np.dtype(_DTYPES[fields["type"].lower()])
        axes = _axes(fields, sizes, path.name)
        claims = _claims(fields, axes)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise InputError(
            f"{path.name} cannot be read as NRRD (its header's {error} is missing, wrong or not of an image): export "
            "it again."
        ) from error
    if dtype.itemsize > 1:
        dtype = dtype.newbyteorder(">" if fields.get("endian", "little").lower() == "big" else "<")
    encoding = fields.get("encoding", "raw").lower()
    detached = fields.get("data file") or fields.get("datafile")
    file = path if detached is None else beside(path, detached)
    if detached is None and not attached:
        raise InputError(f"{path.name} cannot be read as NRRD: its header has no end; copy or export it again.")
    offset = end.end() if detached is None and end is not None else 0
    shape = tuple(sizes[axis] for axis in axes)
    check_claim(shape, dtype, path.name, file)
    if fields.get("line skip", fields.get("lineskip", "0")) != "0" or fields.get("byte skip", "0") != "0":
        raise InputError(f"{path.name} skips bytes before its voxels, which is not read: export it again.")

    def load() -> Shaped[np.ndarray, ...]:
        layers = MAX_LAYERS if detached is None else 0
        data = content(file, limit=offset + _stored(sizes, dtype, encoding), layers=layers)[offset:]
        values = decoded(data, sizes, dtype, encoding, path.name)
        return values.reshape(sizes, order="F").transpose(axes)

    return Described(shape, dtype, claims, load)


def write_nrrd(
    path: Path, voxels: UInt8[np.ndarray, "I J K"], affine: Float64[np.ndarray, "4 4"], keys: Mapping[str, str]
) -> None:
    """Write bytes (I, J, K), packed, in the format's LPS frame; `affine` (4, 4) is voxel to RAS+ mm.

    `keys` are written as `key:=value` lines, in the order of the keys.
    """
    lps = np.diag([-1.0, -1.0, 1.0]) @ affine[:3] + 0.0  # no minus before a zero
    header = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(n) for n in voxels.shape)}",
        f"space directions: {' '.join(_vector(column) for column in lps[:, :3].T)}",
        "kinds: domain domain domain",
        "encoding: gzip",
        f"space origin: {_vector(lps[:, 3])}",
        *(f"{key}:={value}" for key, value in sorted(keys.items())),
    ]
    write_packed(path, [voxels.tobytes(order="F")], before=("\n".join(header) + "\n\n").encode())


def _vector(values: Float64[np.ndarray, " 3"]) -> str:
    return f"({','.join(np.format_float_positional(value, trim='-') for value in values)})"


def nrrd_keys(path: Path) -> dict[str, str]:
    """The `key:=value` lines of an NRRD header: what programs say of the image beyond the format."""
    text = re.split(rb"\r?\n\r?\n", head(path), maxsplit=1)[0].decode("utf-8", errors="replace")
    pairs = (line.split(":=", 1) for line in text.splitlines()[1:] if ":=" in line and line[0] != "#")
    return {key: value.replace("\\n", "\n").replace("\\\\", "\\") for key, value in pairs}


def decoded(data: bytes, sizes: tuple[int, ...], dtype: np.dtype, encoding: str, name: str) -> Shaped[np.ndarray, " N"]:
    """As many values as the sizes say, of one of NRRD's and MetaImage's encodings; raises `InputError`."""
    count = int(np.prod(sizes))
    size = count * dtype.itemsize
    if encoding in ("gzip", "gz", "zlib"):
        data = inflate(data, name, size=size)
    elif encoding in ("bzip2", "bz2"):
        unpacker = bz2.BZ2Decompressor()
        try:
            data = unpacker.decompress(data, size)
            ends = unpacker.eof or (unpacker.decompress(b"", 1) == b"" and unpacker.eof)
        except (OSError, EOFError) as error:
            raise InputError(f"{name} is damaged: its voxels cannot be unpacked; copy or export it again.") from error
        if not ends:
            raise InputError(f"{name} is damaged: its voxels are cut off or too many; copy or export it again.")
    elif encoding in ("ascii", "text", "txt"):
        try:
            values = np.array(data.split()[: count + 1], dtype=np.float64)
        except ValueError as error:
            raise InputError(f"{name} holds words where numbers should be: copy or export it again.") from error
        if values.size != count:
            raise InputError(f"{name} holds {values.size} values, its header says {count}: copy or export it again.")
        with np.errstate(all="ignore"):
            return values.astype(dtype)
    elif encoding != "raw":
        raise InputError(f"{name} is encoded as {encoding[:20]!r}, which is not read: save it raw or gzip.")
    if len(data) < size:
        raise InputError(f"{name} is shorter than its header says, so damaged or cut off: copy or export it again.")
    return np.frombuffer(data, dtype, count=count)


def beside(header: Path, name: str) -> Path:
    """The file of the voxels, in the header's own folder; raises `InputError` for any other place, and for several."""
    name = name.strip()
    if not name or len(name) > 255 or re.search(r"[/\\%\0]|^\.\.?$|^LIST\b", name):
        raise InputError(
            f"The voxels of {header.name} are said to be elsewhere ({name[:40]!r}); expected one file beside it: save "
            "the image as one file."
        )
    file = header.with_name(name)
    if not file.is_file():
        raise InputError(f"The voxels of {header.name} are not beside it ({name}): copy both files.")
    return file


def _stored(sizes: tuple[int, ...], dtype: np.dtype, encoding: str) -> int:
    """The most bytes that the voxels may take in their file."""
    count = int(np.prod(sizes))
    return count * (32 if encoding in ("ascii", "text", "txt") else dtype.itemsize) + MAX_HEADER


def _fields(text: bytes, name: str) -> dict[str, str]:
    """`field: value` of each line; comments and the `key:=value` lines of programs are passed over."""
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", errors="replace").splitlines()[1:]:
        match = re.match(r"([^:=#]+):(?!=)\s*(.*)$", line)
        if match:
            fields.setdefault(match[1].strip().lower(), match[2].strip())
    if not fields:
        raise InputError(f"{name} cannot be read as NRRD: its header is empty; copy or export it again.")
    return fields


def _axes(fields: dict[str, str], sizes: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Which stored axes are those of space, then the others: Slicer's sequences have time first."""
    if int(fields["dimension"]) != len(sizes) or not 1 <= len(sizes) <= 16 or min(sizes) < 1:
        raise ValueError("sizes")
    kinds = fields.get("kinds", "").lower().split()
    directions = _vectors(fields.get("space directions", ""))
    if directions:
        space = [axis for axis, vector in enumerate(directions) if vector is not None]
    elif kinds:
        space = [axis for axis, kind in enumerate(kinds) if kind in ("domain", "space")]
    else:
        space = list(range(min(3, len(sizes))))
    if len(space) == 4:
        space = space[:3]  # time as one more axis of space, as ITK writes it
    if len(space) != 3 or max(space) >= len(sizes):
        raise InputError(f"{name} has {len(space)} axes of space; expected three: give the whole short-axis stack.")
    rest = [axis for axis in range(len(sizes)) if axis not in space]
    colours = [axis for axis in rest if axis < len(kinds) and ("color" in kinds[axis] or "matrix" in kinds[axis])]
    if colours:
        raise InputError(f"{name} holds colours or tensors; expected one grey value a voxel.")
    return (*space, *rest)


def _claims(fields: dict[str, str], axes: tuple[int, ...]) -> Claims:
    directions = _vectors(fields.get("space directions", ""))
    units = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))
    unit = _UNITS.get(units[0].lower()) if units else None
    if not directions:
        spacings = [float(word) for word in fields.get("spacings", "1 1 1").split()]
        zooms = [abs(spacings[axis]) for axis in axes[:3]]
        return Claims((), (zooms[0], zooms[1], zooms[2]), unit)
    signs = _SPACES.get(re.sub(r"-time$", "", fields.get("space", "").lower()), (-1, -1, 1))
    affine: Float64[np.ndarray, "4 4"] = np.eye(4)
    columns = [directions[axis] for axis in axes[:3]]
    affine[:3, :3] = np.array([list(vector or ())[:3] for vector in columns], dtype=np.float64).T
    origin = _vectors(fields.get("space origin", ""))
    if origin and origin[0] is not None:
        affine[:3, 3] = list(origin[0])[:3]
    affine[:3] *= np.array(signs, dtype=np.float64)[:, None]
    return Claims((Frame("space directions", affine, scanner=True),), None, unit)


def _vectors(text: str) -> list[tuple[float, ...] | None]:
    """`(1,0,0) none (0,1,0)` as numbers, None for none."""
    number: Callable[[str], float] = float
    found: list[tuple[float, ...] | None] = []
    for word in re.findall(r"none|\([^()]*\)", text, flags=re.IGNORECASE):
        values = None if word[0] in "nN" else tuple(number(part) for part in word[1:-1].split(","))
        found.append(None if values is None or not np.isfinite(values).all() else values)
    return found
