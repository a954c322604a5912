"""A disc of muscle in lung is no cavity in a wall."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hearts import cone

from dmcvr.labels.cap import with_cap

#: Of lung, blood of the left ventricle, muscle, blood of the right one: in [-1, 1].
GREY = np.array([-0.95, 0.8, -0.4, 0.7], dtype=np.float32)


@pytest.mark.parametrize("turned", [False, True])
def test_what_lies_beyond_the_last_blood(turned: bool) -> None:
    labels = cone()[0]
    images = GREY[labels]
    images[-1] = np.where(labels[-1] == 1, GREY[2], GREY[0])  # a disc of muscle
    images[-2][labels[-2] == 2] = -0.5  # a shaded wall is one
    if turned:
        labels, images = labels[::-1], images[::-1]
    kept = with_cap(labels, images)
    last = 0 if turned else -1
    np.testing.assert_array_equal(kept[last], np.select([labels[last] == 1, labels[last] == 3], [2, 3], 0))
    np.testing.assert_array_equal(np.delete(kept, last, axis=0), np.delete(labels, last, axis=0))


def test_blood_in_the_dark_stays_and_so_does_nothing() -> None:
    labels = cone()[0]
    images = GREY[labels]
    images[-1][labels[-1] == 2] = -0.95
    np.testing.assert_array_equal(with_cap(labels, images), labels)
    for bare in (labels * 0, np.where(labels == 2, 0, labels).astype(np.uint8)):
        np.testing.assert_array_equal(with_cap(bare, images), bare)
