"""Borders are moved where long-axis views show them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.views import PHASE, ClosedHeart, read

from dmcvr.anatomy.complete import SAME_MM, Anatomy
from dmcvr.anatomy.outlines import Believed, Surface
from dmcvr.geometry.plan import Plan, blend
from dmcvr.labels.components import keep_one_heart
from dmcvr.labels.distances import scores_of, signed_distances
from dmcvr.quality.metrics import surface_distances_mm

ANGLES_DEG = (5, 65, 125)


def ball(radius: float, size: int = 40) -> np.ndarray:
    return (np.linalg.norm(np.indices((size,) * 3) - (size - 1) / 2, axis=0) - radius).astype(np.float32)


@pytest.mark.parametrize("by", [-3.0, -0.5, 0.0, 2.0, 4.0])
def test_a_ball_grows_by_what_its_border_is_moved(by: float) -> None:
    surface = Surface.of(ball(10.0), np.ones(3), (slice(1, 39), slice(1, 39)))
    assert surface is not None
    moved = surface.moved(np.full(surface.margin.shape, by, np.float32) * (np.abs(surface.distance) < 9))
    radius = ((moved < 0).sum() / (4 / 3 * np.pi)) ** (1 / 3)
    assert radius == pytest.approx(10 + by, abs=0.15)
    if by == 0:
        np.testing.assert_array_equal(moved, surface.margin)


def test_nothing_has_no_surface() -> None:
    assert Surface.of(ball(-1.0), np.ones(3), (slice(None), slice(None))) is None


def test_whole_slices_are_believed_and_ends_are_not() -> None:
    depth = np.arange(6) * 10.0
    up, down = (Believed.of(1, 2, 4, depth, sign) for sign in (1, -1))
    assert up.sure == [2, 3]
    assert down.sure == [5 - n for n in (2, 3)]
    np.testing.assert_allclose(up.ends(np.array([10.0, 30.0, 60.0])), [1, 0, 1])
    np.testing.assert_allclose(down.ends(-np.array([10.0, 30.0, 60.0])), [1, 0, 1])


def test_a_slice_through_the_atrium_is_no_ventricle_where_views_show_it() -> None:
    """The first slice, above the base, was taken for a slice through the ventricles."""
    heart = ClosedHeart.random(8)
    right = heart.slices
    labels = right.labels.copy()
    labels[0, 0] = labels[0, 2]
    slices = replace(right, labels=labels)
    alone = Anatomy.of(slices.labels, slices.positions_mm, slices.frame.pixel_mm)
    views = alone.with_views([heart.view(a) for a in ANGLES_DEG], (PHASE,), slices, read)
    assert views.reach_mm is not None
    heights = np.arange(slices.positions_mm[0] - 12, views.reach_mm[1] + 3, 3.0)  # acquired slices are among them
    plan = Plan.between(slices.positions_mm, heights)
    scores = scores_of(blend(signed_distances(slices.labels[0]), plan))
    truth = heart.at(slices, heights)
    error = {}
    for name, anatomy in (("alone", alone), ("views", views)):
        done = anatomy.complete(scores, heights, 0)
        found = keep_one_heart(done.scores.argmax(axis=1).astype(np.uint8))
        pairs = [(found == c, truth == c) for c in (1, 2, 3)]
        error[name] = np.array([surface_distances_mm(*pair, (3.0, 1.5, 1.5), None)[1] for pair in pairs])
    assert (error["views"] < error["alone"]).all()
    assert error["views"][0] < min(1.2, error["alone"][0] / 2)  # of the LV cavity
    ends = views.ends[0]
    sheet, (tip, _) = ends.sheets[1][0], ends.tips[1]
    for n in Believed.of(sheet.first, sheet.whole, tip.last, ends.sections.depth_mm, views.sign).sure:
        (k,) = np.flatnonzero(np.abs(heights - slices.positions_mm[n]) <= SAME_MM)
        whole = np.isin(done.scores[k].argmax(axis=0), (1, 2))
        np.testing.assert_array_equal(whole, np.isin(slices.labels[0, n], (1, 2)))


def test_without_a_view_nothing_changes() -> None:
    heart = ClosedHeart.random()
    slices = heart.slices
    alone = Anatomy.of(slices.labels, slices.positions_mm, slices.frame.pixel_mm)
    late = heart.view(5)
    none = alone.with_views([type(late)("late", "7", late.image, late.affine)], (PHASE,), slices, read)
    heights = np.arange(-20.0, 110.0, 3.0)
    scores = scores_of(blend(signed_distances(slices.labels[0]), Plan.between(slices.positions_mm, heights)))
    first, second = (anatomy.complete(scores, heights, 0) for anatomy in (alone, none))
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.completed, second.completed)
    assert none.reach_mm == alone.reach_mm
