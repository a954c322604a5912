"""Signed distances that labels and scores agree on."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.balls import affine_of, sphere
from scipy import ndimage

from dmcvr.labels.distances import margins, scores_of, signed_distances
from dmcvr.surface.borders import BEYOND, FAR_VOXELS, FIELDS, Borders, _by_labels, _refined, _squared


def hearts() -> np.ndarray:
    labels = np.where(sphere(6) > 0, 1, 2 * sphere(9)).astype(np.uint8)
    labels[:6][labels[:6] == 0] = 3
    return labels


def test_margins_are_zero_where_labels_change() -> None:
    labels = hearts()
    distances = signed_distances(labels)
    found = margins(np.moveaxis(scores_of(distances), 1, 0))
    for margin, inside in zip(found, FIELDS.values(), strict=True):
        np.testing.assert_array_equal(margin < 0, np.isin(labels, inside))


@pytest.mark.parametrize("with_scores", [False, True])
def test_the_sign_is_that_of_the_labels_and_the_place_that_of_the_grid(with_scores: bool) -> None:
    labels, affine = hearts(), affine_of(-1)
    scores = np.moveaxis(scores_of(signed_distances(labels)), 1, 0) if with_scores else None
    borders = Borders.of(labels, affine, scores)
    for name, inside in FIELDS.items():
        distance = borders.distance(name)
        np.testing.assert_array_equal(distance < 0, np.isin(borders.labels, inside))
        assert np.abs(distance).max() <= FAR_VOXELS
    first = np.argwhere(labels > 0).min(axis=0) - np.argwhere(borders.labels > 0).min(axis=0)
    np.testing.assert_allclose(borders.affine[:3, 3], affine[:3, :3] @ first + affine[:3, 3])
    assert borders.voxel_mm == pytest.approx(1.5)


def test_labels_win_over_scores() -> None:
    """A piece that was removed after the scores is outside, half a voxel from what was kept."""
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6, 2:6, 2:6] = 1
    scores = np.moveaxis(scores_of(signed_distances(labels)), 1, 0)
    cut = labels.copy()
    cut[4:] = 0
    distance = Borders.of(cut, np.eye(4), scores).distance("lv_cavity")
    inside = Borders.of(cut, np.eye(4)).distance("lv_cavity")
    np.testing.assert_allclose(distance[:, 5:9, 5:9], inside[:, 5:9, 5:9], atol=0.51)
    middle = distance[:, 6, 6]
    assert (middle < 0).sum() == 2
    last = np.flatnonzero(middle < 0)[-1]
    assert middle[last] == -middle[last + 1] == -0.5


def test_no_heart_has_no_borders() -> None:
    borders = Borders.of(np.zeros((4, 5, 6), np.uint8), np.eye(4), np.zeros((4, 4, 5, 6), np.float32))
    assert (borders.distance("rv_cavity") > 0).all()


def test_distances_are_exact_as_far_as_they_tell() -> None:
    """scipy's transform is the oracle: of the squared distances below `BEYOND`, and of what becomes of them."""
    rng = np.random.default_rng(0)
    mask = ndimage.gaussian_filter(rng.normal(size=(24, 21, 18)), 2) > 0.02
    mask[6:22, 4:18, 3:16], mask[0] = True, False
    wanted = np.rint(ndimage.distance_transform_edt(mask) ** 2)
    assert wanted.max() > BEYOND
    np.testing.assert_array_equal(_squared(mask), np.minimum(wanted, BEYOND))
    inside, outside = (ndimage.distance_transform_edt(side) for side in (mask, ~mask))
    field = np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float32)[None]
    scores = ndimage.gaussian_filter(rng.normal(size=mask.shape), 2).astype(np.float32)[None]
    for margins_ in (scores, field * 3):
        found, exact = (
            np.clip(_refined(part, margins_), -FAR_VOXELS, FAR_VOXELS) for part in (_by_labels(mask)[None], field)
        )
        np.testing.assert_array_equal(found, exact)
