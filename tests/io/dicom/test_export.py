"""DICOM out: voxels stay at their place in the patient, and the patient's name stays at home."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers import dicoms
from pydicom.uid import generate_uid

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.volume import Volume
from dmcvr.io.dicom.export import export
from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.image import window
from dmcvr.io.dicom.planes import planes_of
from dmcvr.io.nifti import write_nifti
from dmcvr.io.read import read_exam
from dmcvr.io.result import stack_volume

hd = pytest.importorskip("highdicom")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

LPS = np.array([-1.0, -1.0, 1.0])

MEASURES = {
    "bsa_m2": 1.82,
    "dense_volume": {
        "phases": {"0": {"lv_cavity_ml": 150.25, "lv_mass_g": 99.5, "rv_cavity_ml": 160.0}},
        "lv": {"edv_ml": 150.25, "esv_ml": 60.11, "sv_ml": 90.14, "ef_percent": 59.99, "mass_g": 99.5,
               "edv_ml_per_m2": 82.55, "esv_ml_per_m2": 33.03, "sv_ml_per_m2": 49.53, "mass_g_per_m2": 54.67},
        "rv": {"edv_ml": 160.0, "esv_ml": 70.5, "sv_ml": 89.5, "ef_percent": 55.94, "edv_ml_per_m2": 87.91,
               "esv_ml_per_m2": 38.74, "sv_ml_per_m2": 49.18},
    },
}  # fmt: skip


def result_of(folder: Path, stack: SliceStack, affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A result folder with random labels on this grid; gives the labels (P, I, J, K)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (len(stack.phases), *shape)).astype(np.uint8)
    folder.mkdir()
    write_nifti(folder / "image.nii.gz", Volume(rng.random(labels.shape).astype(np.float32) * 900, affine))
    write_nifti(folder / "labels.nii.gz", Volume(labels, affine))
    run = {"phases": stack.phases, "times_ms": stack.times_ms, "input": {"positions_mm": stack.positions_mm.tolist()}}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "measures.json").write_text(json.dumps(MEASURES))
    return labels


def dense_grid(stack: SliceStack) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Voxels of 2 mm over the stack, along its own axes."""
    affine = stack.affines[0].copy()
    affine[:3, :2] *= 2 / np.array(stack.pixel_mm)
    affine[:3, 2] = stack.normal * 2
    return affine, (16, 18, 15)


