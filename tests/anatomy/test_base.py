"""A valve plane from the slices that it cuts, against planes of known tilt."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.anatomy.base import USUAL_SLOPE, above, find_sheet, heights
from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE, Sections

PIXEL_MM = 1.5
DEPTHS = 10 * np.arange(6.0)


def tube(depths: np.ndarray, slope: float, at: float) -> np.ndarray:
    """(N, 64, 64) a cavity of 22 mm in muscle of 30 mm, which end at depth at + slope * a."""
    a, b = (np.indices((64, 64)) - 31.5) * PIXEL_MM
    below = depths[:, None, None] >= at + slope * a[None]
    across = np.hypot(a, b)[None]
    return np.select([below & (across < 22), below & (across < 30)], [1, 2], 0).astype(np.uint8)


def test_half_way_where_no_slice_tells() -> None:
    sections = Sections.of(tube(DEPTHS, 0.0, 14.0), DEPTHS, PIXEL_MM)
    sheet = find_sheet(sections, WHOLE)
    assert sheet is not None
    assert sheet.shown
    assert not sheet.cuts
    assert (sheet.first, sheet.whole, sheet.height_mm) == (2, 2, 15.0)
    np.testing.assert_allclose(heights(sections, sheet, 13.0), 13.0)
    np.testing.assert_allclose(heights(sections, sheet, 5.0), 10.0)  # no nearer to the base than the slice without it
    field = above(sections, sheet, WHOLE, heights(sections, sheet, 13.0), np.array([14.0, 12.0]))
    np.testing.assert_array_equal(field[0] < 0, sections.mask(2, WHOLE))
    assert (field[1] > 0).all()


def test_half_a_gap_beyond_the_stack() -> None:
    sections = Sections.of(tube(DEPTHS, 0.0, -50.0), DEPTHS, PIXEL_MM)
    sheet = find_sheet(sections, WHOLE)
    assert sheet is not None
    assert not sheet.shown
    assert sheet.height_mm == -5.0


@pytest.mark.parametrize("at", [9.0, 10.0, 11.0])
def test_an_oblique_plane_is_found_in_the_slice_that_it_cuts(at: float) -> None:
    truth = tube(np.arange(0.0, 50.0), USUAL_SLOPE, at)
    sections = Sections.of(tube(DEPTHS, USUAL_SLOPE, at), DEPTHS, PIXEL_MM)
    sheet = find_sheet(sections, WHOLE)
    assert sheet is not None
    assert (sheet.first, sheet.whole, list(sheet.cuts)) == (1, 2, [1])
    height = heights(sections, sheet, sheet.height_mm)
    a = (np.indices((64, 64)) - 31.5)[0] * PIXEL_MM
    inside = sections.mask(2, WHOLE) & (a > 0)  # beyond its middle a roof falls again: only this side is the plane
    away = (height - at - USUAL_SLOPE * a)[inside]
    assert np.abs(away).max() < 2.5
    assert np.abs(away).mean() < 0.8
    wanted = np.arange(0.0, 20.0)
    for structure, labels in ((WHOLE, (1, 2)), (CAVITY, (1,))):
        found = above(sections, sheet, structure, height, wanted) < 0
        true = np.isin(truth[:20], labels)
        found, true = found[:, 32:], true[:, 32:]
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.95


def test_the_cut_slice_keeps_its_labels() -> None:
    sections = Sections.of(tube(DEPTHS, USUAL_SLOPE, 10.0), DEPTHS, PIXEL_MM)
    sheet = find_sheet(sections, WHOLE)
    assert sheet is not None
    found = above(sections, sheet, WHOLE, heights(sections, sheet, sheet.height_mm), DEPTHS[1:2])[0] < 0
    assert (found ^ sections.mask(1, WHOLE)).sum() < 0.05 * found.sum()


def test_no_right_ventricle_has_no_valve() -> None:
    assert find_sheet(Sections.of(tube(DEPTHS, 0.0, 14.0), DEPTHS, PIXEL_MM), RIGHT) is None
