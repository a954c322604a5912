"""Slices and their order."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.exams import make_stack

from dmcvr.errors import InputError
from dmcvr.exam.stack import Picture, same_grid


def test_sorts_any_order_by_position() -> None:
    stack = make_stack()
    order = [3, 0, 4, 1, 2]
    shuffled = make_stack(images=stack.images[:, order], affines=stack.affines[order])
    np.testing.assert_array_equal(shuffled.images, stack.images)
    np.testing.assert_allclose(shuffled.positions_mm, [0, 8, 16, 24, 32])


def test_thickness_and_spacing_are_two_numbers() -> None:
    stack = make_stack(spacing=10.0, thickness_mm=6.0)
    assert (stack.spacing_mm, stack.thickness_mm) == (10.0, 6.0)


def test_labels_are_sorted_along() -> None:
    stack = make_stack()
    labels = np.arange(5, dtype=np.uint8)[None, :, None, None] % 4 * np.ones((1, 5, 32, 32), np.uint8)
    order = [4, 3, 2, 1, 0]
    turned = make_stack(images=stack.images[:, order], affines=stack.affines[order], labels=labels[:, order])
    assert turned.labels is not None
    np.testing.assert_array_equal(turned.labels, labels)


def test_unequal_spacing_is_kept() -> None:
    affines = make_stack().affines.copy()
    affines[-1, 2, 3] += 5
    np.testing.assert_allclose(np.diff(make_stack(affines=affines).positions_mm), [8, 8, 8, 13])


def bad_affine(kind: str) -> np.ndarray:
    affines = make_stack().affines.copy()
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
        pytest.param(
            {"images": np.ones((5, 32, 32), np.float32)},
            r"Expected images as \(phases, slices, i, j\)",
            marks=pytest.mark.misuse,
        ),
        ({"affines": bad_affine("tilted")}, "not parallel"),
        ({"affines": bad_affine("twice")}, "same place"),
        ({"affines": bad_affine("flat")}, "geometry is broken"),
        pytest.param({"labels": np.zeros((1, 5, 32, 31), np.uint8)}, "do not fit", marks=pytest.mark.misuse),
        ({"phases": ("ED", "ES")}, "a name for each of 1 phases; got 2"),
    ],
)
def test_bad_input_is_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make_stack(**changes)


def test_one_slice_is_no_heart() -> None:
    with pytest.raises(InputError, match="at least two slices"):
        make_stack(1)


def test_phase_by_name_or_number() -> None:
    stack = make_stack()
    assert stack.phase_index("ED") == stack.phase_index("0") == 0
    with pytest.raises(InputError, match="choose one of ED or all"):
        stack.phase_index("ES")


def test_times_go_with_their_phases() -> None:
    images = np.random.default_rng(0).random((2, 5, 32, 32), dtype=np.float32)
    stack = make_stack(images=images, phases=("ED", "ES"), times_ms=(0.0, 320.0))
    assert stack.select_phases([1]).times_ms == (320.0,)
    assert stack.select_slices([0, 1]).times_ms == (0.0, 320.0)
    with pytest.raises(InputError, match="a time for each of 1 phases; got 2"):
        make_stack(times_ms=(0.0, 320.0))


def test_a_stack_reaches_half_a_gap_beyond_its_slices() -> None:
    affines = make_stack().affines.copy()
    affines[-1, 2, 3] += 5
    stack = make_stack(affines=affines)
    assert stack.extent_mm == (-4.0, 37.0 + 6.5)
    assert stack.spacing_mm == 8.0
    assert stack.pixel_mm == (1.5, 1.5)
    np.testing.assert_array_equal(stack.normal, [0, 0, 1])


def test_the_normal_is_the_world_s_not_the_file_s() -> None:
    """An oblique stack, stored from either end and with its axes swapped: one normal, and one order."""
    affines = make_stack().affines.copy()
    turn = np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]])
    affines[:, :3] = turn @ affines[:, :3]
    swapped = affines[::-1].copy()
    swapped[:, :, [0, 1]] = swapped[:, :, [1, 0]]
    for stack in (make_stack(affines=affines), make_stack(affines=swapped)):
        np.testing.assert_allclose(stack.normal, [0.8, 0, 0.6], atol=1e-12)
        np.testing.assert_allclose(np.diff(stack.positions_mm), 8)


def test_same_grid() -> None:
    stack = make_stack()
    thicker = stack.affines.copy()
    thicker[:, :3, 2] *= 2  # the third axis is a direction alone
    moved = stack.affines.copy()
    moved[2, 0, 3] += 0.2
    assert same_grid(stack, make_stack(affines=thicker, thickness_mm=9.0))
    assert not same_grid(stack, make_stack(affines=moved))
    assert same_grid(stack, make_stack(affines=moved), within_mm=0.3)
    assert not same_grid(stack, make_stack(4))


def test_pictures_go_with_their_slices() -> None:
    stack = make_stack()
    order = [3, 0, 4, 1, 2]
    named = tuple(Picture(str(n), n, stack.affines[n]) for n in order)
    shuffled = make_stack(images=stack.images[:, order], affines=stack.affines[order], pictures=(named,))
    for found, uids in ((shuffled, "01234"), (shuffled.select_slices([1, 3]), "13")):
        assert found.pictures is not None
        assert "".join(picture.uid for picture in found.pictures[0]) == uids
    assert shuffled.select_phases([0]).pictures == shuffled.pictures
