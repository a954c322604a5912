"""What a file may claim."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.io.limits import MAX_VOXELS, check_axes, check_size, misfit


def test_the_largest_cine_passes_and_no_more() -> None:
    check_size((512, 512, 20, 50), "x")
    check_size((MAX_VOXELS,), "x")
    with pytest.raises(InputError, match=r"x claims 300000001 voxels \(1.1 GiB\)"):
        check_size((MAX_VOXELS + 1,), "x")
    with pytest.raises(InputError, match=r"2.2 GiB"):
        check_size((MAX_VOXELS,), "x", bytes_a_voxel=8)


@pytest.mark.parametrize(
    "spacing", [(0.7, 0.7, 5), (1.95, 1.95, 10), (1.4, 1.4, 17.7), (1.25, 1.5, 8), (1.4, 1.4, 1.4)]
)
def test_exams_as_scanners_make_them_pass(spacing: tuple[float, float, float]) -> None:
    assert misfit((256, 216, 10 if spacing[2] > 2 else 80), np.array(spacing)) == ""
    assert misfit((40, 40, 6), np.array([0.8, 0.8, 4.0])) == ""  # a newborn's heart, cropped


def test_one_slice_has_no_gap() -> None:
    assert misfit((256, 216, 1), np.array([1.4, 1.4, 1000.0])) == ""


def test_time_or_slices_first_are_refused() -> None:
    check_axes((216, 256, 10, 25), "x")
    check_axes((100, 90, 80), "x")
    for shape in ((25, 216, 256, 10), (10, 216, 256)):
        with pytest.raises(InputError, match="slices or time as its first axis"):
            check_axes(shape, "x")
