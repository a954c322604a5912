"""NIfTI, ACDC's layout, label conventions, output folders."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume
from dmcvr.io.acdc import list_patients, read_acdc, read_patient
from dmcvr.io.folder import whole_folder
from dmcvr.io.labels import to_internal
from dmcvr.io.nifti import read_nifti, read_stack, write_nifti
from dmcvr.io.read import read_exam, with_labels

OBLIQUE = np.array([[-0.9, 0.6, -5.0, 81.0], [0.3, 1.1, 5.8, -149.0], [-0.8, -0.7, 4.1, 94.0], [0, 0, 0, 1.0]])


def save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1]) if affine is None else affine), path)
    return path


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)


@pytest.mark.parametrize("phases", [1, 3])
def test_nifti_there_and_back(tmp_path: Path, phases: int) -> None:
    data = np.random.default_rng(0).random((phases, 20, 18, 7)).astype(np.float32)
    write_nifti(tmp_path / "x.nii.gz", Volume(data, OBLIQUE))
    back = read_nifti(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(np.moveaxis(back.data, 3, 0), data)
    np.testing.assert_allclose(back.affine, OBLIQUE, atol=1e-5)
    assert back.warnings == ()


def test_every_pixel_keeps_its_place_in_the_world(tmp_path: Path) -> None:
    data = image(20, 18, 7)
    stack = read_stack(save(tmp_path / "x.nii", data, OBLIQUE))
    for i, j, k in ((0, 0, 0), (19, 3, 6), (4, 17, 2)):
        world = (OBLIQUE @ [i, j, k, 1])[:3]
        n = int(np.argmin(np.abs(stack.positions_mm - _height(stack, world))))
        pixel = np.linalg.inv(stack.affines[n]) @ [*world, 1]
        np.testing.assert_allclose(pixel[:3], [i, j, 0], atol=1e-6)
        assert stack.images[0, n, i, j] == data[i, j, k]


def _height(stack: object, world: np.ndarray) -> float:
    return float(world @ stack.normal)  # type: ignore[attr-defined]


def test_zooms_win_over_a_unit_affine(tmp_path: Path) -> None:
    nifti = nib.Nifti1Image(image(20, 18, 7), None)
    nifti.header.set_zooms((1.25, 1.25, 10.0))
    nifti.header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), code=2)
    nib.save(nifti, tmp_path / "acdc.nii.gz")
    stack = read_stack(tmp_path / "acdc.nii.gz")
    assert stack.pixel_mm == pytest.approx((1.25, 1.25))
    assert stack.spacing_mm == pytest.approx(10.0)
    assert "zooms were used" in stack.warnings[0]


def test_bad_files_are_sentences(tmp_path: Path) -> None:
    flat = save(tmp_path / "flat.nii.gz", image(20, 18))
    with pytest.raises(InputError, match=r"Expected a 3D or 4D image; flat.nii.gz has the shape \(20, 18\)"):
        read_exam(flat)
    whole = save(tmp_path / "whole.nii.gz", image(40, 40, 9)).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged, cut off"):
        read_exam(tmp_path / "cut.nii.gz")
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"not an image"))
    with pytest.raises(InputError, match="cannot be read as NIfTI"):
        read_exam(tmp_path / "text.nii.gz")
    with pytest.raises(InputError, match="There is no file or folder"):
        read_exam(tmp_path / "nowhere.nii.gz")
    with pytest.raises(InputError, match="is not a NIfTI file"):
        read_exam(Path(__file__))
    with pytest.raises(InputError, match="at least two slices"):
        read_exam(save(tmp_path / "one.nii.gz", image(40, 40, 1)))
    nan = image(40, 40, 4).astype(np.float32)
    nan[3, 3, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        read_exam(save(tmp_path / "nan.nii.gz", nan))
    with pytest.raises(InputError, match="empty"):
        read_exam(save(tmp_path / "zero.nii.gz", np.zeros((40, 40, 4), np.int16)))


def test_a_header_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "x.nii", image(20, 18, 7))
    raw = bytearray(path.read_bytes())
    raw[40:56] = np.array([3, *[30000] * 3, 1, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(raw)
    with pytest.raises(InputError, match="claims 30000 x 30000 x 30000 voxels"):
        read_nifti(path)


def test_label_conventions() -> None:
    np.testing.assert_array_equal(to_internal(np.array([0, 1, 2, 3]), "acdc"), [0, 3, 2, 1])
    np.testing.assert_array_equal(to_internal(np.array([0.0, 1.0, 4.0]), "ukbb"), [0, 1, 3])
    with pytest.raises(InputError, match="value 5, which the 'mnms' map does not have"):
        to_internal(np.array([0, 5]), "mnms")
    with pytest.raises(InputError, match="value 1.5"):
        to_internal(np.array([0, 1.5]), "acdc")
    with pytest.raises(InputError, match="Unknown label map 'x'"):
        to_internal(np.array([0]), "x")


def test_labels_of_a_file_fit_the_stack(tmp_path: Path) -> None:
    downwards = OBLIQUE @ np.diag([1, 1, -1, 1])  # stored from the far end: the stack turns it
    exam = read_exam(save(tmp_path / "x.nii.gz", image(20, 18, 7), downwards))
    labels = np.random.default_rng(1).integers(0, 4, (20, 18, 7)).astype(np.uint8)
    found = with_labels(exam, save(tmp_path / "l.nii.gz", labels, downwards), "mnms").labels
    assert found is not None
    np.testing.assert_array_equal(np.moveaxis(found[0], 0, 2)[..., ::-1], labels)
    with pytest.raises(InputError, match="lie elsewhere"):
        with_labels(exam, save(tmp_path / "e.nii.gz", labels), "mnms")
    with pytest.raises(InputError, match="1 phase.s., 6 slices"):
        with_labels(exam, save(tmp_path / "s.nii.gz", labels[..., :6], downwards), "mnms")


def test_acdc_folder(data: Path) -> None:
    stack = read_acdc(data / "acdc" / "patient001", with_labels=True)
    assert stack.phases == ("ED", "ES")
    assert stack.images.shape == (2, 10, 216, 256)
    assert (stack.spacing_mm, stack.pixel_mm[0]) == pytest.approx((10.0, 1.5625))
    assert stack.patient.height_cm == 184.0
    assert stack.labels is not None
    ed, es = (np.count_nonzero(stack.labels[p] == 1) * 1.5625**2 * 10 / 1000 for p in (0, 1))
    assert (ed, es) == pytest.approx((295.5, 225.6), abs=0.1)  # voxels counted by hand


def test_acdc_frame_knows_its_phase(data: Path) -> None:
    assert read_exam(data / "acdc" / "patient001" / "patient001_frame12.nii.gz").phases == ("ES",)


def test_cine_has_its_phases(data: Path) -> None:
    assert read_exam(data / "acdc" / "patient090" / "patient090_4d.nii.gz").images.shape[:2] == (12, 7)


def test_damaged_acdc_folders_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No ACDC-style patient"):
        list_patients(tmp_path)
    folder = tmp_path / "p1"
    folder.mkdir()
    info = folder / "Info.cfg"
    info.write_text("ED: 1\nES: 9\n")
    with pytest.raises(InputError, match="names frame 1, but"):
        read_acdc(folder)
    info.write_text("Group: DCM\n")
    with pytest.raises(InputError, match="neither an ED nor an ES frame"):
        read_acdc(folder)
    info.write_text("ED: ../../x\n")
    with pytest.raises(InputError, match="expected a number"):
        read_acdc(folder)
    info.write_text("ED: 1\nHeight: tall\nWeight: nan\n")
    assert read_patient(folder).height_cm is None
    assert read_patient(folder).weight_kg is None


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), whole_folder(out) as partial:
        (partial / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with whole_folder(out) as partial:
        (partial / "run.json").write_text("1")
    with whole_folder(out) as partial:
        (partial / "run.json").write_text("2")
    assert (out / "run.json").read_text() == "2"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not empty"), whole_folder(tmp_path):
        pytest.fail("must not get here")
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "thesis.tex"):
        pytest.fail("must not get here")
    with pytest.raises(InputError, match="cannot be written"), whole_folder(tmp_path / "thesis.tex" / "out"):
        pytest.fail("must not get here")
