"""The phantom: its voxels against closed forms, its stack against its truth, its files against itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.phantom import Phantom, Scan, make_phantom

#: Coarse and small: for tests that need another exam.
SMALL = Scan(pixel_mm=2.0, size_px=80, spacing_mm=12.0)


def _centroid(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.append(np.argwhere(mask).mean(axis=0), 1)
    return np.asarray((affine @ index)[:3])


def _at_stack(phantom: Phantom, data: NDArray[np.generic]) -> NDArray[np.generic]:
    """(N, I, J) nearest truth voxels at the stack's pixels, found through the two affines alone."""
    _, count, wide, high = phantom.stack.images.shape
    i, j = np.meshgrid(np.arange(wide), np.arange(high), indexing="ij")
    pixels = np.stack([i, j, np.zeros_like(i), np.ones_like(i)]).reshape(4, -1)
    to_truth = np.linalg.inv(phantom.truth_labels.affine) @ phantom.stack.affines
    index = np.rint(to_truth @ pixels)[:, :3].astype(int)
    a, b, c = np.moveaxis(index, 1, 0)
    assert all(v.min() >= 0 and v.max() < n for v, n in zip((a, b, c), data.shape, strict=True))
    return np.asarray(data[a, b, c].reshape(count, wide, high))


def test_layout(phantom: Phantom) -> None:
    stack = phantom.stack
    assert stack.phases == ("ED", "ES")
    assert stack.images.shape == (2, stack.images.shape[1], 176, 176)
    assert 9 <= stack.images.shape[1] <= 14
    assert stack.spacing_mm == pytest.approx(10)
    assert stack.thickness_mm == 8
    assert stack.pixel_mm == pytest.approx((1.5, 1.5))
    assert phantom.truth_image.data.dtype == np.float32
    assert phantom.truth_labels.data.dtype == np.uint8
    assert phantom.truth_image.data.shape == phantom.truth_labels.data.shape
    assert phantom.truth_labels.spacing_mm == pytest.approx((1.5, 1.5, 1.5))


@pytest.mark.parametrize("phase", [0, 1])
def test_voxel_volumes_agree_with_closed_forms(phantom: Phantom, phase: int) -> None:
    shape, labels = phantom.shapes[phase], phantom.truth_labels.data[phase]
    volume = [float((labels == value).sum()) * phantom.truth_labels.voxel_ml for value in range(4)]
    assert volume[1] == pytest.approx(shape.lv_cavity_volume_ml(), rel=0.03)
    assert volume[1] + volume[2] == pytest.approx(shape.lv_epicardial_volume_ml(), rel=0.03)
    assert volume[2] * 1.05 == pytest.approx(shape.lv_mass_g(), rel=0.03)
    assert volume[3] == pytest.approx(shape.rv_cavity_volume_ml(), rel=0.03)


def test_a_seed_gives_one_exam() -> None:
    one, again, other = make_phantom(5, SMALL), make_phantom(5, SMALL), make_phantom(6, SMALL)
    np.testing.assert_array_equal(one.stack.images, again.stack.images)
    np.testing.assert_array_equal(one.truth_image.data, again.truth_image.data)
    np.testing.assert_array_equal(one.stack.affines, again.stack.affines)
    assert one.shapes == again.shapes
    assert one.shapes != other.shapes
    assert not np.allclose(one.stack.affines[0], other.stack.affines[0])


def test_the_scan_does_not_change_the_anatomy(phantom: Phantom) -> None:
    assert make_phantom(phantom.seed, SMALL).shapes == phantom.shapes


