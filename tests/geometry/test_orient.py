"""How a picture lies, by eyes that are always right, or wrong in a known way: what is left is the rules."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.geometry.orient import (
    CLOSE,
    SURE,
    USUAL_DOWN,
    USUAL_RIGHT,
    USUAL_WAY_DEG,
    Axes,
    count_votes,
    find_orientation,
    from_scanner,
    right_to_left_deg,
    right_ventricle_is_left,
    turn,
    voting_phases,
)

#: Right, down and normal of an oblique plane; and of one along the coordinate axes, as a header without a scanner has.
OBLIQUE = np.array([[0.6, 0, -0.8], [0, 1, 0], [0.8, 0, 0.6]])
PLACEHOLDER = np.eye(3)

#: Values of background, cavity, wall and RV in `picture`.
GREY = np.array([-1, -1 / 3, 1 / 3, 1], dtype=np.float32)


def picture(count: int = 6) -> np.ndarray:
    """(N, 48, 48) labels of a heart as it is shown, base first: the RV on the left, and higher than the LV's middle."""
    a, b = np.mgrid[:48, :48]
    slices = []
    for n in range(count):
        radius = np.hypot(a - 26, b - 24)
        right = np.hypot(a - 12, b - 21) < 7 - n / 2
        slices.append(np.select([radius < 7 - n / 2, radius < 10 - n / 2, right], [1, 2, 3], 0))
    return np.stack(slices)


def segment(images: np.ndarray) -> np.ndarray:
    """The labels that `picture` has drawn, whatever way the picture is turned."""
    labels = np.abs(images[:, None] - GREY[:, None, None]).argmin(axis=1)
    return np.eye(4, dtype=np.float32)[labels].transpose(0, 3, 1, 2)


def upright(views: np.ndarray) -> np.ndarray:
    """Sure of itself: how much a view is like the first slice as it is shown."""
    return (20 * (views * GREY[picture(1)[0]]).mean(axis=(1, 2))).astype(np.float32)


def axes_of(frame: np.ndarray) -> list[Axes]:
    signed = [frame[0], -frame[0], frame[1], -frame[1]]
    return [(u, v) for u in signed for v in signed if abs(u @ v) < 0.5]


@pytest.mark.parametrize("true", axes_of(OBLIQUE))
@pytest.mark.parametrize("frame", [OBLIQUE, PLACEHOLDER])
def test_the_picture_tells_all_eight_ways_apart_in_any_frame(frame: np.ndarray, true: Axes) -> None:
    axes = axes_of(frame)
    way = [frame.T @ OBLIQUE @ axis for axis in true]
    stored = turn(GREY[picture()], (way[0], way[1]), axes[0])
    votes = count_votes(stored, axes, upright)
    np.testing.assert_allclose(np.exp(count_votes(stored[:1], axes, upright)).sum(), 1)
    found = find_orientation(votes, stored, axes, segment)
    np.testing.assert_allclose(found.u, way[0], atol=1e-12)
    np.testing.assert_allclose(found.v, way[1], atol=1e-12)
    assert found.margin > SURE


def nearly_blind(better: int, by: float) -> np.ndarray:
    votes = np.full(8, -6.0)
    votes[:2] = -1.0
    votes[better] += by
    return votes


def test_of_two_that_are_close_a_scanner_s_header_decides_and_doubt_remains() -> None:
    """A ring looks the same from all sides: nothing but the prior tells, and it is not believed to be sure."""
    ring = np.where(np.abs(np.hypot(*np.mgrid[-23.5:24, -23.5:24]) - 12) < 3, 2, 0)
    views = np.repeat(GREY[ring][None], 4, axis=0)
    normal = np.cross(USUAL_RIGHT, USUAL_DOWN)
    right = USUAL_RIGHT / np.linalg.norm(USUAL_RIGHT)
    down = np.cross(normal / np.linalg.norm(normal), right)
    axes = [(-right, down), (right, down), *axes_of(PLACEHOLDER)[:6]]
    found = find_orientation(nearly_blind(0, 0.0), views, axes, segment)
    np.testing.assert_array_equal(found.u, right)
    assert 0 < found.margin < SURE
    against = find_orientation(nearly_blind(0, 0.5), views, axes, segment)
    np.testing.assert_array_equal(against.u, -right)  # seen is seen

    nowhere = [(np.array([side, 0, 0.0]), np.array([0, -1.0, 0])) for side in (1, -1)] + axes[2:]
    assert find_orientation(nearly_blind(0, 0.0), views, nowhere, segment).margin == 0  # a placeholder knows nothing


