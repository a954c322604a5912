"""What the scanner does to a heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.phantom import Scan, make_phantom
from dmcvr.phantom.frame import Grid, axis_samples
from dmcvr.phantom.scan import acquire

#: Coarse and small: for tests that need another exam.
SMALL = Scan(pixel_mm=2.0, size_px=80, spacing_mm=12.0)


def test_every_slice_shifts_on_its_own() -> None:
    scan = replace(SMALL, noise=0.0, bias=0.0)
    still, moved = make_phantom(4, scan), make_phantom(4, replace(scan, shift_mm=5.0))
    assert still.stack.labels is not None
    assert moved.stack.labels is not None
    np.testing.assert_array_equal(still.truth_image.data, moved.truth_image.data)
    shifts = []
    for n in range(2, 6):
        places = [
            [np.argwhere(labels[phase, n] > 0).mean(axis=0) for phase in (0, 1)]
            for labels in (still.stack.labels, moved.stack.labels)
        ]
        by_phase = np.subtract(places[1], places[0]) * 2.0
        np.testing.assert_allclose(by_phase[0], by_phase[1], atol=1.0)
        np.testing.assert_allclose(by_phase, [moved.shifts_mm[n]] * 2, atol=1.0)
        shifts.append(by_phase[0])
        before, after = still.stack.images[0, n], moved.stack.images[0, n]
        follows = ndimage.shift(before, by_phase.mean(axis=0) / 2.0, order=3, mode="nearest")
        assert np.abs(after - follows).mean() < 0.25 * np.abs(after - before).mean()
    assert 1 < np.std(shifts) < 12
    assert np.abs(np.diff(shifts, axis=0)).max() > 2


@pytest.mark.parametrize("thickness_mm", [2.0, 8.0, 12.0])
def test_a_thick_slice_blurs_a_step_into_a_ramp(thickness_mm: float) -> None:
    flat, fine_z = axis_samples(0, 20, 1.5), axis_samples(0, 200, 0.25)
    step = np.broadcast_to((fine_z > 0).astype(np.float32), (20, 20, 200))
    z = axis_samples(0, 21, 1.0)
    scan = Scan(thickness_mm=thickness_mm, noise=0.0)
    got = acquire(
        step, Grid(flat, flat, fine_z), Grid(flat, flat, z), scan, np.zeros((21, 2)), np.random.default_rng(0)
    )
    ramp = np.clip(0.5 + z / thickness_mm, 0, 1)
    np.testing.assert_allclose(got, np.broadcast_to(ramp[:, None, None], got.shape), atol=1e-5)


def test_noise_is_rician() -> None:
    grid = Grid(axis_samples(0, 60, 1.5), axis_samples(0, 60, 1.5), axis_samples(0, 8, 10))
    air = np.zeros(grid.shape, dtype=np.float32)
    scan = Scan(noise=0.05, thickness_mm=10.0)
    got = acquire(air, grid, grid, scan, np.zeros((8, 2)), np.random.default_rng(0))
    assert got.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.02)


@pytest.mark.parametrize(
    "wrong", [{"spacing_mm": 0.0}, {"noise": -1.0}, {"size_px": 4}, {"pixel_mm": float("nan")}, {"phases": 1}]
)
def test_an_impossible_scan_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="scan"):
        Scan(**wrong)  # type: ignore[arg-type]
