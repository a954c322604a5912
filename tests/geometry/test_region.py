"""Cropping, resampling and the exact way back."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.exams import make_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.volume import slice_affines
from dmcvr.geometry.region import (
    Frame,
    IntensityScale,
    crop_images,
    crop_labels,
    label_centre,
    output_grid,
    plane_axes,
    stack_centre,
    uncrop,
    uncrop_labels,
)


def smooth_stack(size: int = 48, affine: np.ndarray | None = None) -> SliceStack:
    """Band-limited slices, so that resampling is well posed."""
    rng = np.random.default_rng(3)
    images = ndimage.gaussian_filter(rng.normal(size=(1, 4, size, size)), (0, 0, 2.5, 2.5)).astype(np.float32)
    if affine is None:
        affine = np.diag([1.5, 1.5, 8.0, 1.0])
    return make_stack(4, images=images, affines=slice_affines(affine, 4))


def aligned_frame(stack: SliceStack, size: int) -> Frame:
    """A frame whose grid is a crop of the stack's own, starting at pixel (3, 5)."""
    u, v = (stack.affines[0, :3, axis] / stack.pixel_mm[axis] for axis in (0, 1))
    centre = (stack.affines[0] @ [3 + (size - 1) / 2, 5 + (size - 1) / 2, 0, 1])[:3]
    return Frame(centre, u, v, size, stack.pixel_mm[0])


def test_crop_and_back_is_the_identity_on_the_grid() -> None:
    stack = smooth_stack()
    frame = aligned_frame(stack, 32)
    cropped = crop_images(stack, frame)
    np.testing.assert_allclose(cropped, stack.images[:, :, 3:35, 5:37], atol=1e-6)
    back = uncrop(cropped[0], frame, stack.affines, (48, 48), stack.normal)
    np.testing.assert_allclose(back[:, 3:35, 5:37], stack.images[0, :, 3:35, 5:37], atol=1e-5)


@given(
    st.floats(0.8, 1.2),
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.sampled_from(range(8)),
    st.floats(-180, 180),
    st.floats(0, 90),
)
@settings(max_examples=25, deadline=None)
def test_there_and_back_for_any_geometry(zoom: float, x: float, y: float, axes: int, turn: float, tilt: float) -> None:
    """A finer frame, anywhere, on any axes, of an oblique stack: coming back loses next to nothing."""
    a, b = np.radians([turn, tilt])
    rotation = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    rotation = rotation @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.5, 1.5, 8.0])
    affine[:3, 3] = [12, -40, 7]
    stack = smooth_stack(affine=affine)
    u, v = plane_axes(stack)[axes]
    centre = (stack.affines[0] @ [23.5 + x, 23.5 + y, 0, 1])[:3]
    frame = Frame(centre, u, v, 64, 1.0 * zoom)
    back = uncrop(crop_images(stack, frame)[0], frame, stack.affines, (48, 48), stack.normal)
    inner = (slice(None), slice(12, 36), slice(12, 36))
    np.testing.assert_allclose(back[inner], stack.images[0][inner], atol=0.02 * np.ptp(stack.images))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("axes", range(8))
@pytest.mark.parametrize("turn_deg", [0.0, 7.0])
def test_resampling_is_scipy_s(order: int, axes: int, turn_deg: float) -> None:
    """However the pixels lie on the frame's grid: along its axes, where that is a product of matrices, or turned."""
    stack = smooth_stack()
    u, v = plane_axes(stack)[axes]
    a = np.radians(turn_deg)
    frame = Frame(
        stack_centre(stack) + np.array([3, 1, 0]), u * np.cos(a) + v * np.sin(a), v * np.cos(a) - u * np.sin(a), 32, 1.7
    )
    slices = np.random.default_rng(0).normal(size=(4, 32, 32)).astype(np.float32)
    found = uncrop(slices, frame, stack.affines, (45, 48), stack.normal, order=order)
    assert found.dtype == np.float32
    for n, one in enumerate(slices):
        to_grid = np.linalg.inv(frame.affine_at(stack.positions_mm[n], stack.normal)) @ stack.affines[n]
        wanted = ndimage.affine_transform(one, to_grid[:2, :2], to_grid[:2, 3], (45, 48), order=order, mode="nearest")
        np.testing.assert_allclose(found[n], wanted, atol=1e-5)


def test_labels_there_and_back() -> None:
    stack = smooth_stack()
    i, j = np.mgrid[:48, :48]
    radius = np.hypot(i - 20, j - 22)
    labels = np.select([radius < 7, radius < 11, np.hypot(i - 20, j - 40) < 5], [1, 2, 3], 0).astype(np.uint8)
    labels = np.broadcast_to(labels, stack.images.shape).copy()
    frame = Frame((stack.affines[0] @ [23.5, 23.5, 0, 1])[:3], *plane_axes(stack)[0], 96, 0.75)
    scores = np.eye(4, dtype=np.float32)[crop_labels(stack, labels, frame)[0]].transpose(0, 3, 1, 2)
    back = uncrop_labels(scores, frame, stack.affines, (48, 48), stack.normal)
    assert (back != labels[0]).mean() < 0.005


