"""What blur takes comes back; what is sharp stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.fill.sharpen import MOST, restore_sharpness
from dmcvr.quality.metrics import sharpness


@pytest.fixture
def slices() -> np.ndarray:
    rough = np.random.default_rng(0).normal(0, 1, (2, 64, 64))
    return np.clip(ndimage.gaussian_filter(rough, (0, 1.5, 1.5)) * 2, -1, 1).astype(np.float32)


def test_a_blurred_slice_is_as_sharp_as_wanted(slices: np.ndarray) -> None:
    blurred = ndimage.gaussian_filter(slices, (0, 0.8, 0.8))
    wanted = np.array([sharpness(image) for image in slices])
    back = restore_sharpness(blurred, wanted)
    assert [sharpness(image) for image in back] == pytest.approx(wanted, rel=0.01)
    assert np.square(back - slices).mean() < 0.5 * np.square(blurred - slices).mean()
    assert np.abs(back).max() <= 1


def test_what_is_sharp_stays(slices: np.ndarray) -> None:
    assert (restore_sharpness(slices, np.zeros(2)) == slices).all()
    assert (restore_sharpness(slices, np.array([sharpness(image) for image in slices])) == slices).all()


def test_there_is_a_limit(slices: np.ndarray) -> None:
    most = restore_sharpness(slices, np.full(2, 100.0))
    detail = slices - np.stack([ndimage.gaussian_filter(image, 1.0) for image in slices])
    np.testing.assert_allclose(most, np.clip(slices + MOST * detail, -1, 1), atol=1e-6)
