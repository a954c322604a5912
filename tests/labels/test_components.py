"""One heart is kept."""

from __future__ import annotations

import numpy as np

from dmcvr.labels.components import keep_one_heart, largest_component


def test_stray_pieces_go() -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:8, 2:8, 2:8] = 2
    labels[4:6, 4:6, 4:6] = 1
    labels[3, 3, 3] = 1  # a stray piece of cavity in the wall
    labels[10, 10, 10] = 2
    labels[9:11, 2:5, 2:5] = 3
    labels[0, 11, 0] = 3
    kept = keep_one_heart(labels)
    wanted = labels.copy()
    wanted[3, 3, 3], wanted[10, 10, 10], wanted[0, 11, 0] = 2, 0, 0
    np.testing.assert_array_equal(kept, wanted)
    np.testing.assert_array_equal(keep_one_heart(np.zeros_like(labels)), 0)


def test_pieces_that_touch_at_a_corner_are_two() -> None:
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, :2] = True
    mask[1, 1, 2:] = mask[1, 2, 2] = True
    np.testing.assert_array_equal(np.argwhere(largest_component(mask)), [[1, 1, 2], [1, 1, 3], [1, 2, 2]])
