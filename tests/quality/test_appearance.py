"""Scores of the look against values of piq 0.8 (the authors' definitions), and spectra in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dmcvr.quality.appearance import FINE_MM, MIDDLE_MM, MS_SSIM_WEIGHTS, gmsd, haarpsi, ms_ssim, spectrum, vif

RNG = np.random.default_rng(0)
SMOOTH = gaussian_filter(RNG.random((128, 128)), 1.5)
TRUTH = (SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH)
BLURRED = gaussian_filter(TRUTH, 1.0)
NOISY = np.clip(TRUTH + 0.1 * RNG.standard_normal(TRUTH.shape), 0, 1)


@pytest.mark.parametrize(
    ("score", "blurred", "noisy", "tolerance"),
    [  # borders are treated differently in HaarPSI and MS-SSIM
        (haarpsi, 0.8565, 0.6888, 2e-3),
        (gmsd, 0.03378, 0.07477, 1e-5),
        (vif, 0.58231, 0.24137, 1e-4),
        (ms_ssim, 0.97622, 0.93525, 2e-3),
    ],
)
def test_as_published(score: object, blurred: float, noisy: float, tolerance: float) -> None:
    assert callable(score)
    assert score(BLURRED, TRUTH) == pytest.approx(blurred, abs=tolerance)
    assert score(NOISY, TRUTH) == pytest.approx(noisy, abs=tolerance)
    assert score(TRUTH, TRUTH) == pytest.approx(0 if score is gmsd else 1, abs=1e-5)


def test_weights_of_the_scales_add_up() -> None:
    assert sum(MS_SSIM_WEIGHTS) == pytest.approx(1)


def test_an_empty_slice_has_a_score() -> None:
    nothing = np.zeros((128, 128))
    assert haarpsi(nothing, nothing) == 1
    assert haarpsi(nothing, TRUTH) < 0.2
    assert gmsd(nothing, nothing) == 0


def test_a_wave_is_a_structure_of_half_its_length() -> None:
    """Waves of 4 and 8 mm at 1.5 mm: structures of 2 and 4 mm. Half the amplitude is a quarter of the energy."""
    x = 1.5 * np.arange(128)
    fine, middle = (np.tile(np.sin(2 * np.pi * x / length), (128, 1)) for length in (4.0, 8.0))
    truth = 0.5 + 0.1 * fine + 0.2 * middle
    drawn = 0.7 + 0.05 * fine + 0.2 * middle
    assert spectrum(drawn, truth, 1.5, FINE_MM) == pytest.approx(0.25, rel=1e-3)
    assert spectrum(drawn, truth, 1.5, MIDDLE_MM) == pytest.approx(1, rel=1e-3)
    assert spectrum(drawn.T, truth, 1.5, FINE_MM) == pytest.approx(0.25, rel=1e-3)
