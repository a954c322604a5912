"""The phantom: its voxels against closed forms, its stack against its truth, its files against itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.io.acdc import read_acdc
from dmcvr.io.nifti import read_nifti
from dmcvr.phantom import HeartShape, Phantom, Scan, make_phantom, random_shapes, write_phantom
from dmcvr.phantom.frame import Grid, axis_samples
from dmcvr.phantom.scan import acquire

#: Coarse and small: for tests that need another exam.
SMALL = Scan(pixel_mm=2.0, size_px=80, spacing_mm=12.0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3)


def _shapes(seed: int) -> tuple[HeartShape, HeartShape]:
    return random_shapes(np.random.default_rng(seed))


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
    assert 8 <= stack.images.shape[1] <= 12
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


def test_deformations_keep_volume_on_a_fine_grid() -> None:
    shape = replace(_shapes(0)[0], ovality=0.3, triangularity=0.15, tilt_x=0.5, bend_y_mm=8.0)
    grid = Grid(axis_samples(0, 150, 1.2), axis_samples(0, 150, 1.2), axis_samples(50, 225, 0.5))
    labels = shape.labels(*grid.mesh())
    voxel_ml = 1.2**2 * 0.5 / 1000
    assert (labels == 1).sum() * voxel_ml == pytest.approx(shape.lv_cavity_volume_ml(), rel=0.01)
    assert np.isin(labels, (1, 2)).sum() * voxel_ml == pytest.approx(shape.lv_epicardial_volume_ml(), rel=0.01)


def test_half_an_ellipsoid_has_the_volume_of_the_textbook() -> None:
    shape = replace(_shapes(0)[0], lv_equator_mm=0.0, lv_length_mm=80.0, lv_radius_mm=25.0)
    assert shape.lv_cavity_volume_ml() == pytest.approx(2 / 3 * np.pi * 25**2 * 80 / 1000)


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


@pytest.mark.parametrize("phase", [0, 1])
def test_myocardium_surrounds_the_cavity(phantom: Phantom, phase: int) -> None:
    labels = phantom.truth_labels.data[phase]
    levels = np.flatnonzero((labels == 1).any(axis=(0, 1)))
    for k in levels[1:-1]:
        grown = ndimage.binary_dilation(labels[:, :, k] == 1)
        assert np.isin(labels[:, :, k][grown], (1, 2)).all()


def test_heart_moves_sideways_and_right_ventricle_ends_first(phantom: Phantom) -> None:
    labels = phantom.truth_labels.data[0]
    last = {value: np.flatnonzero((labels == value).any(axis=(0, 1)))[-1] for value in (1, 2, 3)}
    assert last[3] < last[1] < last[2] < labels.shape[2] - 1
    centres = [np.argwhere(labels[:, :, k] == 1).mean(axis=0) for k in (last[1] - 40, last[1] - 10)]
    assert np.linalg.norm(centres[1] - centres[0]) * 1.5 > 2


def test_twenty_hearts_are_physiological() -> None:
    for seed in range(20):
        ed, es = _shapes(seed)
        assert 90 <= ed.lv_cavity_volume_ml() <= 220
        assert 80 <= ed.lv_mass_g() <= 200
        assert 100 <= ed.rv_cavity_volume_ml() <= 250
        assert 0.45 <= 1 - es.lv_cavity_volume_ml() / ed.lv_cavity_volume_ml() <= 0.70
        assert 0.35 <= 1 - es.rv_cavity_volume_ml() / ed.rv_cavity_volume_ml() <= 0.80
        assert es.lv_mass_g() == pytest.approx(ed.lv_mass_g(), rel=0.03)
        assert 5 <= ed.wall_mm < es.wall_mm <= 20
        assert 8 <= es.base_mm - ed.base_mm <= 15
        assert es.apex_z_mm == pytest.approx(ed.apex_z_mm)
        assert ed.rv_length_mm < ed.lv_length_mm


def test_stack_labels_are_the_truth_at_their_place(phantom: Phantom) -> None:
    assert phantom.stack.labels is not None
    for phase in (0, 1):
        sampled = _at_stack(phantom, phantom.truth_labels.data[phase])
        for value in (1, 2, 3):
            a, b = sampled == value, phantom.stack.labels[phase] == value
            assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9


def test_stack_and_truth_images_share_the_world(phantom: Phantom) -> None:
    sampled = _at_stack(phantom, phantom.truth_image.data[0])
    assert np.corrcoef(sampled.ravel(), phantom.stack.images[0].ravel())[0, 1] > 0.93


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
    held = (labels[0] > 0).any(axis=(1, 2))
    assert not held[0]
    assert held[1]
    assert not held[-1]
    assert (labels[0, 1] == 3).sum() > 4 * (labels[0, -4] == 3).sum()


def test_every_slice_shifts_on_its_own() -> None:
    scan = replace(SMALL, noise=0.0, bias=0.0)
    still, moved = make_phantom(4, scan), make_phantom(4, replace(scan, shift_mm=5.0))
    assert still.stack.labels is not None
    assert moved.stack.labels is not None
    np.testing.assert_array_equal(still.truth_image.data, moved.truth_image.data)
    shifts = []
    for n in range(2, 6):
        places = [
            [np.argwhere(labels[phase, n] == 1).mean(axis=0) for phase in (0, 1)]
            for labels in (still.stack.labels, moved.stack.labels)
        ]
        by_phase = np.subtract(places[1], places[0]) * 2.0
        np.testing.assert_allclose(by_phase[0], by_phase[1], atol=0.5)
        shifts.append(by_phase[0])
        before, after = still.stack.images[0, n], moved.stack.images[0, n]
        follows = ndimage.shift(before, by_phase.mean(axis=0) / 2.0, order=3, mode="nearest")
        assert np.abs(after - follows).mean() < 0.25 * np.abs(after - before).mean()
    assert 1 < np.std(shifts) < 12
    assert np.abs(np.diff(shifts, axis=0)).max() > 2


@pytest.mark.parametrize("thickness_mm", [2.0, 8.0, 12.0])
def test_a_thick_slice_blurs_a_step_into_a_ramp(thickness_mm: float) -> None:
    flat, fine_z = axis_samples(0, 20, 1.5), axis_samples(0, 200, 0.25)
    step = np.broadcast_to((fine_z > 0).astype(np.float32), (20, 20, 200))
    z = axis_samples(0, 21, 1.0)
    scan = Scan(thickness_mm=thickness_mm, noise=0.0)
    got = acquire(
        step, Grid(flat, flat, fine_z), Grid(flat, flat, z), scan, np.zeros((21, 2)), np.random.default_rng(0)
    )
    ramp = np.clip(0.5 + z / thickness_mm, 0, 1)
    np.testing.assert_allclose(got, np.broadcast_to(ramp[:, None, None], got.shape), atol=1e-5)


def test_noise_is_rician() -> None:
    grid = Grid(axis_samples(0, 60, 1.5), axis_samples(0, 60, 1.5), axis_samples(0, 8, 10))
    air = np.zeros(grid.shape, dtype=np.float32)
    scan = Scan(noise=0.05, thickness_mm=10.0)
    got = acquire(air, grid, grid, scan, np.zeros((8, 2)), np.random.default_rng(0))
    assert got.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.02)


@pytest.mark.parametrize("wrong", [{"spacing_mm": 0.0}, {"noise": -1.0}, {"size_px": 4}, {"pixel_mm": float("nan")}])
def test_an_impossible_scan_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="scan"):
        Scan(**wrong)  # type: ignore[arg-type]


def test_written_exam_reads_back(tmp_path: Path) -> None:
    phantom = make_phantom(7, SMALL)
    folder = tmp_path / "cohort" / "phantom007"
    write_phantom(phantom, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["phantom007"]
    stack = read_acdc(folder, with_labels=True)
    np.testing.assert_array_equal(stack.images, phantom.stack.images)
    np.testing.assert_array_equal(stack.labels, phantom.stack.labels)
    np.testing.assert_allclose(stack.affines, phantom.stack.affines, atol=1e-3)
    assert stack.phases == ("ED", "ES")
    assert stack.patient == phantom.stack.patient
    assert stack.warnings == ()
    for name, volume in (("truth_image", phantom.truth_image), ("truth_labels", phantom.truth_labels)):
        read = read_nifti(folder / f"{name}.nii.gz")
        np.testing.assert_array_equal(np.moveaxis(read.data, 3, 0), volume.data)
        np.testing.assert_allclose(read.affine, volume.affine, atol=1e-3)
    about = json.loads((folder / "phantom.json").read_text())
    assert about["seed"] == 7
    assert about["scan"]["spacing_mm"] == 12.0
    measured = about["phases"]["ES"]["measures"]["lv_cavity_volume_ml"]
    assert measured == pytest.approx(phantom.shapes[1].lv_cavity_volume_ml())
    with pytest.raises(InputError, match="exists already"):
        write_phantom(phantom, folder)


def test_a_failed_write_leaves_nothing(phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, volume: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("dmcvr.phantom.write.write_nifti", fail)
    with pytest.raises(OSError, match="disk full"):
        write_phantom(phantom, tmp_path / "phantom003")
    assert list(tmp_path.iterdir()) == []
