"""Labels that are no heart: something is said of them, or nothing, and never an exception."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.anatomy.complete import Anatomy
from dmcvr.anatomy.coverage import Coverage
from dmcvr.labels.distances import scores_of, signed_distances


@pytest.mark.misuse
@pytest.mark.parametrize("seed", range(30))
def test_blobs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(2, 14)), int(rng.integers(32, 65))
    noise = ndimage.gaussian_filter(rng.normal(size=(4, count, size, size)), (0, *rng.uniform(0.3, 6, 3)))
    labels = noise.argmax(axis=0).astype(np.uint8)
    for structure in range(1, 4):
        if rng.uniform() < 0.25:
            labels[labels == structure] = 0
        if rng.uniform() < 0.4:
            labels[(labels == structure) & (np.arange(count) < rng.integers(count + 1))[:, None, None]] = 0
    positions = np.cumsum(rng.uniform(3, 15, count))
    anatomy = Anatomy.of(labels[None], positions, 1.5)
    assert 0 <= Coverage.of(anatomy, completed=True).open_mm < 200
    heights = np.linspace(positions[0] - 5, positions[-1] + 5, 12)
    scores = scores_of(signed_distances(labels[np.linspace(0, count - 1, 12).astype(int)]))
    whole = anatomy.complete(scores, heights, 0)
    assert np.isfinite(whole.scores).all()
