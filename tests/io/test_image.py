"""Images of every format, told by their content; SimpleITK and nibabel write them, and say what is right."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.niftis import OBLIQUE, grey, save

from dmcvr.errors import InputError
from dmcvr.io.image import image_files, nifti_named, read_header, read_image, read_stack
from dmcvr.io.read import read_exam

DATA = grey(20, 18, 7)


def itk(data: np.ndarray = DATA, affine: np.ndarray = OBLIQUE) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    to_lps = np.diag([-1.0, -1.0, 1.0])
    image.SetSpacing(spacing.tolist())
    image.SetDirection((to_lps @ (affine[:3, :3] / spacing)).ravel().tolist())
    image.SetOrigin((to_lps @ affine[:3, 3]).tolist())
    return image


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha", "x.mhd", "x.nhdr", "x.nii.gz", "x.hdr"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_what_itk_writes_is_read(tmp_path: Path, name: str, packed: bool, dtype: type) -> None:
    data = DATA.astype(dtype)
    sitk.WriteImage(itk(data), str(tmp_path / name), packed)
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(image.data[..., 0], data)
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-4)
    assert image.warnings == ()


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_four_axes_of_itk_are_phases(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.JoinSeries([itk(DATA + n) for n in range(3)]), str(tmp_path / name))
    stack = read_stack(tmp_path / name)
    assert stack.phases == ("0", "1", "2")
    np.testing.assert_array_equal(stack.images[2] - stack.images[0], 2)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_a_sequence_of_slicer(tmp_path: Path, first: bool, encoding: str) -> None:
    import bz2

    data = np.stack([DATA, DATA + 1, DATA + 2], axis=0 if first else -1)
    kinds, axes = ["domain"] * 3, ["(-1.5,0,0)", "(0,-1.5,0)", "(0,0,8)"]
    kinds.insert(0 if first else 3, "list")
    axes.insert(0 if first else 3, "none")
    header = (
        "NRRD0005\n# Complete NRRD file format specification at:\ntype: short\ndimension: 4\n"
        f"space: left-posterior-superior\nsizes: {' '.join(map(str, data.shape))}\nspace directions: {' '.join(axes)}\n"
        f"kinds: {' '.join(kinds)}\nendian: little\nencoding: {encoding}\nspace origin: (10,20,30)\n"
        "DataNodeClassName:=vtkMRMLScalarVolumeNode\naxis 0 index type:=numeric\n\n"
    )
    voxels = data.astype("<i2").tobytes(order="F")
    text = " ".join(map(str, data.ravel(order="F"))).encode()
    stored = {"raw": voxels, "gzip": gzip.compress(voxels), "bzip2": bz2.compress(voxels), "ascii": text}[encoding]
    (tmp_path / "s.seq.nrrd").write_bytes(header.encode() + stored)
    image = read_image(tmp_path / "s.seq.nrrd")
    np.testing.assert_array_equal(image.data, np.stack([DATA, DATA + 1, DATA + 2], axis=-1))
    np.testing.assert_allclose(image.affine, [[1.5, 0, 0, -10], [0, 1.5, 0, -20], [0, 0, 8, 30], [0, 0, 0, 1]])


def test_pairs_and_analyze(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(DATA, OBLIQUE), tmp_path / "p.img")
    for name in ("p.hdr", "p.img"):
        np.testing.assert_array_equal(read_image(tmp_path / name).data[..., 0], DATA)
    (tmp_path / "q.IMG.GZ").write_bytes(gzip.compress((tmp_path / "p.img").read_bytes()))
    shutil.copy(tmp_path / "p.hdr", tmp_path / "q.HDR")
    np.testing.assert_array_equal(read_image(tmp_path / "q.HDR").data[..., 0], DATA)
    assert [path.name for path in image_files(tmp_path)] == ["p.hdr", "q.HDR"]
    nib.save(nib.AnalyzeImage(DATA, np.diag([-1.5, 1.5, 8, 1])), tmp_path / "a.img")
    image = read_image(tmp_path / "a.hdr")
    np.testing.assert_array_equal(image.data[..., 0], DATA)
    assert "knows no world frame" in image.warnings[0]
    (tmp_path / "q.IMG.GZ").unlink()
    with pytest.raises(InputError, match=r"voxels \(.img\) are not beside it"):
        read_image(tmp_path / "q.HDR")


@pytest.mark.parametrize("shape", [(1,), (1, 1), (4,), (4, 1), (1, 4), (1, 1, 1, 1)])
def test_axes_of_length_one_do_not_count(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = np.broadcast_to(DATA.reshape(*DATA.shape, *[1] * len(shape)), (*DATA.shape, *shape)).copy()
    path = save(tmp_path / "x.nii", data)
    assert read_stack(path).images.shape[0] == read_header(path).phases == max(shape)


def test_five_axes_that_count_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected a 3D or 4D image"):
        read_image(save(tmp_path / "x.nii", grey(20, 18, 4, 2, 3)))


def test_padding_that_is_no_number_is_background_and_said(tmp_path: Path) -> None:
    data = DATA.astype(np.float32) + 5
    data[:3] = np.nan
    stack = read_stack(save(tmp_path / "x.nii", data, OBLIQUE))
    assert "(NaN, 15 %)" in stack.warnings[0]
    assert stack.images[:, :, :3].max() == stack.images.min() == 5
    data[..., 2] = np.nan
    with pytest.raises(InputError, match="in slice 2 of phase 0"):
        read_stack(save(tmp_path / "x.nii", data, OBLIQUE))


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_packed_voxels_that_changed_are_damaged(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(itk(), str(tmp_path / name), True)
    packed = bytearray((tmp_path / name).read_bytes())
    for change in (len(packed) * 2 // 3, len(packed) - 3):
        changed = packed.copy()
        changed[change] ^= 4
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(InputError, match="damaged"):
            read_image(tmp_path / name)
    (tmp_path / name).write_bytes(packed[:-20])
    with pytest.raises(InputError, match="damaged|shorter"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("place", ["/etc/passwd", "../x.raw", "a/x.raw", "x%03d.raw 1 3 1", "LIST", "", "absent.raw"])
def test_voxels_lie_beside_their_header_alone(tmp_path: Path, place: str) -> None:
    sitk.WriteImage(itk(), str(tmp_path / "x.mhd"))
    path = tmp_path / "x.mhd"
    path.write_text(path.read_text().replace("x.raw", place))
    with pytest.raises(InputError, match="x.mhd"):
        read_image(path)


def test_files_that_macos_leaves_are_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "x.nii.gz", DATA)
    (tmp_path / "._x.nii.gz").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(500))
    assert read_exam(tmp_path).images.shape[1] == 7
    assert nifti_named(tmp_path, "X") == tmp_path / "x.nii.gz"
    with pytest.raises(InputError, match=r"left, not the image: give x\.nii\.gz"):
        read_exam(tmp_path / "._x.nii.gz")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.nii", b"", "x.nii is empty"),
        ("x.dat", bytes(257) + b"ustar\0" + bytes(300), "tar archive"),
        ("x.dat", b"<x xmlns:Hash='http://www.circlecvi.com/'>", "cvi42 workspace"),
        ("x.nrrd", b"NRRD0004\n", "its header is empty"),
        ("x.nrrd", b"NRRD0004\ntype: block\ndimension: 3\nsizes: 9 9 9\n\n", "header's 'block'"),
        ("x.nrrd", b"NRRD0004\ntype: short\ndimension: 2\nsizes: 99 99\nencoding: raw\n\n", "2 axes of space"),
        ("x.mha", b"ObjectType = Image\nNDims = 3\nDimSize = 9 9 9\n", "its header has no end"),
        ("x.mha", b"ObjectType = Image\nNDims = 3\nElementDataFile = LOCAL\n", "header's 'dimsize'"),
    ],
)
def test_what_is_no_image_is_said(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_exam(tmp_path / name)
