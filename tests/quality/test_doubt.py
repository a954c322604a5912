"""How likely a label is to be another."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hearts import cone
from scipy.special import softmax

from dmcvr.labels.distances import scores_of, signed_distances
from dmcvr.quality.doubt import BORDER_MM, LARGEST, RIGHT, doubt


def test_an_acquired_slice_is_as_unsure_as_its_probabilities_say() -> None:
    scores = softmax(scores_of(signed_distances(cone()[0])), axis=1).astype(np.float32)
    found = doubt(scores, np.zeros(len(scores)), 1.5)
    np.testing.assert_allclose(found, 1 - scores.max(axis=1), atol=1e-5)


def test_between_slices_it_is_what_was_found_true_there() -> None:
    assert np.all(np.diff(RIGHT, axis=1) >= 0)
    assert np.all((RIGHT >= 0) & (RIGHT <= 1))
    scores = np.zeros((1, 4, 4, 4), np.float32)
    scores[:, 0], scores[:, 1] = 0.7, 0.3
    assert doubt(scores, np.array([5.0]), 1.5) == pytest.approx(1 - RIGHT[1][LARGEST == 0.7].item(), abs=1e-5)
    assert doubt(scores, np.array([30.0]), 1.5) == pytest.approx(1 - RIGHT[2][LARGEST == 0.7].item(), abs=1e-5)


def test_distances_tell_by_the_nearest_border() -> None:
    scores = scores_of(signed_distances(cone()[0]))
    found = doubt(scores, np.full(len(scores), 5.0), 1.0)
    labels = scores.argmax(axis=1)
    border = labels[0, 1:] != labels[0, :-1]
    assert found[0, 1:][border].min() > 0.4
    assert found[0, 0, 0] < 0.001
    assert found.max() <= 0.5
    assert BORDER_MM > 0


def test_a_slice_without_a_border_leaves_no_doubt() -> None:
    scores = np.zeros((1, 4, 6, 6), np.float32)
    scores[:, 0] = 9
    assert not doubt(scores, np.array([5.0]), 1.0).any()
