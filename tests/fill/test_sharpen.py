"""What blur takes comes back; what is sharp stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.fill.sharpen import DETAIL_PX, MOST, restore_sharpness, sharpness


@pytest.fixture
def slices() -> np.ndarray:
    rough = np.random.default_rng(0).normal(0, 1, (2, 64, 64))
    return np.clip(ndimage.gaussian_filter(rough, (0, 1.5, 1.5)) * 2, -1, 1).astype(np.float32)


def wave(amplitude: float) -> np.ndarray:
    """(64, 64) a cosine whose mirror images go on smoothly: a Gaussian only scales it."""
    row = amplitude * np.cos(np.pi * 12 * (np.arange(64) + 0.5) / 64)
    return np.broadcast_to(row, (64, 64)).astype(np.float32)


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    i, j = np.indices((16, 16)).astype(float)
    assert sharpness(0.1 * i) == pytest.approx(0.1)
    assert sharpness(0.3 * i - 0.4 * j) == pytest.approx(0.5)
    assert sharpness(np.full((4, 4), 7.0)) == 0


def test_a_wave_is_amplified_to_what_is_wanted() -> None:
    """Detail of a wave is the same wave: half as sharp again is half as high again."""
    image = wave(0.2)
    sharper = restore_sharpness(image[None], np.array([1.5 * sharpness(image)]))
    np.testing.assert_allclose(sharper[0], wave(0.3), atol=1e-3)


def test_a_blurred_slice_is_as_sharp_as_wanted(slices: np.ndarray) -> None:
    blurred = ndimage.gaussian_filter(slices, (0, 0.8, 0.8))
    wanted = np.array([sharpness(image) for image in slices])
    back = restore_sharpness(blurred, wanted)
    assert [sharpness(image) for image in back] == pytest.approx(wanted, rel=0.005)
    assert np.square(back - slices).mean() < 0.5 * np.square(blurred - slices).mean()  # and nearer to what it was
    assert np.abs(back).max() <= 1


def test_what_is_sharp_stays(slices: np.ndarray) -> None:
    assert (restore_sharpness(slices, np.zeros(2)) == slices).all()
    assert (restore_sharpness(slices, np.array([sharpness(image) for image in slices])) == slices).all()


def test_there_is_a_limit(slices: np.ndarray) -> None:
    most = restore_sharpness(slices, np.full(2, 100.0))
    detail = slices - np.stack([ndimage.gaussian_filter(image, DETAIL_PX) for image in slices])
    np.testing.assert_allclose(most, np.clip(slices + MOST * detail, -1, 1), atol=1e-6)