def test_of_two_that_are_close_the_one_with_more_heart_is_taken() -> None:
    """A segmenter that sees no RV but on the left."""

    def one_sided(images: np.ndarray) -> np.ndarray:
        found = segment(images)
        found[:, 0, 24:] += found[:, 3, 24:]
        found[:, 3, 24:] = 0
        return found

    axes = axes_of(OBLIQUE)
    mirrored = next(n for n, (u, v) in enumerate(axes) if u @ axes[0][0] < -0.5 and v @ axes[0][1] > 0.5)
    votes = np.full(8, -6.0)
    votes[0], votes[mirrored] = -1.0, -0.8
    found = find_orientation(votes, GREY[picture()], axes, one_sided)
    np.testing.assert_array_equal(found.u, axes[0][0])
    votes[mirrored] += CLOSE + 0.1  # the vote is clear: the segmenter is not asked
    assert find_orientation(votes, GREY[picture()], axes, refuse).u @ axes[mirrored][0] > 0.99


def refuse(images: np.ndarray) -> np.ndarray:
    raise AssertionError("not needed")


def test_a_slice_that_cannot_tell_does_not_outvote_one_that_can() -> None:
    axes = axes_of(OBLIQUE)
    views = np.concatenate([GREY[picture(1)], np.zeros((5, 48, 48), np.float32)])
    votes = count_votes(views, axes, upright)
    assert votes.argmax() == 0
    np.testing.assert_allclose(votes, (count_votes(views[:1], axes, upright) - 5 * np.log(8)) / 6)


def test_the_rv_has_its_side() -> None:
    labels = picture()
    assert right_to_left_deg(labels) == pytest.approx(np.degrees(np.arctan2(3, 14)), abs=0.5)
    assert right_to_left_deg(np.rot90(labels, 1, (1, 2))) == pytest.approx(np.degrees(np.arctan2(3, 14)) + 90, abs=0.5)
    assert abs(USUAL_WAY_DEG) < 45
    assert right_ventricle_is_left(labels) is True
    assert right_ventricle_is_left(labels[:, ::-1]) is False
    assert right_ventricle_is_left(labels.swapaxes(1, 2)) is False
    assert right_ventricle_is_left(np.where(labels == 3, 0, labels)) is None


@pytest.mark.parametrize(("count", "voting"), [(1, [0]), (2, [0, 1]), (20, [0, 5, 10, 14, 19])])
def test_a_few_phases_spread_over_the_cine_vote(count: int, voting: list[int]) -> None:
    assert voting_phases(count) == voting


def test_turned_there_and_back() -> None:
    views, axes = np.random.default_rng(0).random((2, 5, 5), dtype=np.float32), axes_of(OBLIQUE)
    for wanted in axes:
        np.testing.assert_array_equal(turn(turn(views, axes[0], wanted), wanted, axes[0]), views)
    quarter = turn(views, (OBLIQUE[0], OBLIQUE[1]), (OBLIQUE[1], -OBLIQUE[0]))
    np.testing.assert_array_equal(quarter, np.flip(views.swapaxes(1, 2), axis=2))


def test_a_scanner_s_frame_is_oblique() -> None:
    assert from_scanner(OBLIQUE[2])
    assert not from_scanner(np.array([0, 0, 1.0]))
    assert not from_scanner(np.array([0, np.sin(0.02), np.cos(0.02)]))


def test_a_way_that_was_far_behind_does_not_win_by_the_faults_of_those_before_it() -> None:
    """Both of the close ways show the RV on the wrong side; a third one that nobody voted for stays behind."""
    axes = axes_of(OBLIQUE)
    upside = turn(GREY[picture()], axes[0], (-axes[0][0], -axes[0][1]))
    votes = np.full(8, -2.0 - CLOSE)
    votes[:2] = -1.0
    found = find_orientation(votes, upside, axes, segment)
    assert any(np.array_equal(found.u, u) and np.array_equal(found.v, v) for u, v in axes[:2])
