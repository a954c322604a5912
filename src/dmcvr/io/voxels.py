"""What every image format gives: a shape, a type, the claims of its place, and the way to its voxels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from dmcvr.errors import InputError
from dmcvr.io.claims import Claims
from dmcvr.io.limits import check_size

#: The most that deflate can pack into one byte: a file that claims more holds less than it claims.
MAX_DEFLATE = 1032


@dataclass(frozen=True)
class Described:
    """An image file, its voxels unread.

    =========  ==============================================================
    shape      three axes of space, then time, then what there is
    dtype      of the voxels as they are stored
    claims     where the image says that it lies
    load       the voxels in that shape; raises `InputError` for a damaged file
    warnings   sentences: what the format cannot say
    =========  ==============================================================
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    claims: Claims
    load: Callable[[], Shaped[np.ndarray, ...]]
    warnings: tuple[str, ...] = ()


def check_claim(shape: tuple[int, ...], dtype: np.dtype, name: str, file: Path, *, packed: bool = True) -> None:
    """Raise `InputError` for a shape that is no image's, is larger than any exam, or than its file can hold."""
    if not 3 <= len(stripped(shape)) <= 4 or min(shape) < 1:
        raise InputError(f"Expected a 3D or 4D image; {name} has the shape {shape}: give the whole stack.")
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise InputError(f"{name} holds colours or complex numbers; expected one grey value a voxel.")
    check_size(shape, name, bytes_a_voxel=dtype.itemsize)
    if math.prod(shape) * dtype.itemsize > file.stat().st_size * (MAX_DEFLATE if packed else 1):
        raise InputError(f"{name} is shorter than its header says, so damaged or cut off: copy or export it again.")


def stripped(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without the axes of length 1 after the third."""
    return (*shape[:3], *(count for count in shape[3:] if count != 1))
