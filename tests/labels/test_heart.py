"""A heart tapers, and its wall is closed around a cavity."""

from __future__ import annotations

import numpy as np
from helpers.hearts import cone

from dmcvr.labels.heart import HeartSeen

PLACES = np.arange(6) * 10.0


def missing(labels: np.ndarray, apart_mm: float = 10.0) -> str | None:
    return HeartSeen.of(labels, np.arange(labels.shape[1]) * apart_mm).missing


def test_a_heart_lacks_nothing() -> None:
    seen = HeartSeen.of(cone(), PLACES)
    assert (seen.enclosed, seen.rings, seen.missing) == (1, 6, None)
    assert missing(cone()[:, :2]) is None  # two slices are few, and no fault of theirs
    assert missing(np.concatenate([np.zeros_like(cone()), cone()])) is None  # a phase with a heart is enough


def test_nothing() -> None:
    assert missing(np.zeros((1, 6, 40, 40), np.uint8)) == "no left ventricle with a wall was found"
    cavities = np.where(cone() == 2, 0, cone()).astype(np.uint8)
    assert missing(cavities) == "no left ventricle with a wall was found"


def test_an_open_wall() -> None:
    labels = cone()
    labels[:, :, :, :22][labels[:, :, :, :22] == 2] = 0
    assert "% of the cavity's border alone" in str(missing(labels))


def test_a_ring_in_one_slice_alone() -> None:
    labels = cone()
    labels[:, 1:] = 0
    assert missing(labels) == "a wall closed around a cavity was found in 1 of 6 slices"


def test_a_tube_is_no_heart() -> None:
    tube = np.repeat(cone()[:, :1], 6, axis=1)
    assert "as large in each of 6 slices" in str(missing(tube))
    assert missing(tube, apart_mm=5.0) is None  # over 25 mm a ventricle's middle looks so