def test_labels_on_a_grid_of_any_place(phantom: Phantom) -> None:
    """On the truth's own grid they are its labels; on another, the same place has the same label."""
    truth = phantom.truth_labels
    size = truth.data.shape[1], truth.data.shape[2], truth.data.shape[3]
    np.testing.assert_array_equal(phantom.labels_on(truth.affine, size, 1), truth.data[1])
    turned = truth.affine @ np.diag([3.0, -3.0, 3.0, 1.0])
    turned[:3, 3] += truth.affine[:3, 1] * (size[1] - 1)
    coarse = phantom.labels_on(turned, (size[0] // 3, size[1] // 3, size[2] // 3), 0)
    np.testing.assert_array_equal(coarse, truth.data[0][::3, ::-3, ::3][tuple(slice(n) for n in coarse.shape)])


def test_valves_and_apices_lie_at_the_ends_of_the_world_s_labels(phantom: Phantom) -> None:
    for phase in (0, 1):
        for c, valve, apex in ((1, "mitral", "lv_cavity"), (3, "tricuspid", "rv_cavity")):
            where = np.argwhere(phantom.truth_labels.data[phase] == c)
            points = where @ phantom.truth_labels.affine[:3, :3].T + phantom.truth_labels.affine[:3, 3]
            point, normal = phantom.valve_planes(phase)[valve]
            assert np.linalg.norm(normal) == pytest.approx(1)
            nearest = np.linalg.norm(points - point, axis=1).min()
            assert nearest < 2.5
            assert np.linalg.norm(points - phantom.apices(phase)[apex], axis=1).min() < (2.5 if c == 1 else 9)
        away = [np.linalg.norm(phantom.apices(p)["lv_epicardium"] - phantom.apices(0)["lv_epicardium"]) for p in (0, 1)]
        assert away[1] < 1
    descent = phantom.valve_planes(1)["mitral"][0] - phantom.valve_planes(0)["mitral"][0]
    assert abs(np.linalg.norm(descent) - phantom.heart.descent_mm) < 3


def test_a_cine_beats() -> None:
    exam = make_phantom(5, Scan(spacing_mm=20, size_px=80, pixel_mm=2.0, phases=5))
    assert exam.stack.phases == ("0", "1", "2", "3", "4")
    assert exam.stack.times_ms == (0, 180, 360, 540, 720)
    assert (exam.ed, exam.es) == (0, 2)
    assert exam.stack.labels is not None
    cavity = (exam.stack.labels == 1).sum(axis=(1, 2, 3))
    assert cavity[2] == cavity.min()
    assert cavity[0] == cavity.max()


@pytest.mark.parametrize("phase", [0, 1])
def test_myocardium_surrounds_the_cavity(phantom: Phantom, phase: int) -> None:
    labels = phantom.truth_labels.data[phase]
    levels = np.flatnonzero((labels == 1).any(axis=(0, 1)))
    for k in levels[len(levels) // 3 : -1]:  # below the valves
        grown = ndimage.binary_dilation(labels[:, :, k] == 1)
        assert np.isin(labels[:, :, k][grown], (1, 2)).all()


def test_heart_moves_sideways_and_right_ventricle_ends_first(phantom: Phantom) -> None:
    labels = phantom.truth_labels.data[0]
    last = {value: np.flatnonzero((labels == value).any(axis=(0, 1)))[-1] for value in (1, 2, 3)}
    assert last[3] < last[1] < last[2] < labels.shape[2] - 1
    centres = [np.argwhere(labels[:, :, k] == 1).mean(axis=0) for k in (last[1] - 40, last[1] - 10)]
    assert np.linalg.norm(centres[1] - centres[0]) * 1.5 > 1


@pytest.mark.parametrize("phase", [0, 1])
def test_stack_labels_are_the_truth_at_their_place(phantom: Phantom, phase: int) -> None:
    """Exactly, wherever the truth is the same in all voxels around; at a border, half a voxel decides."""
    assert phantom.stack.labels is not None
    truth = phantom.truth_labels.data[phase]
    inside = ndimage.maximum_filter(truth, 3) == ndimage.minimum_filter(truth, 3)
    sure, sampled = _at_stack(phantom, inside).astype(bool), _at_stack(phantom, truth)
    np.testing.assert_array_equal(phantom.stack.labels[phase][sure], sampled[sure])
    heart = sampled > 0
    assert sure[heart].mean() > 0.6


def test_a_slice_is_the_mean_of_the_truth_over_its_thickness() -> None:
    """Found through the two affines alone, without noise and shading; linearly between voxels."""
    exam = make_phantom(3, Scan(pixel_mm=1.5, size_px=80, spacing_mm=12.0, noise=0.0, bias=0.0))
    stack, truth = exam.stack, exam.truth_image
    i, j, h = np.meshgrid(np.arange(80), np.arange(80), np.linspace(-4, 4, 17)[1::2], indexing="ij")
    pixels = np.stack([i, j, h / 12.0, np.ones_like(h)]).reshape(4, -1)  # the third axis is a spacing long
    for n in (2, 5):
        index = (np.linalg.inv(truth.affine) @ stack.affines[n] @ pixels)[:3]
        points = ndimage.map_coordinates(truth.data[0], index, order=1).reshape(80, 80, -1)
        assert np.abs(points.mean(axis=2) - stack.images[0, n])[1:-1, 1:-1].mean() < 0.01  # of black to white


def test_blood_is_bright_and_papillary_muscles_are_in_the_cavity(phantom: Phantom) -> None:
    image, labels = phantom.truth_image.data[0], phantom.truth_labels.data[0]
    assert 0.7 < np.median(image[labels == 1]) < 1.0
    assert 0.2 < np.median(image[labels == 2]) < 0.4
    dark = (image[labels == 1] < 0.4).mean()
    assert 0.01 < dark < 0.2


def test_the_heart_is_not_mirrored(phantom: Phantom) -> None:
    labels, affine = phantom.truth_labels.data[0], phantom.truth_labels.affine
    u, v = affine[:3, 0], affine[:3, 1]
    levels = np.flatnonzero((labels == 1).any(axis=(0, 1)))
    base, apex = (_centroid((labels == 1) & (np.arange(labels.shape[2]) == k), affine) for k in levels[[0, -1]])
    assert np.cross(u, v) @ (base - apex) > 0
    assert (apex - base)[0] < 0 < (apex - base)[1]  # to the patient's left and to the front
    assert (apex - base)[2] < 0  # and down
    left, right = _centroid(labels == 1, affine), _centroid(labels == 3, affine)
    assert (right - left) @ u < -20  # picture-left
    assert (right - left)[0] > 0 < (right - left)[1]  # to the patient's right and in front


def test_slices_run_from_base_to_apex(phantom: Phantom) -> None:
    labels = phantom.stack.labels
    assert labels is not None
    held = np.isin(labels[0], (1, 2)).any(axis=(1, 2))
    assert not held[0]
    assert held[2]
    assert not held[-1]
    assert (labels[0, 3] == 3).sum() > 4 * (labels[0, -4] == 3).sum()
