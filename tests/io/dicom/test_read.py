"""DICOM in: what is found among a scanner's files, where it lies, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from helpers import dicoms
from pydicom.uid import JPEGLosslessSV1, RLELossless, generate_uid

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.io.read import find_exam, read_exam

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def check_cine(stack: SliceStack, slices: int = 4, phases: int = 6, *, slope: float = 1, offset: float = 0) -> None:
    """Every picture at its place and time, whatever way the slices are stored."""
    assert stack.images.shape == (phases, slices, *dicoms.SIZE[::-1])
    assert stack.phases == tuple(str(p) for p in range(phases))
    assert stack.times_ms == pytest.approx([800 * p / phases for p in range(phases)], abs=0.01)
    assert (stack.spacing_mm, stack.thickness_mm) == pytest.approx((10, 8), abs=1e-3)
    assert stack.pixel_mm == pytest.approx((1.25, 1.5))
    for n in range(slices):
        corner_lps = np.array(dicoms.CORNER) + 10 * n * dicoms.normal_of(dicoms.SHORT_AXIS)
        at = int(np.argmin(np.linalg.norm(stack.affines[:, :3, 3] - corner_lps * [-1, -1, 1], axis=1)))
        np.testing.assert_allclose(stack.affines[at, :3, 3], corner_lps * [-1, -1, 1], atol=1e-3)
        last = (stack.affines[at] @ [dicoms.SIZE[1] - 1, dicoms.SIZE[0] - 1, 0, 1])[:3] * [-1, -1, 1]
        row, column = np.reshape(dicoms.SHORT_AXIS, (2, 3))
        np.testing.assert_allclose(last, corner_lps + row * 1.25 * 19 + column * 1.5 * 23, atol=1e-3)
        for p in range(phases):
            np.testing.assert_allclose(stack.images[p, at], dicoms.picture(n, p).T * float(slope) + offset)


def test_sunnybrook(data: Path) -> None:
    exam = find_exam(data / "sunnybrook")
    assert exam.source.layout == "sunnybrook"
    stack = exam.read()
    assert stack.images.shape == (20, 12, 256, 256)
    assert (stack.spacing_mm, stack.thickness_mm, stack.pixel_mm[0]) == pytest.approx((10, 10, 1.367188), abs=1e-4)
    assert stack.times_ms is not None
    assert np.all(np.diff(stack.times_ms) > 30)
    np.testing.assert_allclose(np.diff(stack.positions_mm), 10, atol=1e-3)
    manual = nib.load(data / "sunnybrook" / "SCD0000101_ED_frame18_gt.nii.gz")
    corners = manual.affine @ np.stack([[0, 0, k, 1] for k in range(12)], axis=1)
    np.testing.assert_allclose(stack.affines[:, :3, 3], corners[:3].T, atol=1e-3)
    labelled = exam.read(labels=True)
    assert labelled.phases == ("ED", "ES")
    assert labelled.labels is not None
    cavity = [np.count_nonzero(labelled.labels[p] == 1) for p in (0, 1)]
    assert cavity == [10351, 7668]  # voxels of the two label files
    inside = labelled.images[0][labelled.labels[0] == 1].mean()
    assert inside > 1.5 * labelled.images[0].mean()  # blood is bright: labels and pictures overlay


def test_a_classic_cine_is_sorted_by_position_and_time(tmp_path: Path) -> None:
    dicoms.cine(tmp_path, series=generate_uid(), RescaleSlope=2, RescaleIntercept=-5)
    stack = read_exam(tmp_path)
    check_cine(stack, slope=2, offset=-5)
    assert (stack.patient.height_cm, stack.patient.weight_kg, stack.patient.sex) == (170, 70, "F")
    assert stack.select_phases([3, 1]).times_ms == pytest.approx((400, 133.333), abs=0.01)


def test_each_slice_its_own_series(tmp_path: Path) -> None:
    dicoms.cine(tmp_path)
    exam = find_exam(tmp_path)
    check_cine(exam.read())
    assert [piece.taken for piece in exam.source.pieces] == [True] * 4


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    path = dicoms.enhanced(tmp_path / "a" / "enhanced.dcm")
    check_cine(read_exam(tmp_path), slope=2, offset=-5)
    check_cine(read_exam(path), slope=2, offset=-5)


def test_the_short_axis_among_everything_else(tmp_path: Path) -> None:
    dicoms.cine(tmp_path / "deep" / "er", series=generate_uid(), number=5)
    dicoms.cine(
        tmp_path, series=generate_uid(), number=6, axes=dicoms.LONG_AXIS, places_mm=[15], description="cine 4ch"
    )
    dicoms.cine(tmp_path, series=generate_uid(), number=1, axes=(1, 0, 0, 0, 1, 0), phases=1, description="scout")
    dicoms.cine(tmp_path, series=generate_uid(), number=2, axes=(1, 0, 0, 0, 0, -1), phases=1, description="")
    dicoms.cine(tmp_path, series=generate_uid(), number=8, phases=1, description="LGE sax")
    dicoms.cine(tmp_path, series=generate_uid(), number=9, axes=(1, 0, 0, 0, 1, 0), places_mm=range(0, 60, 10))
    report = dicoms.header(generate_uid(), 30)
    del report.Rows, report.Columns
    dicoms.write(report, tmp_path / "report.dcm")
    dicoms.write(dicoms.header(generate_uid(), 31), tmp_path / "no place.dcm")
    dicoms.write(dicoms.header(generate_uid(), 32, Modality="CT"), tmp_path / "ct.dcm")
    (tmp_path / "DICOMDIR.txt").write_text("junk")
    (tmp_path / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    (tmp_path / "empty").touch()
    exam = find_exam(tmp_path)
    check_cine(exam.read())
    kinds = {piece.name: (piece.kind, piece.taken) for piece in exam.source.pieces}
    assert kinds == {
        "series 5": ("short axis cine", True),
        "series 6": ("long axis cine", False),
        "series 1": ("scout", False),
        "series 2": ("scout", False),
        "series 8": ("late enhancement", False),
        "series 9": ("cine of another plane", False),
    }
    assert exam.source.ignored["not DICOM"] == 2
    assert exam.source.ignored["DICOM without an image"] >= 1
    assert exam.source.ignored["another modality than MR"] == 1
    assert exam.source.ignored["pictures without a place in the world"] == 1


def test_a_repeated_slice_is_taken_once_the_missing_from_another_series(tmp_path: Path) -> None:
    dicoms.cine(tmp_path, series=generate_uid(), places_mm=(0, 10, 30))
    dicoms.cine(tmp_path, series=generate_uid(), number=12, places_mm=(10.5, 20))
    exam = find_exam(tmp_path)
    assert exam.read().spacing_mm == pytest.approx(10, abs=1e-3)
    assert exam.read().images.shape[1] == 4
    assert exam.source.pieces[0].why.startswith("1 slices are elsewhere")
    assert any("series 5 and again in series 12" in warning for warning in exam.read().warnings)


def test_unequal_phases_duplicates_and_a_missing_slice(tmp_path: Path) -> None:
    files = dicoms.cine(tmp_path, series=generate_uid(), phases=[6, 5, 6, 2, 6], places_mm=(0, 10, 20, 30, 40))
    (tmp_path / "again.dcm").write_bytes(files[0].read_bytes())
    exam = find_exam(tmp_path)
    assert exam.source.ignored == {"duplicates": 1}
    stack = exam.read()
    assert stack.images.shape[:2] == (6, 4)
    np.testing.assert_allclose(np.sort(np.diff(stack.positions_mm)), [10, 10, 20], atol=1e-3)
    assert any("5 phases, most have 6" in warning for warning in stack.warnings)
    assert any("was left out: it has 2 phases of 6" in warning for warning in stack.warnings)


def test_without_trigger_times_the_numbers_decide(tmp_path: Path) -> None:
    for n, path in enumerate(dicoms.cine(tmp_path, series=generate_uid())):
        dataset = pydicom.dcmread(path)
        del dataset.TriggerTime
        dataset.InstanceNumber = n
        dataset.save_as(path)
    stack = read_exam(tmp_path)
    assert stack.times_ms is None
    assert any("no trigger times" in warning for warning in stack.warnings)
    order = np.argsort(stack.images[0, :, 0, 0])
    np.testing.assert_allclose(stack.images[:, order[1], 0, 0], 1000 + 10 * np.arange(6))


def test_several_patients_or_no_heart_are_said(tmp_path: Path) -> None:
    dicoms.cine(tmp_path, series=generate_uid())
    dicoms.cine(tmp_path, series=generate_uid(), PatientID="OTHER")
    with pytest.raises(InputError, match="short-axis stacks of 2 patients"):
        read_exam(tmp_path)
    dicoms.cine(tmp_path / "scout", series=generate_uid(), phases=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(InputError, match="no short-axis stack"):
        read_exam(tmp_path / "scout")


def test_headers_that_claim_terabytes_are_passed_over(tmp_path: Path) -> None:
    dicoms.cine(tmp_path, series=generate_uid())
    dicoms.enhanced(tmp_path / "huge.dcm", NumberOfFrames=2_000_000_000)
    dicoms.write(dicoms.header(generate_uid(), 3, Rows=65535, Columns=65535), tmp_path / "wide.dcm")
    exam = find_exam(tmp_path)
    assert exam.source.ignored["DICOM that claims an absurd size"] == 2
    check_cine(exam.read())


def test_cut_off_pixels_and_missing_decoders_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = dicoms.cine(tmp_path / "cut", series=generate_uid())
    files[3].write_bytes(files[3].read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_exam(tmp_path / "cut")
    for path in dicoms.cine(tmp_path / "jpeg", series=generate_uid()):
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    check_cine(read_exam(tmp_path / "jpeg"))
    for path in (tmp_path / "jpeg").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        dataset.save_as(path)
    from pydicom.pixels.decoders import JPEGLosslessSV1Decoder

    monkeypatch.setattr(JPEGLosslessSV1Decoder, "_available", {})
    with pytest.raises(InputError, match=r"compressed \(JPEG Lossless.*pip install"):
        read_exam(tmp_path / "jpeg")


def test_inspect_names_no_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dicoms.cine(tmp_path, series=generate_uid(), description=dicoms.SECRET)
    main(["inspect", str(tmp_path)])
    table = capsys.readouterr()
    assert "short axis cine" in table.out
    main(["inspect", str(tmp_path), "--json"])
    text = capsys.readouterr()
    found = json.loads(text.out)
    assert found["pieces"][0]["phases"] == 6
    assert "SECRET" not in table.out + table.err + text.out + text.err
    with pytest.raises(SystemExit):
        main(["inspect", str(tmp_path), "--layout", "acdc"])
    assert "Info.cfg" in capsys.readouterr().err
