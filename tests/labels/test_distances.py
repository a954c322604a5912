"""Labels as numbers: distances, shares and probabilities of shapes known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.labels.distances import ABSENT, probabilities, scores_of, shares, signed_distances


def discs(*radii: float) -> np.ndarray:
    """(N, 33, 33) discs of LV cavity around pixel (16, 16)."""
    away = np.hypot(*np.mgrid[-16:17, -16:17])
    return np.stack([(away < radius).astype(np.uint8) for radius in radii])


def test_signed_distances_by_hand() -> None:
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 2:7, 2:7] = 2
    labels[0, 4, 4] = 1
    distances = signed_distances(labels)
    assert distances[0, 0, 4, 4] == -0.5
    assert distances[0, 0, 4, 6] == 1.5
    assert distances[0, 1, 4, 4] == -2.5
    assert distances[0, 1, 0, 4] == 1.5
    np.testing.assert_array_equal(distances[0, 2], ABSENT)  # no RV: far from everywhere
    np.testing.assert_array_equal(scores_of(distances).argmax(axis=1), labels)


def test_a_slice_that_is_all_structure_is_deep_inside() -> None:
    distances = signed_distances(np.full((1, 8, 8), 3, np.uint8))
    np.testing.assert_array_equal(distances[0, 2], -ABSENT)
    np.testing.assert_array_equal(distances[0, :2], ABSENT)


def test_scores_keep_any_labels() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (2, 12, 12)).astype(np.uint8)
    for scores in (shares(labels), probabilities(labels)):
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(scores.argmax(axis=1), labels)


def test_probabilities_by_hand() -> None:
    """Half a pixel inside a lone cavity: cavity 0.5, wall -0.5 (all LV is cavity), background -0.5, RV far away."""
    found = probabilities(discs(6))
    weights = np.exp([-0.5, 0.5, -0.5, -ABSENT])
    np.testing.assert_allclose(found[0, :, 16, 21], weights / weights.sum(), atol=1e-6)
    assert found[0, 1, 16, 16] > 0.99


def test_the_mean_of_two_rims_has_its_border_half_way() -> None:
    labels = discs(6, 12)
    between = scores_of(signed_distances(labels).mean(axis=0, keepdims=True)).argmax(axis=1)[0]
    np.testing.assert_array_equal(between[16] == 1, np.abs(np.arange(-16, 17)) < 9)
    sure = probabilities(labels).mean(axis=0).argmax(axis=0)[16] == 1
    assert sure.sum() == pytest.approx(2 * 9 - 1, abs=2)
