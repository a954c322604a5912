"""Labels that are no heart: a template or none, never an exception."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.surface.borders import Borders
from dmcvr.surface.fit import fit_template


@pytest.mark.misuse
@pytest.mark.parametrize("seed", range(12))
def test_blobs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(12, 40, 3))
    noise = ndimage.gaussian_filter(rng.normal(size=(4, *shape)), (0, *rng.uniform(0.5, 4, 3)))
    labels = noise.argmax(axis=0).astype(np.uint8)
    if seed % 3 == 0:
        labels[labels == 3] = 0
        labels[-3:, -3:, -3:] = 3
    if seed % 4 == 1:
        labels[:, :, : shape[2] // 2] = 0
    fitted = fit_template([Borders.of(labels, np.diag([1.5, 1.5, 2.0, 1.0]), None)])
    assert fitted is None or np.isfinite(fitted.vertices_mm).all()
