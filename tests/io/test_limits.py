"""What a file may claim."""

from __future__ import annotations

import pytest

from dmcvr.errors import InputError
from dmcvr.io.limits import MAX_VOXELS, check_size


def test_the_largest_cine_passes_and_no_more() -> None:
    check_size((512, 512, 20, 50), "x")
    check_size((MAX_VOXELS,), "x")
    with pytest.raises(InputError, match=r"x claims 300000001 voxels \(1.1 GiB\)"):
        check_size((MAX_VOXELS + 1,), "x")
    with pytest.raises(InputError, match=r"2.2 GiB"):
        check_size((MAX_VOXELS,), "x", bytes_a_voxel=8)
