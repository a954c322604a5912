"""Long-axis views of a heart in closed form: in another breath-hold, elsewhere, and of nothing."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.views import PHASE, ClosedHeart, read

from dmcvr.anatomy.complete import Anatomy
from dmcvr.anatomy.seen import Seen
from dmcvr.exam.view import View


@pytest.fixture(scope="module")
def heart() -> ClosedHeart:
    return ClosedHeart.random()


def seen(heart: ClosedHeart, *views: View) -> Seen:
    slices = heart.slices
    alone = Anatomy.of(slices.labels, slices.positions_mm, slices.frame.pixel_mm)
    found = alone.with_views(views, (PHASE,), slices, read).seen
    assert found is not None
    return found


@pytest.mark.parametrize("shift", [(0.0, 0.0), (-4.0, 3.0), (2.5, -5.0)])
def test_a_view_goes_back_to_the_slices_breath_hold(heart: ClosedHeart, shift: tuple[float, float]) -> None:
    (plane,) = seen(heart, heart.view(5, shift)).planes
    across = plane.upright.affine[:3, 0] @ [np.cos(np.deg2rad(5)), np.sin(np.deg2rad(5)), 0]
    expected = shift[0] * np.sign(across), shift[1]
    np.testing.assert_allclose(plane.moved_mm, expected, atol=0.8)
    assert plane.agreement > 0.95


def test_views_tell_where_the_ventricles_end(heart: ClosedHeart) -> None:
    found = seen(heart, heart.view(5), heart.view(65), heart.view(125))
    axis = heart.slices.normal
    for structure, name in ((0, "lv_cavity"), (1, "lv_epicardium")):
        tip = found.tip_mm(0, structure, axis)
        assert tip is not None
        assert tip[0] == pytest.approx(heart.shape.apices[name][2], abs=2.0)
    right = found.tip_mm(0, 2, axis)
    assert right is not None
    assert right[0] < heart.shape.apices["rv_cavity"][2] + 1  # no plane is where its apex is
    tops = found.tops(0, axis)
    assert tops is not None
    points, depth = tops
    mitral = heart.shape.planes["mitral"]
    beyond = mitral.beyond(*(part[:, None, None].astype(np.float32) for part in points)).ravel()
    assert np.median(np.abs(beyond[depth > mitral.point[2] - 3])) < 1.5
    slices = heart.slices
    alone = Anatomy.of(slices.labels, slices.positions_mm, slices.frame.pixel_mm)
    assert not alone.base_seen([0])
    assert alone.with_views((heart.view(5),), (PHASE,), slices, read).base_seen([0])
    assert not alone.with_views((heart.view(5),), (PHASE,), slices, read).base_seen([0, 1])
    reach = axis @ found.reach
    assert reach.max() == pytest.approx(heart.shape.apex_z_mm, abs=2)


def test_a_view_of_something_else_is_left_out(heart: ClosedHeart) -> None:
    away = heart.view(5, (30.0, 0.0), "away")
    across = View("across", PHASE, heart.view(5).image, np.diag([1.4, 1.4, 1.0, 1.0]))
    empty = View("empty", PHASE, np.zeros((64, 64), np.float32), heart.view(5).affine)
    other_phase = View("late", "7", heart.view(65).image, heart.view(65).affine)
    found = seen(heart, away, across, empty, heart.view(65), other_phase)
    assert [plane.name for plane in found.planes] == ["65"]
    why = dict(found.left_out)
    assert set(why) == {"away", "across", "empty"}
    assert why["away"].startswith("its heart ")
    assert why["across"] == "it is no long-axis view of this heart"
    record = found.record()
    assert [one["name"] for one in record["used"]] == ["65"]
    assert {"name": "across", "why": why["across"]} in record["left_out"]


def test_slices_without_a_right_ventricle_cannot_be_compared(heart: ClosedHeart) -> None:
    slices = heart.slices
    left = np.where(slices.labels == 3, 0, slices.labels)
    alone = Anatomy.of(left, slices.positions_mm, slices.frame.pixel_mm)
    only = type(slices)(left, slices.positions_mm, slices.frame, slices.normal)
    found = alone.with_views([heart.view(5)], (PHASE,), only, read)
    assert found.seen is not None
    assert not found.seen.planes
    assert found.ends == alone.ends
    ((_, why),) = found.seen.left_out
    assert "no right ventricle" in why
