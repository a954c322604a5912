"""Every metric on a case whose value is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.quality.metrics import (
    MISSED_MM,
    assd_mm,
    correlation,
    dice,
    flicker,
    hd95_mm,
    psnr_db,
    ssim,
    surface_distances_mm,
)


def test_image_metrics() -> None:
    a = np.zeros((16, 16))
    assert psnr_db(a, a + 0.1) == pytest.approx(20.0)
    assert ssim(a, a) == 1.0
    # Two flat images: SSIM is its luminance term, (2 a b + C1) / (a^2 + b^2 + C1), C1 = 0.01^2.
    assert ssim(a + 0.2, a + 0.4) == pytest.approx((2 * 0.08 + 1e-4) / (0.04 + 0.16 + 1e-4))
    ramp = np.tile(np.linspace(0, 1.5, 16), (16, 1))
    assert correlation(ramp, 3 - 2 * ramp) == pytest.approx(-1)
    assert np.isnan(correlation(ramp, a))


def test_flicker() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (20, 64, 64))
    assert flicker(noise) == pytest.approx(0.05, rel=0.02)
    assert flicker(noise + np.random.default_rng(1).random((64, 64))) == pytest.approx(flicker(noise))  # still
    assert flicker(np.ones((5, 4))) == 0
    assert flicker(np.array([0.0, 0.0, 1.0])) == pytest.approx(np.sqrt((1 + 1 + 4) / 3 / 6))  # the last meets the first
    swing = np.sin(2 * np.pi * np.arange(30) / 30)[:, None]
    step = 2 - 2 * np.cos(2 * np.pi / 30)  # a sine's second difference is itself, times this
    assert flicker(swing) == pytest.approx(step * np.sqrt(0.5 / 6))
    with pytest.raises(ValueError, match="three frames"):
        flicker(noise[:2])


def test_dice() -> None:
    mask = np.arange(8) < 4
    assert dice(mask, np.arange(8) < 2) == pytest.approx(2 * 2 / 6)
    assert dice(mask, ~mask) == 0


def test_surface_distances() -> None:
    """Two squares of 11 pixels, one moved by 3: its far sides are 3 away, and borders that slide are 0 away."""
    a = np.zeros((32, 32), dtype=bool)
    a[5:16, 5:16] = True
    assert hd95_mm(a, a, (1.0, 1.0)) == 0 == assd_mm(a, a, (1.0, 1.0))
    b = np.roll(a, 3, axis=0)
    assert hd95_mm(a, b, (1.5, 1.0)) == pytest.approx(4.5)
    assert hd95_mm(a, b, (1.0, 1.5)) == pytest.approx(3.0)
    line, beside = np.zeros((8, 8), dtype=bool), np.zeros((8, 8), dtype=bool)
    line[2], beside[4] = True, True
    assert assd_mm(line, beside, (2.0, 1.0)) == pytest.approx(4.0)
    cube = np.zeros((12, 12, 12), dtype=bool)
    cube[2:7, 2:7, 2:7] = True
    assert hd95_mm(cube, np.roll(cube, 2, axis=0), (2.5, 1.5, 1.5)) == pytest.approx(5.0)


def test_empty_structures() -> None:
    """Nothing to compare is nan; a missed or invented structure is the worst there is."""
    some, none = np.ones((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    assert np.isnan(dice(none, none))
    assert np.isnan(hd95_mm(none, none, (1, 1)))
    for a, b in ((some, none), (none, some)):
        assert dice(a, b) == 0
        assert hd95_mm(a, b, (1, 1)) == assd_mm(a, b, (1, 1)) == MISSED_MM


def test_surface_distances_by_region() -> None:
    """Everywhere they are HD95 and ASSD; in a region its own borders count, with their distance to the other's all."""
    rng = np.random.default_rng(0)
    cube = np.zeros((24, 24, 24), dtype=bool)
    cube[4:20, 6:18, 6:18] = True
    other = np.zeros_like(cube)
    other[4:17, 6:18, 6:18] = True  # three voxels are missing at the far end alone
    other[rng.integers(5, 15, 5), 6, rng.integers(7, 17, 5)] = False
    spacing = (2.0, 1.5, 1.0)
    assert surface_distances_mm(cube, other, spacing) == pytest.approx(
        (hd95_mm(cube, other, spacing), assd_mm(cube, other, spacing))
    )
    ends = {name: np.zeros_like(cube) for name in ("near", "far", "outside")}
    ends["near"][:10], ends["far"][14:], ends["outside"][:, :2] = True, True, True
    near, far = (surface_distances_mm(cube, other, spacing, ends[name])[1] for name in ("near", "far"))
    assert near < 0.2 < 2 < far
    assert np.isnan(surface_distances_mm(cube, other, spacing, ends["outside"])).all()
    assert surface_distances_mm(cube, cube, spacing, ends["far"]) == (0, 0)


def test_surface_distances_of_what_is_missing() -> None:
    mask, none, far = np.zeros((3, 8, 8, 8), dtype=bool)
    mask[2:5, 2:5, 2:5], far[6:] = True, True
    assert surface_distances_mm(mask, none, (1, 1, 1)) == (MISSED_MM, MISSED_MM)
    assert surface_distances_mm(none, mask, (1, 1, 1), ~far) == (MISSED_MM, MISSED_MM)
    assert np.isnan(surface_distances_mm(none, mask, (1, 1, 1), far)).all()
    assert np.isnan(surface_distances_mm(none, none, (1, 1, 1))).all()
