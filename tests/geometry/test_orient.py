"""Any flip, order or turn of the input gives the same heart in the world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dmcvr.exam.stack import SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.geometry.locate import locate_heart
from dmcvr.geometry.region import label_centre
from dmcvr.phantom import Phantom


def stored(stack: SliceStack, *, flip_i: bool, flip_j: bool, swap: bool, order: list[int] | None) -> SliceStack:
    """The same exam as another file might store it: pixels and affines turned together."""
    images, affines = stack.images, stack.affines.copy()
    for axis, flip in ((0, flip_i), (1, flip_j)):
        if flip:
            images = np.flip(images, axis=axis + 2)
            affines[:, :3, 3] += affines[:, :3, axis] * (images.shape[axis + 2] - 1)
            affines[:, :3, axis] *= -1
    if swap:
        images = images.swapaxes(2, 3)
        affines[:, :, [0, 1]] = affines[:, :, [1, 0]]
    order = order or list(range(len(affines)))
    return replace(stack, images=images[:, order], affines=affines[order], labels=None)


WAYS = [
    {"flip_i": True, "flip_j": False, "swap": False, "order": None},
    {"flip_i": False, "flip_j": True, "swap": True, "order": None},
    {"flip_i": True, "flip_j": True, "swap": True, "order": [5, 2, 8, 1, 0, 3, 7, 4, 6]},
]


@pytest.fixture(scope="module")
def short(phantom: Phantom) -> SliceStack:
    return phantom.stack.select_slices(list(range(9)))


@pytest.mark.parametrize("way", WAYS)
def test_storage_does_not_matter(short: SliceStack, engine: Engine, way: dict[str, object]) -> None:
    here = locate_heart(short.without_labels(), engine.segment, 128)
    there = locate_heart(stored(short, **way), engine.segment, 128)  # type: ignore[arg-type]
    np.testing.assert_allclose(there.frame.u, here.frame.u, atol=1e-6)
    np.testing.assert_allclose(there.frame.v, here.frame.v, atol=1e-6)
    np.testing.assert_allclose(there.frame.centre, here.frame.centre, atol=0.05)


def test_the_heart_is_found_as_it_lies(short: SliceStack, engine: Engine) -> None:
    located = locate_heart(short.without_labels(), engine.segment, 128)
    assert short.labels is not None
    away = located.frame.centre - label_centre(short, short.labels)
    away -= away @ short.normal * short.normal
    assert np.linalg.norm(away) < 6
    assert located.found
    assert located.confidence > 0.8
    assert located.mirrored is False


def test_a_mirrored_file_is_called_so(data: object, engine: Engine) -> None:
    from dmcvr.io.read import read_exam

    exam = read_exam(data / "acdc" / "patient001" / "patient001_frame01.nii.gz")  # type: ignore[operator]
    located = locate_heart(exam, engine.segment, 128)
    np.testing.assert_allclose(located.frame.u, [-1, 0, 0], atol=1e-6)  # as ACDC stores it: RV on the left
    np.testing.assert_allclose(located.frame.v, [0, -1, 0], atol=1e-6)
    assert located.mirrored is True


def test_no_heart_is_said(engine: Engine, short: SliceStack) -> None:
    noise = np.random.default_rng(0).random(short.images.shape, dtype=np.float32)
    located = locate_heart(replace(short, images=noise, labels=None), engine.segment, 128)
    assert not located.found
