"""Voxels and their place in the world."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume, slice_affines


def test_sizes_of_an_oblique_left_handed_grid() -> None:
    turn = np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.5, 2.0, 4.0])
    volume = Volume(np.zeros((1, 2, 3, 4)), affine)
    assert volume.spacing_mm == pytest.approx((1.5, 2.0, 4.0))
    assert volume.voxel_ml == pytest.approx(0.012)


def test_slices_follow_the_third_axis() -> None:
    affine = np.array([[1, 0, 0.5, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1.0]])
    affines = slice_affines(affine, 3)
    np.testing.assert_array_equal(affines[:, :, :3], np.repeat(affine[None, :, :3], 3, axis=0))
    np.testing.assert_array_equal(affines[:, :3, 3], [[10, 20, 30], [10.5, 20, 33], [11, 20, 36]])


@pytest.mark.misuse
def test_a_volume_has_phases_first() -> None:
    with pytest.raises(InputError, match=r"Expected a volume as \(phases, i, j, k\); got shape \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 4)), np.eye(4))
