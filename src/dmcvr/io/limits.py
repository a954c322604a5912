"""What a file may claim: anything larger is refused before memory is taken for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dmcvr.errors import InputError

#: More voxels than any cine exam has (512 x 512 pixels, 20 slices, 50 phases are 262 million).
MAX_VOXELS = 300_000_000

#: Bytes of one image in memory as its file stores it.
MAX_BYTES = 2**31

#: Files looked at in one folder.
MAX_FILES = 100_000


def check_size(shape: Sequence[int], name: str, *, bytes_a_voxel: int = 4) -> None:
    """Raise `InputError` if an image of this shape is larger than any exam."""
    voxels = math.prod(shape)
    if voxels > MAX_VOXELS or voxels * bytes_a_voxel > MAX_BYTES:
        size = " x ".join(map(str, shape))
        raise InputError(
            f"{name} claims {size} voxels ({voxels * bytes_a_voxel / 2**30:,.1f} GiB), more than any cine exam has: "
            "the header is damaged, or this is another kind of file."
        )
