"""Which end is the base: told by both ventricles' shapes, whatever is cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmcvr.io.acdc import read_acdc
from dmcvr.labels.base import CLEAR, base_is_first, leaning
from dmcvr.phantom import Phantom


def heart(count: int = 8, *, right: bool = True) -> np.ndarray:
    """(1, N, 64, 64) from the base on: the left ventricle tapers, the right one draws near to it."""
    a, b = np.mgrid[:64, :64]
    slices = []
    for n in range(count):
        radius, aside = np.hypot(a - 40, b - 32), np.hypot(a - 18 - 1.5 * n, b - 32) < 8 - n / 2
        slices.append(np.select([radius < 10 - n, radius < 14 - n, aside & right], [1, 2, 3], 0))
    return np.stack(slices).astype(np.uint8)[None]


@pytest.mark.parametrize("right", [True, False])
def test_either_way_round(right: bool) -> None:
    there, back = heart(right=right), heart(right=right)[:, ::-1]
    assert leaning(there) == -leaning(back) > (1.5 if right else 0.7)
    assert (base_is_first(there), base_is_first(back)) == (True, False)


def test_the_right_ventricle_s_reach_tells_where_the_left_one_does_not_taper() -> None:
    labels = heart()
    left = np.repeat(np.where(labels == 3, 0, labels)[:, :1], 8, axis=1)
    tube = np.where(left > 0, left, np.where(labels == 3, 3, 0)).astype(np.uint8)
    assert leaning(tube) > CLEAR
    assert leaning(tube[:, ::-1]) < -CLEAR


def test_what_does_not_tell() -> None:
    for labels in (heart() * 0, heart()[:, :1], np.repeat(heart()[:, :1], 6, axis=1), heart()[:, :0]):
        assert leaning(labels) == 0
        assert base_is_first(labels)


@pytest.mark.parametrize(("basal", "apical"), [(0, 0), (3, 0), (0, 2), (1, 1)])
def test_slices_that_are_missing(phantom: Phantom, data: Path, basal: int, apical: int) -> None:
    real = read_acdc(data / "acdc" / "patient006", with_labels=True).labels
    for labels in (phantom.stack.labels, real):
        assert labels is not None
        seen = np.flatnonzero(np.isin(labels, (1, 2)).any(axis=(0, 2, 3)))
        cut = labels[:, seen[0] + basal : seen[-1] + 1 - apical]
        assert leaning(cut) > CLEAR
        assert leaning(cut[:, ::-1]) < -CLEAR
