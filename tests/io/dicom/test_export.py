"""DICOM out: voxels stay at their place in the patient, and the patient's name stays at home."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers import dicoms
from pydicom.uid import generate_uid

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.exam.volume import Volume
from dmcvr.io.dicom.export import export
from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.planes import planes_of
from dmcvr.io.nifti import write_nifti
from dmcvr.io.read import read_exam
from dmcvr.io.result import stack_volume

hd = pytest.importorskip("highdicom")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

LPS = np.array([-1.0, -1.0, 1.0])


def result_of(folder: Path, stack: SliceStack, affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A result folder with random labels on this grid; gives the labels (P, I, J, K)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (len(stack.phases), *shape)).astype(np.uint8)
    folder.mkdir()
    write_nifti(folder / "image.nii.gz", Volume(rng.random(labels.shape).astype(np.float32) * 900, affine))
    write_nifti(folder / "labels.nii.gz", Volume(labels, affine))
    run = {"phases": stack.phases, "times_ms": stack.times_ms, "input": {"positions_mm": stack.positions_mm.tolist()}}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "measures.json").write_text("{}")
    return labels


def dense_grid(stack: SliceStack) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Voxels of 2 mm over the stack, along its own axes."""
    affine = stack.affines[0].copy()
    affine[:3, :2] *= 2 / np.array(stack.pixel_mm)
    affine[:3, 2] = stack.normal * 2
    return affine, (16, 18, 15)


def frames_of(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a SEG as highdicom reads it: mask (K, rows, columns), corners (K, 3) in LPS, spacing."""
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    corners = (volume.affine @ np.stack([[k, 0, 0, 1] for k in range(volume.shape[0])], axis=1))[:3].T
    return volume.array == 1, corners, np.array(volume.spacing)


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
    names = [f"phase03_{name}.dcm" for name in LABEL_NAMES.values()]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(["export.json", *names])
    places = np.array([world_of(affine, (0, 0, k)) for k in range(shape[2])])
    for label, name in enumerate(names, start=1):
        path = tmp_path / "out" / name
        found, corners, spacing = frames_of(path)
        np.testing.assert_allclose(spacing, 2, atol=1e-6)
        for corner, picture in zip(corners, found, strict=True):
            away = np.linalg.norm(places - corner, axis=1)
            assert away.min() < 1e-3
            np.testing.assert_array_equal(picture, np.equal(labels[3, :, :, np.argmin(away)].T, label))

        measures = pydicom.dcmread(path).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == pytest.approx((2, 2))
        image = sitk.ReadImage(str(path))
        np.testing.assert_allclose(image.GetSpacing(), 2, atol=1e-3)
        for k, j, i in np.argwhere(sitk.GetArrayFromImage(image) > 0)[::50]:
            point = np.array(image.TransformIndexToPhysicalPoint((int(i), int(j), int(k))))
            voxel = np.linalg.inv(affine) @ [*point * LPS, 1]
            nearest = np.rint(voxel[:3]).astype(int)
            assert np.linalg.norm(world_of(affine, tuple(nearest)) - point) < 0.1
            assert labels[(3, *nearest)] == label


def test_seg_on_the_slices_lies_on_the_source(source: Path, tmp_path: Path) -> None:
    stack = read_exam(source)
    volume = stack_volume(stack)
    assert volume is not None
    result_of(tmp_path / "heart", stack, volume.affine, volume.data.shape[1:])  # type: ignore[arg-type]
    export(tmp_path / "heart", tmp_path / "out", to="dicom-seg", source=source, phase="0")
    _, corners, _ = frames_of(tmp_path / "out" / "phase00_lv_cavity.dcm")
    pictures = [pydicom.dcmread(path) for path in source.iterdir()]
    wanted = np.unique([[float(v) for v in picture.ImagePositionPatient] for picture in pictures], axis=0)
    np.testing.assert_allclose(np.sort(corners, axis=0), np.sort(wanted, axis=0), atol=0.1)
    seg = pydicom.dcmread(tmp_path / "out" / "phase00_lv_cavity.dcm")
    assert seg.FrameOfReferenceUID == pictures[0].FrameOfReferenceUID
    referred = {item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {picture.SOPInstanceUID for picture in pictures if picture.TriggerTime == 0}
    segments = [pydicom.dcmread(tmp_path / "out" / f"phase00_{n}.dcm").SegmentSequence[0] for n in LABEL_NAMES.values()]
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
    assert len(one.SourceImageSequence) == 4


@pytest.mark.parametrize("to", ["dicom", "dicom-seg"])
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


@pytest.mark.parametrize("to", ["dicom", "dicom-seg"])
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
    seg = pydicom.dcmread(tmp_path / "out" / "phase01_lv_cavity.dcm")
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
        seg = pydicom.dcmread(tmp_path / f"out {name}" / "phase00_lv_cavity.dcm")
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