def frames_of(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a SEG as highdicom reads it: labels (K, rows, columns), corners (K, 3) in LPS, spacing."""
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    corners = (volume.affine @ np.stack([[k, 0, 0, 1] for k in range(volume.shape[0])], axis=1))[:3].T
    return volume.array, corners, np.array(volume.spacing)


def world_of(affine: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    return (affine @ [*index, 1])[:3] * LPS


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    dicoms.cine(folder, series=generate_uid(), phases=5)
    return folder


def test_seg_of_a_dense_grid_lies_where_the_labels_lie(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    affine, shape = dense_grid(stack)
    labels = result_of(tmp_path / "heart", stack, affine, shape)
    export(tmp_path / "heart", tmp_path / "out", to="dicom-seg", source=source, phase="3")
    path = tmp_path / "out" / "labels_phase03.dcm"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["export.json", path.name]
    places = np.array([world_of(affine, (0, 0, k)) for k in range(shape[2])])
    found, corners, spacing = frames_of(path)
    np.testing.assert_allclose(spacing, 2, atol=1e-6)
    assert len(corners) == shape[2]
    for corner, picture in zip(corners, found, strict=True):
        away = np.linalg.norm(places - corner, axis=1)
        assert away.min() < 1e-3
        np.testing.assert_array_equal(picture, labels[3, :, :, np.argmin(away)].T)
    measures = pydicom.dcmread(path).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == pytest.approx((2, 2))


def test_a_structure_that_is_absent_is_a_segment_all_the_same(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    affine, shape = dense_grid(stack)
    labels = result_of(tmp_path / "heart", stack, affine, shape)
    labels[labels == 3] = 0
    write_nifti(tmp_path / "heart" / "labels.nii.gz", Volume(labels, affine))
    export(tmp_path / "heart", tmp_path / "out", to="dicom-seg", source=source, phase="1")
    path = tmp_path / "out" / "labels_phase01.dcm"
    assert len(pydicom.dcmread(path).SegmentSequence) == 3
    assert np.count_nonzero(frames_of(path)[0]) == np.count_nonzero(labels[1])


def test_seg_on_the_slices_lies_on_the_source(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    volume = stack_volume(stack)
    assert volume is not None
    result_of(tmp_path / "heart", stack, volume.affine, volume.data.shape[1:])  # type: ignore[arg-type]
    export(tmp_path / "heart", tmp_path / "out", to="dicom-seg", source=source, phase="0")
    _, corners, _ = frames_of(tmp_path / "out" / "labels_phase00.dcm")
    pictures = [pydicom.dcmread(path) for path in source.iterdir()]
    wanted = np.unique([[float(v) for v in picture.ImagePositionPatient] for picture in pictures], axis=0)
    np.testing.assert_allclose(np.sort(corners, axis=0), np.sort(wanted, axis=0), atol=0.1)
    seg = pydicom.dcmread(tmp_path / "out" / "labels_phase00.dcm")
    assert seg.FrameOfReferenceUID == pictures[0].FrameOfReferenceUID
    referred = {item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {picture.SOPInstanceUID for picture in pictures if picture.TriggerTime == 0}
    segments = list(seg.SegmentSequence)
    assert [segment.SegmentLabel for segment in segments] == ["LV cavity", "LV myocardium", "RV cavity"]
    codes = [segment.SegmentedPropertyTypeCodeSequence[0].CodeValue for segment in segments]
    assert codes == ["87878005", "49848007", "53085002"]
    assert len({tuple(segment.RecommendedDisplayCIELabValue) for segment in segments}) == 3


def test_image_series_in_space_time_and_grey_values(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    affine, shape = dense_grid(stack)
    result_of(tmp_path / "heart", stack, affine, shape)
    main(["export", str(tmp_path / "heart"), "-o", str(tmp_path / "out"), "--source", str(source)])
    back = read_exam(tmp_path / "out")  # what we write, we read
    assert back.images.shape == (5, shape[2], *shape[:2])
    assert back.times_ms == stack.times_ms
    np.testing.assert_allclose(back.affines[0][:3, [0, 1, 3]], affine[:3, [0, 1, 3]], atol=1e-4)
    image = sitk.ImageSeriesReader()
    image.SetFileNames([str(path) for path in sorted((tmp_path / "out" / "phase02").iterdir())])
    read = image.Execute()
    point = np.array(read.TransformIndexToPhysicalPoint((0, 0, 0)))
    ends = [world_of(affine, (0, 0, k)) for k in (0, shape[2] - 1)]
    assert min(np.linalg.norm(point - end) for end in ends) < 0.1
    np.testing.assert_allclose(read.GetSpacing(), 2, atol=1e-6)
    assert sitk.GetArrayFromImage(read).max() == pytest.approx(900, abs=1)
    one = pydicom.dcmread(tmp_path / "out" / "phase02" / "0001.dcm")
    assert one.ImageType[0] == "DERIVED"
    grey = np.asanyarray(nib.load(tmp_path / "heart" / "image.nii.gz").dataobj)  # labelled everywhere
    low, high = one.WindowCenter - one.WindowWidth / 2, one.WindowCenter + one.WindowWidth / 2
    np.testing.assert_allclose([low, high], np.percentile(grey, [1, 99]), atol=1)
    assert len(one.SourceImageSequence) == 4


@pytest.mark.parametrize("to", ["dicom", "dicom-all"])
def test_identity_stays_home_unless_asked_for(source: Path, tmp_path: Path, to: str) -> None:
    stack = read_exam(source)
    result_of(tmp_path / "heart", stack, *dense_grid(stack))
    for keep, name in ((False, "out"), (True, "kept")):
        export(tmp_path / "heart", tmp_path / name, to=to, source=source, phase="0", keep_identity=keep)  # type: ignore[arg-type]
        for path in (tmp_path / name).rglob("*.dcm"):
            assert (b"SECRET" in path.read_bytes()) is keep
            written = pydicom.dcmread(path)
            assert (written.StudyInstanceUID == dicoms.STUDY) is keep
            assert (str(written.PatientName) == dicoms.SECRET) is keep
            assert written.get("PatientIdentityRemoved", "NO") == ("NO" if keep else "YES")
    with pytest.raises(InputError, match="--keep-identity needs"):
        export(tmp_path / "heart", tmp_path / "x", to="dicom", keep_identity=True)


@pytest.mark.parametrize("to", ["dicom", "dicom-all"])
def test_odd_uids_of_a_scanner_are_kept_in_silence(tmp_path: Path, to: str) -> None:
    dicoms.cine(tmp_path / "source", phases=1)
    odd = []
    for path in sorted((tmp_path / "source").rglob("*.dcm")):
        with lenient():
            header = pydicom.dcmread(path)
            odd.append(f"2.16.124.113543.6006.99.0{len(odd) + 1}")
            header.FrameOfReferenceUID = "2.16.124.113543.6006.99.00"
            header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = odd[-1]
            header.save_as(path)
    stack = read_exam(tmp_path / "source")
    result_of(tmp_path / "heart", stack, *dense_grid(stack))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(tmp_path / "heart", tmp_path / "out", to=to, source=tmp_path / "source")  # type: ignore[arg-type]
    with lenient():
        text = "".join(str(pydicom.dcmread(path)) for path in (tmp_path / "out").rglob("*.dcm"))
    assert all(uid in text for uid in odd)


def test_without_a_source_the_seg_refers_to_our_image(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    result_of(tmp_path / "heart", stack, *dense_grid(stack))
    export(tmp_path / "heart", tmp_path / "out", to="dicom-seg", phase="1")
    seg = pydicom.dcmread(tmp_path / "out" / "labels_phase01.dcm")
    image = pydicom.dcmread(tmp_path / "out" / "phase01" / "0001.dcm")
    assert seg.FrameOfReferenceUID == image.FrameOfReferenceUID
    assert seg.StudyInstanceUID == image.StudyInstanceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == image.SeriesInstanceUID


def test_an_enhanced_source_and_one_series_a_slice(tmp_path: Path) -> None:
    dicoms.enhanced(tmp_path / "enhanced" / "x.dcm")
    dicoms.cine(tmp_path / "single")
    for name in ("enhanced", "single"):
        stack = read_exam(tmp_path / name)
        result_of(tmp_path / f"heart {name}", stack, *dense_grid(stack))
        export(tmp_path / f"heart {name}", tmp_path / f"out {name}", to="dicom-seg", source=tmp_path / name, phase="0")
        seg = pydicom.dcmread(tmp_path / f"out {name}" / "labels_phase00.dcm")
        items = list(seg.ReferencedSeriesSequence) + list(
            seg.get("StudiesContainingOtherReferencedInstancesSequence", [])
        )
        assert items


def test_what_cannot_be_exported_is_said(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    affine, shape = dense_grid(stack)
    result_of(tmp_path / "heart", stack, affine, shape)
    dicoms.cine(tmp_path / "other", series=generate_uid(), places_mm=(5, 15, 25, 35), phases=5)
    cases = [
        ({"result": tmp_path / "other"}, "no result of dmcvr reconstruct"),
        ({"source": tmp_path / "other"}, "lie elsewhere"),
        ({"phase": "ED"}, "not in this result"),
    ]
    for change, words in cases:
        arguments = {"result": tmp_path / "heart", "output": tmp_path / "out", "to": "dicom", **change}
        with pytest.raises(InputError, match=words):
            export(**arguments)  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()
    (tmp_path / "heart" / "run.json").write_text('{"phases": ["../../x"]}')
    with pytest.raises(InputError, match="do not belong together"):
        export(tmp_path / "heart", tmp_path / "out", to="dicom")
    sheared = affine.copy()
    sheared[:3, 2] += affine[:3, 0]
    with pytest.raises(InputError, match="sheared"):
        planes_of(np.zeros((1, 4, 4, 4)), sheared)


def numbers_of(path: Path) -> dict[tuple[str, str], float]:
    """Values of a report as highdicom reads it, by the group's name and the code, with their units."""
    found = {}
    for group in hd.sr.srread(path).content.get_image_measurement_groups():
        for measurement in group.get_measurements():
            found[str(group.tracking_identifier), measurement.name.value, measurement.unit.value] = measurement.value
    return found  # type: ignore[return-value]


def test_the_report_says_what_was_measured(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    result_of(tmp_path / "heart", stack, *dense_grid(stack))
    export(tmp_path / "heart", tmp_path / "out", to="dicom-all", source=source, phase="2", keep_identity=True)
    path = tmp_path / "out" / "measures.dcm"
    found, lv, rv = numbers_of(path), MEASURES["dense_volume"]["lv"], MEASURES["dense_volume"]["rv"]  # type: ignore[index]
    wanted = {
        ("Left ventricle", "8821-1", "mL"): lv["edv_ml"],
        ("Left ventricle", "8823-7", "mL"): lv["esv_ml"],
        ("Left ventricle", "90096001", "mL"): lv["sv_ml"],
        ("Left ventricle", "8811-2", "%"): lv["ef_percent"],
        ("Left ventricle", "18087-7", "g"): lv["mass_g"],
        ("Left ventricle", "LVEDVI", "mL/m2"): lv["edv_ml_per_m2"],
        ("Left ventricle", "LVESVI", "mL/m2"): lv["esv_ml_per_m2"],
        ("Left ventricle", "277381004", "mL/m2"): lv["sv_ml_per_m2"],
        ("Left ventricle", "LVMI", "g/m2"): lv["mass_g_per_m2"],
        ("Right ventricle", "8822-9", "mL"): rv["edv_ml"],
        ("Right ventricle", "8824-5", "mL"): rv["esv_ml"],
        ("Right ventricle", "429483009", "mL"): rv["sv_ml"],
        ("Right ventricle", "8818-7", "%"): rv["ef_percent"],
        ("Right ventricle", "RVEDVI", "mL/m2"): rv["edv_ml_per_m2"],
        ("Right ventricle", "RVESVI", "mL/m2"): rv["esv_ml_per_m2"],
        ("Right ventricle", "429619008", "mL/m2"): rv["sv_ml_per_m2"],
        ("Patient", "8277-6", "m2"): MEASURES["bsa_m2"],
    }
    assert found == wanted
    written, seg = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "out" / "labels_phase02.dcm")
    assert written.StudyInstanceUID == dicoms.STUDY == seg.StudyInstanceUID
    evidence = written.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg.SOPInstanceUID
    assert "papillaries in the cavity" in path.read_bytes().decode("latin-1")


def test_without_ed_and_es_the_report_has_volumes(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    result_of(tmp_path / "heart", stack, *dense_grid(stack))
    phases = {name: {"lv_cavity_ml": 100.0 + n, "lv_mass_g": 90.5, "rv_cavity_ml": 0.0} for n, name in enumerate("04")}
    (tmp_path / "heart" / "measures.json").write_text(json.dumps({"dense_volume": {"phases": phases}, "bsa_m2": None}))
    export(tmp_path / "heart", tmp_path / "out", to="dicom-sr", source=source)
    assert [path.name for path in (tmp_path / "out").glob("*.dcm")] == ["measures.dcm"]
    found = numbers_of(tmp_path / "out" / "measures.dcm")
    assert found["Left ventricle, phase 4", "118565006", "mL"] == 101.0  # type: ignore[index]
    assert found["Left Ventricle Myocardium, phase 0", "4147007", "g"] == 90.5  # type: ignore[index]
    assert found["Right ventricle, phase 0", "118565006", "mL"] == 0.0  # type: ignore[index]
    (tmp_path / "heart" / "measures.json").write_text("{}")
    with pytest.raises(InputError, match="holds no measures to report"):
        export(tmp_path / "heart", tmp_path / "x", to="dicom-sr", source=source)
    assert not (tmp_path / "x").exists()


def test_the_window_is_the_hearts() -> None:
    labels = np.zeros((1, 4, 20, 20), np.uint8)
    labels[0, 1:3, 5:10, 5:10] = 1
    pictures = np.where(labels > 0, 300.0, 5000.0)
    pictures[0, 1, 5] = 100.0
    assert window(pictures, labels) == (200.0, 200.0)
    assert window(np.full_like(pictures, 7.0), 0 * labels)[0] == 7.0


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")
@pytest.mark.parametrize("keep", [None, False, True], ids=["no source", "de-identified", "kept"])
def test_dciodvfy_finds_no_error(source: Path, tmp_path: Path, keep: bool | None) -> None:
    stack = read_exam(source)
    result_of(tmp_path / "heart", stack, *dense_grid(stack))
    of = {} if keep is None else {"source": source, "keep_identity": keep}
    export(tmp_path / "heart", tmp_path / "out", to="dicom-all", phase="0", **of)  # type: ignore[arg-type]
    files = [tmp_path / "out" / name for name in ("phase00/0001.dcm", "labels_phase00.dcm", "measures.dcm")]
    for path in files:
        checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        said = (checked.stdout + checked.stderr).splitlines()
        assert said
        assert [line for line in said if line.startswith("Error")] == []
