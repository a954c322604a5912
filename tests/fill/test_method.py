"""What every method gets."""

from __future__ import annotations

import numpy as np

from dmcvr.fill.method import Acquired
from dmcvr.labels.distances import shares


def test_a_segmenter_s_labels_are_one_heart() -> None:
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[:, 4:10, 4:10] = 1
    labels[0, 15, 15] = 1
    acquired = Acquired.segmented(np.zeros(labels.shape, np.float32), lambda images: shares(labels), 1.5)
    labels[0, 15, 15] = 0
    np.testing.assert_array_equal(acquired.labels, labels)
    assert acquired.labels.dtype == np.uint8
    assert not acquired.labels_given
