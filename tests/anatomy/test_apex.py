"""Where a ventricle closes, against ellipsoids and phantoms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dmcvr.anatomy.apex import FARTHEST_MM, _between, beyond, beyond_ml, find_tip
from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE, Sections
from dmcvr.labels.base import base_is_first
from dmcvr.phantom import Phantom

PIXEL_MM = 1.5


def bowl(depths: np.ndarray, *, length: float = 60.0, radius: float = 25.0, wall: float = 8.0) -> np.ndarray:
    """(N, 64, 64) half an ellipsoid of cavity in another of muscle, widest at depth 0, and an RV beside it."""
    a, b = (np.indices((64, 64)) - 31.5) * PIXEL_MM
    across = np.hypot(a, b)[None] ** 2
    z = depths[:, None, None]
    inner = across / radius**2 + (z / length) ** 2 < 1
    outer = across / (radius + wall) ** 2 + (z / (length + wall)) ** 2 < 1
    right = (np.hypot(a - 30, b)[None] < 18) & (z < 0.8 * length) & ~outer
    inside = z >= 0
    return np.select([inner & inside, outer & inside, right & inside], [1, 2, 3], 0).astype(np.uint8)


@pytest.mark.parametrize("first", [-4.0, -1.0, 3.0])
def test_an_ellipsoid_ends_where_it_ends(first: float) -> None:
    depths = first + 10 * np.arange(9.0)
    sections = Sections.of(bowl(depths), depths, PIXEL_MM)
    for structure, end in ((CAVITY, 60), (WHOLE, 68)):
        tip = find_tip(sections, structure)
        assert tip is not None
        assert tip.shown
        assert tip.low_mm <= tip.depth_mm <= tip.high_mm
        assert tip.depth_mm == pytest.approx(end, abs=2)


def test_a_stack_that_stops_early_is_continued_with_bounds() -> None:
    depths = 2 + 10 * np.arange(5.0)
    sections = Sections.of(bowl(depths), depths, PIXEL_MM)
    tip = find_tip(sections, WHOLE)
    assert tip is not None
    assert not tip.shown
    assert tip.depth_mm == pytest.approx(68, abs=4)
    stump = Sections.of(bowl(depths[:2]), depths[:2], PIXEL_MM)
    far = find_tip(stump, WHOLE)
    assert far is not None
    assert far.depth_mm <= depths[1] + FARTHEST_MM
    true_ml = (bowl(np.arange(42, 70, 0.5)) == 1).sum() * PIXEL_MM**2 * 0.5 / 1000
    cavity = find_tip(sections, CAVITY)
    assert cavity is not None
    assert beyond_ml(sections, CAVITY, cavity.last, cavity.depth_mm) == pytest.approx(true_ml, rel=0.2)


def test_the_last_section_shrinks_to_its_tip() -> None:
    depths = 2 + 10 * np.arange(5.0)
    sections = Sections.of(bowl(depths), depths, PIXEL_MM)
    wanted = np.array([42.0, 48.0, 54.0, 59.0, 61.0, 70.0])
    field = beyond(sections, CAVITY, 4, 60.0, wanted)
    np.testing.assert_array_equal(field[0] < 0, sections.mask(4, CAVITY))  # the slice itself stays
    areas = (field < 0).sum(axis=(1, 2))
    assert (np.diff(areas[:4]) < 0).all()
    assert areas[3] > 0
    assert (areas[4:] == 0).all()
    assert field[5].min() == pytest.approx(10, abs=1.5)
    true = (bowl(wanted) == 1).sum(axis=(1, 2))
    np.testing.assert_allclose(areas[:3], true[:3], rtol=0.2)
    right = beyond(sections, RIGHT, 4, 50.0, np.array([42.0, 46.0, 49.0, 52.0]))
    thin = (right < 0).sum(axis=(1, 2))
    assert (np.diff(thin) < 0).all()
    assert thin[-1] == 0


def test_phantoms_end_where_their_truth_does(phantom: Phantom) -> None:
    labels, positions = phantom.stack.labels, phantom.stack.positions_mm
    assert labels is not None
    sign = 1 if base_is_first(labels) else -1
    for phase in range(2):
        sections = Sections.of(labels[phase], sign * positions, float(phantom.stack.pixel_mm[0]))
        for structure, name in ((CAVITY, "lv_cavity"), (WHOLE, "lv_epicardium"), (RIGHT, "rv_cavity")):
            tip = find_tip(sections, structure)
            assert tip is not None
            true = sign * float(phantom.apices(phase)[name] @ phantom.stack.normal)
            assert tip.depth_mm == pytest.approx(true, abs=2 if structure != RIGHT else 5)


def test_nothing_ends_nowhere() -> None:
    depths = 10 * np.arange(4.0)
    sections = Sections.of(np.zeros((4, 16, 16), np.uint8), depths, PIXEL_MM)
    assert find_tip(sections, WHOLE) is None


@pytest.mark.parametrize(
    ("mean", "sd", "low", "high"), [(12, 3, 10, 18), (10, 1, 10, 12), (40, 6, 10, 20), (3, 2, 1, 40)]
)
def test_a_distribution_that_is_cut_off_is_scipy_s(mean: float, sd: float, low: float, high: float) -> None:
    cut = stats.truncnorm((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)
    np.testing.assert_allclose(_between(mean, sd, low, high), (cut.mean(), cut.std()), rtol=1e-9)
