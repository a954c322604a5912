"""Shifts that tracks share, beside the curves that hearts are: against ones that were put in."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.geometry.smooth_axis import Track, shifts_of

HEIGHTS = np.arange(10) * 10.0


def tracks(shifts: np.ndarray, *, seed: int = 0, noise_mm: float = 0.2, heights: np.ndarray = HEIGHTS) -> list[Track]:
    """Four structures of one heart, each leaning and bent its own way, moved by shifts (N, 2), with noise."""
    rng = np.random.default_rng(seed)
    t = (heights - heights.mean())[:, None] / 40
    found = []
    for name, bend in (("cavity", 1.0), ("whole", 1.0), ("right", 4.0), ("grey", 1.5)):
        lean, curve, twist = rng.uniform(-8, 8, 2), rng.uniform(-bend, bend, 2), rng.uniform(-bend, bend, 2) / 2
        place = rng.uniform(-50, 50, 2) + lean * t + curve * t**2 + twist * t**3
        place = place + shifts + rng.normal(0, noise_mm, (len(heights), 2))
        found.append(Track(name, np.arange(len(heights)), place, np.ones(len(heights))))
    return found


def beside_the_tilt(values: np.ndarray, heights: np.ndarray = HEIGHTS) -> np.ndarray:
    line = np.stack([np.ones_like(heights), heights], axis=1)
    return np.asarray(values - line @ np.linalg.lstsq(line, values, rcond=None)[0])


@pytest.mark.parametrize("seed", range(4))
def test_hearts_in_place_stay_there(seed: int) -> None:
    found = shifts_of(tracks(np.zeros((10, 2)), seed=seed), HEIGHTS)
    assert found.evidence < 0
    assert np.linalg.norm(found.mean_mm, axis=1).mean() < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_shifts_are_found_but_for_their_tilt(seed: int) -> None:
    true = np.random.default_rng(100 + seed).normal(0, 2, (10, 2))
    found = shifts_of(tracks(true, seed=seed), HEIGHTS)
    assert found.evidence > 10
    left = beside_the_tilt(true - found.mean_mm)
    assert np.linalg.norm(left, axis=1).mean() < 0.45 * np.linalg.norm(beside_the_tilt(true), axis=1).mean()
    assert not found.jumps
    np.testing.assert_allclose(beside_the_tilt(found.mean_mm), found.mean_mm, atol=1.0)  # no tilt is made up


def test_one_slice_far_away_does_not_make_the_others_suspect() -> None:
    true = np.zeros((10, 2))
    true[6] = (0, 12)
    found = shifts_of(tracks(true), HEIGHTS).mean_mm
    np.testing.assert_allclose(found[6], (0, 12), atol=1.5)
    assert np.linalg.norm(np.delete(found, 6, axis=0), axis=1).mean() < 0.7


def test_a_jump_moves_all_slices_behind_it_alike() -> None:
    true = np.where(np.arange(10)[:, None] < 6, 0.0, (15.0, -8.0))
    found = shifts_of(tracks(true), HEIGHTS)
    assert found.jumps == (5,)
    np.testing.assert_allclose(found.mean_mm - found.mean_mm[0], true, atol=1.5)


def test_the_uncertainty_is_honest() -> None:
    """Over many hearts, the errors have the size that is said of them."""
    ratios = []
    for seed in range(20):
        true = np.random.default_rng(200 + seed).normal(0, 2, (10, 2))
        found = shifts_of(tracks(true, seed=seed), HEIGHTS)
        ratios.append((true - found.mean_mm) / np.sqrt(np.diag(found.cov_mm2))[:, None])
    assert 0.7 < np.std(ratios) < 1.4


def test_what_is_not_seen_is_not_moved_and_unsure() -> None:
    true = np.random.default_rng(5).normal(0, 2, (10, 2))
    seen = [Track(t.name, t.slices[1:9], t.place_mm[1:9], t.doubt[1:9]) for t in tracks(true)]
    found = shifts_of(seen, HEIGHTS)
    np.testing.assert_allclose(found.mean_mm[[0, 9]], 0, atol=1e-6)
    assert np.diag(found.cov_mm2)[[0, 9]].min() > np.diag(found.cov_mm2)[4]


def test_nothing_seen_nothing_said() -> None:
    found = shifts_of([], HEIGHTS)
    assert not found.mean_mm.any()
    assert found.evidence == 0


def test_unequal_gaps() -> None:
    heights = np.array([0.0, 6, 16, 22, 34, 44, 50, 62, 70, 80])
    true = np.random.default_rng(9).normal(0, 2, (10, 2))
    found = shifts_of(tracks(true, heights=heights), heights)
    left = beside_the_tilt(true - found.mean_mm, heights)
    assert np.linalg.norm(left, axis=1).mean() < 1.0
