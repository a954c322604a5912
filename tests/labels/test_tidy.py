"""One heart in every slice: specks and crumbs go, what is large enough stays."""

from __future__ import annotations

import numpy as np
from helpers.hearts import cone

from dmcvr.labels.tidy import tidy_labels

PIXEL_MM = 1.5  # a crumb is 13 pixels at most


def test_a_heart_stays_as_it_is() -> None:
    labels = cone()[0]
    np.testing.assert_array_equal(tidy_labels(labels, PIXEL_MM), labels)
    np.testing.assert_array_equal(tidy_labels(np.zeros_like(labels), PIXEL_MM), 0)


def test_specks_in_a_slice_go_though_they_hang_on_another() -> None:
    labels = cone()[0]
    labels[:2, 20, 35:37] = 3  # RV specks over each other
    labels[0, 2, 2] = 3
    labels[1, 2, 2] = 1
    np.testing.assert_array_equal(tidy_labels(labels, PIXEL_MM), cone()[0])


def test_a_second_cavity_inside_the_wall_is_wall() -> None:
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[:, 8:32, 8:32] = 2
    labels[:, 12:24, 12:28] = 1
    labels[1, 27:29, 20] = 1
    tidied = tidy_labels(labels, PIXEL_MM)
    assert (tidied[1, 27:29, 20] == 2).all()
    assert (tidied == 1).sum() == 3 * 12 * 16


def test_crumbs_in_an_end_slice_go() -> None:
    """Of the RV in an atrial slice, and of the LV's cavity, wall or both beyond the base."""
    for label in (1, 2, 3):
        labels = np.concatenate([np.zeros((1, 40, 40), np.uint8), cone()[0]])
        a, b = np.argwhere(labels[1] == label)[0]
        labels[0, a : a + 2, b : b + 1] = label
        np.testing.assert_array_equal(tidy_labels(labels, PIXEL_MM)[0], 0)


def test_two_large_pieces_stay() -> None:
    labels = cone()[0]
    labels[2][(labels[2] == 3) & (np.indices((40, 40))[1] == 20)] = 0  # cut in two
    np.testing.assert_array_equal(tidy_labels(labels, PIXEL_MM), labels)


def test_a_cavity_without_a_wall_beyond_the_walled_ones_goes() -> None:
    """An atrium has none; where a valve cuts the slice, most of the wall is there. In the middle nothing goes."""
    heart = cone()[0]
    atrium = np.where(heart[:1] == 2, 0, heart[:1]).astype(np.uint8)
    for labels, end in ((np.concatenate([atrium, heart]), 0), (np.concatenate([atrium, heart])[::-1], -1)):
        kept = tidy_labels(labels, PIXEL_MM)
        np.testing.assert_array_equal(kept[end], np.where(atrium[0] == 3, 3, 0))
        np.testing.assert_array_equal(np.delete(kept, end, axis=0), np.delete(labels, end, axis=0))
    cut = heart[:1].copy()
    cut[:, :, 27:][cut[:, :, 27:] == 2] = 0
    for part in ([cut, heart], [heart[:1], atrium, heart[1:]], [atrium, atrium]):
        np.testing.assert_array_equal(tidy_labels(np.concatenate(part), PIXEL_MM), np.concatenate(part))
