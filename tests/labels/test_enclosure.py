"""What encloses what, on hearts drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hearts import cone

from dmcvr.labels.enclosure import enclosed_share, likely_meaning


def test_shares_by_hand() -> None:
    labels = np.zeros((1, 7, 7), np.uint8)
    labels[0, 2:5, 2:5] = 2
    labels[0, 3, 3] = 1
    assert enclosed_share(labels, 1, 2) == 1
    assert enclosed_share(labels, 2, 1) == 4 / 16
    assert enclosed_share(labels, 2, 0) == 12 / 16
    labels[0, 3, 4] = 0
    assert enclosed_share(labels, 1, 2) == 3 / 4
    assert enclosed_share(labels, 3, 2) == 0  # there is none


def test_the_picture_s_edge_is_no_border() -> None:
    labels = np.ones((1, 4, 4), np.uint8)
    assert enclosed_share(labels, 1, 0) == 0
    labels[0, 3] = 2
    assert enclosed_share(labels, 1, 2) == 1


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3), (2, 3, 1), (1, 3, 2), (3, 1, 2)])
def test_the_meaning_is_seen_whatever_the_numbers(order: tuple[int, int, int]) -> None:
    numbers = np.array([0, *order], np.uint8)
    assert likely_meaning(numbers[cone()]) == {order[0]: 1, order[1]: 2, order[2]: 3}


def test_what_encloses_nothing_tells_nothing() -> None:
    assert likely_meaning(np.zeros((2, 8, 8), np.uint8)) is None
    assert likely_meaning((cone()[0] == 1).astype(np.uint8)) is None
    assert likely_meaning(np.random.default_rng(0).integers(0, 4, (3, 20, 20)).astype(np.uint8)) is None


def test_manual_labels_of_a_real_exam(data) -> None:  # type: ignore[no-untyped-def]
    from dmcvr.io.read import read_exam

    labels = read_exam(data / "acdc" / "patient001", labels=True).labels
    assert labels is not None
    assert enclosed_share(labels, 1, 2) > 0.98
    assert likely_meaning(labels) == {1: 1, 2: 2, 3: 3}
