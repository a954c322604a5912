"""What every method gets."""

from __future__ import annotations

import numpy as np

from dmcvr.fill.method import Acquired
from dmcvr.labels.distances import shares


def test_a_segmenter_s_labels_are_one_heart() -> None:
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[:, 4:10, 4:10] = 1
    labels[0, 15, 15] = 1
    images, places = np.zeros(labels.shape, np.float32), np.arange(3.0)
    acquired = Acquired.segmented(images, places, lambda images, positions_mm: shares(labels), 1.5)
    labels[0, 15, 15] = 0
    np.testing.assert_array_equal(acquired.labels, labels)
    np.testing.assert_array_equal(acquired.probabilities.argmax(axis=1), labels)  # the stray piece's are gone, too
    inside = np.s_[:, :, 4:10, 4:10]
    np.testing.assert_array_equal(acquired.probabilities[inside], shares(labels)[inside])
    assert acquired.labels.dtype == np.uint8
    assert not acquired.labels_given
