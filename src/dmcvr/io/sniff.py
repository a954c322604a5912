"""What a file holds, told by its first bytes and never by its name; and its bytes, unpacked where gzip packed them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from dmcvr.errors import InputError
from dmcvr.io.limits import MAX_BYTES

Kind = Literal["nifti", "pair", "analyze", "nrrd", "metaimage", "zip", "cvi42", "side file", "tar", ""]

#: The kinds that hold voxels on a grid.
IMAGES: tuple[Kind, ...] = ("nifti", "pair", "analyze", "nrrd", "metaimage")

#: Bytes of a header: those of a long NRRD sequence have a few lines for each of its frames.
MAX_HEADER = 2**22

#: More than the largest image and its header.
MAX_CONTENT = MAX_BYTES + MAX_HEADER

#: Some servers pack what is packed already.
MAX_LAYERS = 2

_GZIP = b"\x1f\x8b\x08"
_CHUNK = 2**18


def is_hidden(path: Path) -> bool:
    """Whether a file is none of the user's: `._x.nii.gz` and the like, which macOS leaves on disks of others."""
    return path.name.startswith(".")


def kind_of(path: Path) -> Kind:
    """What the file's first bytes say; "" for anything else (DICOM among it), and for a file that cannot be read."""
    try:
        start = head(path, 4096)
    except (OSError, InputError):
        return ""
    return kind_of_bytes(start)


def kind_of_bytes(start: bytes) -> Kind:
    """The same of a file's first bytes."""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start.startswith(b"NRRD000"):
        return "nrrd"
    if start.startswith(b"\x00\x05\x16\x07"):
        return "side file"
    if start[257:262] == b"ustar":
        return "tar"
    if b"circlecvi.com" in start or (start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"Hash:" in start):
        return "cvi42"
    if re.match(rb"[ -~\t\r\n]{24}", start) and re.search(rb"(?m)^\s*(NDims|DimSize)\s*=", start):
        return "metaimage"
    return _nifti_kind(start)


def _nifti_kind(start: bytes) -> Kind:
    for order in "<>":
        size = struct.unpack_from(f"{order}i", start.ljust(4, b"\0"))[0]
        if size == 540 and len(start) >= 540 and start[4:7] in (b"n+2", b"ni2"):
            return "nifti" if start[5:6] == b"+" else "pair"
        if size == 348 and len(start) >= 348:
            if start[344:347] in (b"n+1", b"ni1"):
                return "nifti" if start[345:346] == b"+" else "pair"
            if 1 <= struct.unpack_from(f"{order}h", start, 40)[0] <= 7:
                return "analyze"
    return ""


def head(path: Path, size: int = MAX_HEADER) -> bytes:
    """The first bytes of a file, unpacked; raises `OSError`, and `InputError` where they cannot be unpacked."""
    with path.open("rb") as file:
        start = file.read(size)
        for _ in range(MAX_LAYERS):
            if not start.startswith(_GZIP):
                break
            start = _unpacked_start(start, file, size, path.name)
            file.seek(0, 2)  # of a second layer, no more than the first gave
    return start


def content(path: Path, *, limit: int = MAX_CONTENT, layers: int = MAX_LAYERS) -> bytes:
    """The bytes of a file, unpacked and their checksums proved; of one that is not packed, the first `limit`.

    With `layers` 0 they are left as they are: voxels that look as if gzip had packed them are voxels.

    Raises `InputError` for a stream that is cut off, changed, or unpacks to more than `limit`.
    """
    with path.open("rb") as file:
        packed = layers > 0 and file.read(3) == _GZIP
        file.seek(0)
        data = file.read(MAX_CONTENT if packed else limit)
    for _ in range(layers):
        if data.startswith(_GZIP):
            data = gunzip(data, path.name, limit=limit)
    return data


def gunzip(data: bytes, name: str, *, limit: int) -> bytes:
    """The members of a gzip stream, joined; what follows the last one is passed over, as gzip itself does."""
    parts: list[bytes] = []
    room = limit + 1
    rest = data
    while rest.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(rest, room))
        except zlib.error as error:
            raise InputError(_damage(name, "its checksum or coding is wrong")) from error
        room -= len(parts[-1])
        if room <= 0:
            raise InputError(_damage(name, "it unpacks to more bytes than its header says"))
        if not unpacker.eof:
            raise InputError(_damage(name, "it is cut off"))
        rest = unpacker.unused_data
    return b"".join(parts)


def inflate(data: bytes, name: str, *, size: int, wbits: int = 47) -> bytes:
    """Exactly `size` bytes of a zlib or gzip stream, its checksum proved; raises `InputError`."""
    unpacker = zlib.decompressobj(wbits=wbits)
    try:
        found = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise InputError(_damage(name, "its checksum or coding is wrong")) from error
    if len(found) != size or not (unpacker.eof or _ends(unpacker, name)):
        raise InputError(_damage(name, "it holds another number of bytes than its header says, or is cut off"))
    return found


def _ends(unpacker: zlib._Decompress, name: str) -> bool:
    """Whether the stream ends here: its checksum comes after the last byte that it unpacks."""
    try:
        return not unpacker.decompress(unpacker.unconsumed_tail, 1) and unpacker.eof
    except zlib.error as error:
        raise InputError(_damage(name, "its checksum is wrong")) from error


def _unpacked_start(start: bytes, file: BinaryIO, size: int, name: str) -> bytes:
    unpacker, found = zlib.decompressobj(wbits=31), bytearray()
    for chunk in _chunks(start, file):
        try:
            found += unpacker.decompress(chunk, size - len(found))
        except zlib.error as error:
            raise InputError(_damage(name, "its checksum or coding is wrong")) from error
        if len(found) >= size or unpacker.eof:
            break
    return bytes(found)


def _chunks(start: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield start
    while chunk := file.read(_CHUNK):
        yield chunk


def _damage(name: str, how: str) -> str:
    return f"{name} is damaged: {how}; copy or export it again."
