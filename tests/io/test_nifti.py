"""NIfTI in and out: values, places, sizes, and what is refused."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.niftis import OBLIQUE, grey, save

from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume
from dmcvr.io.claims import slices_last
from dmcvr.io.image import read_header, read_image, read_stack
from dmcvr.io.nifti import write_nifti
from dmcvr.io.read import read_exam


@pytest.mark.parametrize("phases", [1, 3])
def test_nifti_there_and_back(tmp_path: Path, phases: int) -> None:
    data = np.random.default_rng(0).random((phases, 20, 18, 7)).astype(np.float32)
    write_nifti(tmp_path / "x.nii.gz", Volume(data, OBLIQUE))
    back = read_image(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(np.moveaxis(back.data, 3, 0), data)
    np.testing.assert_allclose(back.affine, OBLIQUE, atol=1e-5)
    assert back.warnings == ()


def test_every_pixel_keeps_its_place_in_the_world(tmp_path: Path) -> None:
    data = grey(20, 18, 7)
    stack = read_stack(save(tmp_path / "x.nii", data, OBLIQUE))
    for i, j, k in ((0, 0, 0), (19, 3, 6), (4, 17, 2)):
        world = (OBLIQUE @ [i, j, k, 1])[:3]
        n = int(np.argmin(np.abs(stack.positions_mm - world @ stack.normal)))
        pixel = np.linalg.inv(stack.affines[n]) @ [*world, 1]
        np.testing.assert_allclose(pixel[:3], [i, j, 0], atol=1e-6)
        assert stack.images[0, n, i, j] == data[i, j, k]


def test_zooms_win_over_a_unit_affine(tmp_path: Path) -> None:
    nifti = nib.Nifti1Image(grey(20, 18, 7), None)
    nifti.header.set_zooms((1.25, 1.25, 10.0))
    nifti.header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), code=2)
    nib.save(nifti, tmp_path / "acdc.nii.gz")
    stack = read_stack(tmp_path / "acdc.nii.gz")
    assert stack.pixel_mm == pytest.approx((1.25, 1.25))
    assert stack.spacing_mm == pytest.approx(10.0)
    assert "zooms were used" in stack.warnings[0]


def test_bad_files_are_sentences(tmp_path: Path) -> None:
    flat = save(tmp_path / "flat.nii.gz", grey(20, 18))
    with pytest.raises(InputError, match=r"Expected a 3D or 4D image; flat.nii.gz has the shape \(20, 18\)"):
        read_exam(flat)
    whole = save(tmp_path / "whole.nii.gz", grey(40, 40, 9)).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut.nii.gz is damaged: it is cut off"):
        read_exam(tmp_path / "cut.nii.gz")
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"not an image"))
    with pytest.raises(InputError, match="cannot be read as NIfTI"):
        read_exam(tmp_path / "text.nii.gz")
    with pytest.raises(InputError, match="at least two slices"):
        read_exam(save(tmp_path / "one.nii.gz", grey(40, 40, 1)))
    nan = grey(40, 40, 4).astype(np.float32)
    nan[:, :, 1] = np.nan
    with pytest.raises(InputError, match="only values that are not a number .NaN. in slice 1 of phase 0"):
        read_exam(save(tmp_path / "nan.nii.gz", nan))
    with pytest.raises(InputError, match="empty"):
        read_exam(save(tmp_path / "zero.nii.gz", np.zeros((40, 40, 4), np.int16)))


def test_a_header_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "x.nii", grey(20, 18, 7))
    raw = bytearray(path.read_bytes())
    raw[40:56] = np.array([3, *[30000] * 3, 1, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(raw)
    with pytest.raises(InputError, match="claims 30000 x 30000 x 30000 voxels"):
        read_image(path)


def test_a_header_alone(tmp_path: Path) -> None:
    header = read_header(save(tmp_path / "x.nii.gz", grey(20, 18, 7, 3)))
    assert (header.shape, header.phases, header.zooms) == ((20, 18, 7), 3, (1.5, 1.5, 8.0))
    assert read_header(save(tmp_path / "y.nii", grey(20, 18, 7))).phases == 1


def test_frames_and_names(tmp_path: Path) -> None:
    data = grey(20, 18, 7, 4)
    path = save(tmp_path / "x.nii.gz", data)
    stack = read_stack(path, frames=(3, 1), phases=("ED", "ES"))
    assert stack.phases == ("ED", "ES")
    np.testing.assert_array_equal(stack.images, np.moveaxis(data[..., [3, 1]], (3, 2), (0, 1)))
    with pytest.raises(InputError, match="has 4 phases, counted from 0; phase 4 was asked for"):
        read_stack(path, frames=(0, 4))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_slices_lie_along_the_axis_of_the_largest_steps(tmp_path: Path, order: tuple[int, int, int]) -> None:
    """Whatever the order of the axes, pixels and affine together are the same slices in the same world."""
    rng = np.random.default_rng(0)
    data, affine = rng.random((20, 24, 5, 2), dtype=np.float32), np.diag([1.5, 1.4, 9.0, 1.0])
    nib.save(nib.Nifti1Image(data.transpose(*order, 3), affine[:, [*order, 3]]), tmp_path / "x.nii")
    stack = read_stack(tmp_path / "x.nii")
    assert stack.images.shape[:2] == (2, 5)
    assert (stack.spacing_mm, stack.thickness_mm) == (9.0, 9.0)
    header = read_header(tmp_path / "x.nii")
    assert (header.shape[2], header.zooms[2], header.phases) == (5, 9.0, 2)
    for n in range(5):
        pixels = stack.images[1, n] if stack.affines[n][0, 0] else stack.images[1, n].T
        np.testing.assert_array_equal(pixels, data[:, :, n, 1])


@pytest.mark.parametrize(
    ("shape", "zooms", "order"),
    [
        ((256, 216, 10), (1.4, 1.4, 10), [0, 1, 2]),
        ((10, 256, 216), (10, 1.4, 1.4), [1, 2, 0]),
        ((256, 10, 216), (1.4, 8, 1.4), [0, 2, 1]),
        ((100, 110, 90), (1.5, 1.5, 1.5), [0, 1, 2]),  # no slices: as the file has it
        ((256, 256, 300), (1.5, 3.0, 1.5), [0, 1, 2]),  # coarse, but not few
        ((10, 256, 216), (1, 1, 1), [0, 1, 2]),
    ],
)
def test_slices_last(shape: tuple[int, ...], zooms: tuple[float, ...], order: list[int]) -> None:
    assert slices_last(shape, np.array(zooms, dtype=np.float64)) == order
