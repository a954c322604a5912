"""Slices and their order."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack


def make(count: int = 5, *, size: int = 32, spacing: float = 8.0, **changes: object) -> SliceStack:
    rng = np.random.default_rng(0)
    affines = np.repeat(np.diag([1.5, 1.5, spacing, 1.0])[None], count, axis=0)
    affines[:, 2, 3] = np.arange(count) * spacing
    values: dict[str, object] = {
        "images": rng.random((1, count, size, size), dtype=np.float32),
        "affines": affines,
        "thickness_mm": 6.0,
        "phases": ("ED",),
    }
    return SliceStack(**(values | changes))  # type: ignore[arg-type]


def test_sorts_any_order_by_position() -> None:
    stack = make()
    order = [3, 0, 4, 1, 2]
    shuffled = make(images=stack.images[:, order], affines=stack.affines[order])
    np.testing.assert_array_equal(shuffled.images, stack.images)
    np.testing.assert_allclose(shuffled.positions_mm, [0, 8, 16, 24, 32])


def test_thickness_and_spacing_are_two_numbers() -> None:
    stack = make(spacing=10.0, thickness_mm=6.0)
    assert (stack.spacing_mm, stack.thickness_mm) == (10.0, 6.0)


def test_labels_are_sorted_along() -> None:
    stack = make()
    labels = np.arange(5, dtype=np.uint8)[None, :, None, None] % 4 * np.ones((1, 5, 32, 32), np.uint8)
    order = [4, 3, 2, 1, 0]
    turned = make(images=stack.images[:, order], affines=stack.affines[order], labels=labels[:, order])
    assert turned.labels is not None
    np.testing.assert_array_equal(turned.labels, labels)


def test_unequal_spacing_is_kept() -> None:
    affines = make().affines.copy()
    affines[-1, 2, 3] += 5
    np.testing.assert_allclose(np.diff(make(affines=affines).positions_mm), [8, 8, 8, 13])


def bad_affine(kind: str) -> np.ndarray:
    affines = make().affines.copy()
    if kind == "tilted":
        angle = np.radians(20)
        affines[2, :3, 1] = [0, 1.5 * np.cos(angle), 1.5 * np.sin(angle)]
    elif kind == "twice":
        affines[1] = affines[0]
    else:
        affines[:, :3, 0] = 0
    return affines


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": np.zeros((1, 5, 32, 32), np.float32)}, "empty: every voxel has the value 0"),
        ({"images": np.full((1, 5, 32, 32), np.nan, np.float32)}, "not finite"),
        ({"images": np.ones((5, 32, 32), np.float32)}, r"Expected images as \(phases, slices, i, j\)"),
        ({"affines": bad_affine("tilted")}, "not parallel"),
        ({"affines": bad_affine("twice")}, "same place"),
        ({"affines": bad_affine("flat")}, "geometry is broken"),
        ({"labels": np.zeros((1, 5, 32, 31), np.uint8)}, "do not fit"),
        ({"phases": ("ED", "ES")}, "a name for each of 1 phases; got 2"),
    ],
)
def test_bad_input_is_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make(**changes)


def test_one_slice_is_no_heart() -> None:
    with pytest.raises(InputError, match="at least two slices"):
        make(1)


def test_phase_by_name_or_number() -> None:
    stack = make()
    assert stack.phase_index("ED") == stack.phase_index("0") == 0
    with pytest.raises(InputError, match="choose one of ED or all"):
        stack.phase_index("ES")


def test_times_go_with_their_phases() -> None:
    images = np.random.default_rng(0).random((2, 5, 32, 32), dtype=np.float32)
    stack = make(images=images, phases=("ED", "ES"), times_ms=(0.0, 320.0))
    assert stack.select_phases([1]).times_ms == (320.0,)
    assert stack.select_slices([0, 1]).times_ms == (0.0, 320.0)
    with pytest.raises(InputError, match="a time for each of 1 phases; got 2"):
        make(times_ms=(0.0, 320.0))
