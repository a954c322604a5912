"""Gzip, in one place: files fast, by Intel's storage library (ISA-L), and what goes into a page small, by zlib.

ISA-L packs floats ten times as fast as zlib, and as small; bytes of grey a quarter larger.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from isal import isal_zlib

#: Of ISA-L's 0 to 3, the smallest.
LEVEL = 3

#: zlib's number for gzip around a stream, as large a window as there is.
_GZIP = 31


def packed(data: bytes) -> bytes:
    """As small as zlib usually makes it; the same bytes give the same bytes."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def write_packed(path: Path, parts: Iterable[bytes], *, before: bytes = b"") -> None:
    """Write these parts as one gzip stream, one after the other; `before` it stands what is not packed."""
    packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _GZIP)
    with path.open("wb") as file:
        file.write(before)
        for part in parts:
            file.write(packer.compress(part))
        file.write(packer.flush())