def test_intensities_there_and_back() -> None:
    grey = np.linspace(-300, 900, 4096, dtype=np.float32).reshape(1, 1, 64, 64)
    scale = IntensityScale.of(grey)
    unit = scale.normalise(grey)
    assert (unit.min(), unit.max()) == (-1, 1)
    inside = (grey > scale.low) & (grey < scale.high)
    np.testing.assert_allclose(scale.restore(unit)[inside], grey[inside], rtol=1e-4, atol=0.01)


def test_scale_of_a_constant_does_not_divide_by_zero() -> None:
    scale = IntensityScale.of(np.full((1, 1, 8, 8), 7, np.float32))
    assert (scale.low, scale.high) == (7, 8)
    np.testing.assert_array_equal(scale.normalise(np.float32([[[7.0, 7.5, 9.0]]])), [[[-1, 0, 1]]])


def test_output_grid_covers_the_slabs_on_the_input_s_pixels() -> None:
    stack = smooth_stack(size=48)
    frame = aligned_frame(stack, 32)
    affine, shape = output_grid(stack, frame, 1.5)
    assert shape == (32, 32, 22)  # 4 slices 8 mm apart: 32 mm of slab, rounded up
    to_pixel = np.linalg.inv(stack.affines[0]) @ affine
    np.testing.assert_allclose(to_pixel[:2, 3], np.round(to_pixel[:2, 3]), atol=1e-9)
    heights = (affine @ np.stack([np.zeros(22), np.zeros(22), np.arange(22), np.ones(22)]))[:3].T @ stack.normal
    assert heights.mean() == pytest.approx(stack.positions_mm.mean())
    assert np.ptp(heights) + 1.5 == pytest.approx(33.0)


@pytest.mark.parametrize("spacing_mm", [0.7, 1.5, 3.1])
def test_output_grid_is_isotropic(spacing_mm: float) -> None:
    stack = smooth_stack()
    affine, _ = output_grid(stack, aligned_frame(stack, 32), spacing_mm)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), spacing_mm)


def test_a_frame_s_grid_by_hand() -> None:
    """Its middle is the centre, moved along the normal to the plane that is asked for."""
    frame = Frame(np.array([10.0, 20.0, 99.0]), np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), 5, 2.0)
    affine = frame.affine_at(30.0, np.array([0, 0, 1.0]))
    np.testing.assert_allclose(affine @ [2, 2, 0, 1], [10, 20, 30, 1])
    np.testing.assert_allclose(affine @ [0, 0, 0, 1], [6, 24, 30, 1])
    np.testing.assert_allclose(affine @ [4, 0, 0, 1], [6, 16, 30, 1])


def test_beyond_the_picture_is_its_edge() -> None:
    """A ramp, on a frame that looks five pixels over its first edge: the ramp, and before it the edge's value."""
    ramp = np.broadcast_to(np.arange(48, dtype=np.float32)[:, None], (1, 4, 48, 48))
    stack = make_stack(4, images=ramp)
    i, j = (stack.affines[0, :3, axis] / 1.5 for axis in (0, 1))
    frame = Frame((stack.affines[0] @ [10.5, 23.5, 0, 1])[:3], i, j, 32, 1.5)
    wanted = np.maximum(np.arange(32) - 5, 0)
    np.testing.assert_allclose(crop_images(stack, frame)[0, 0, :, 16], wanted, atol=1e-4)


def test_eight_ways_to_lie_in_the_same_order_for_any_storage() -> None:
    stack = make_stack(2)
    swapped = stack.affines.copy()
    swapped[:, :, [0, 1]] = swapped[:, :, [1, 0]] * [1, -1]
    here, there = (plane_axes(make_stack(2, affines=affines)) for affines in (stack.affines, swapped))
    assert len(here) == 8
    np.testing.assert_array_equal(np.array(here), np.array(there))


def test_centres_by_hand() -> None:
    stack = make_stack(3)  # 32 pixels of 1.5 mm, at 0, 8 and 16 mm
    np.testing.assert_allclose(stack_centre(stack), [15.5 * 1.5, 15.5 * 1.5, 8])
    labels = np.zeros((1, 3, 32, 32), np.uint8)
    labels[0, 1:, 4:7, 10] = 2
    np.testing.assert_allclose(label_centre(stack, labels), [5 * 1.5, 15, 16])  # 1.5 slices up: rounded to the even one
    with pytest.raises(InputError, match="hold no heart"):
        label_centre(stack, 0 * labels)
