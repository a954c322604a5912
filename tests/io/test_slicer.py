"""Labels as 3D Slicer opens them, read back by other software."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.hearts import cone
from helpers.segmentations import NAMES, save_segments
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.io.slicer import is_segmentation, read_segmentation, segmentation_files, write_segmentation


def oblique(handedness: int) -> NDArray[np.float64]:
    a, b = np.radians([25, -35])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([handedness * 1.3, 1.3, 2.5])
    affine[:3, 3] = [-31.0, 17.5, 202.25]
    return affine


@pytest.mark.parametrize("handedness", [1, -1])
def test_a_segmentation_lies_where_it_lay(tmp_path: Path, handedness: int) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (9, 8, 7)).astype(np.uint8)
    affine, path = oblique(handedness), tmp_path / "labels.seg.nrrd"
    write_segmentation(path, labels, affine)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), labels)
    for voxel in ((0, 0, 0), (8, 7, 6), (3, 0, 5)):
        left_posterior_superior = np.array(image.TransformIndexToPhysicalPoint(voxel))
        np.testing.assert_allclose(left_posterior_superior * [-1, -1, 1], (affine @ [*voxel, 1])[:3], atol=1e-3)


def test_a_segmentation_has_names_and_colours(tmp_path: Path) -> None:
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[2:5, 1:4, 3:6] = 1
    labels[6, 6, 6] = 2
    write_segmentation(tmp_path / "labels.seg.nrrd", labels, oblique(1))
    image = sitk.ReadImage(str(tmp_path / "labels.seg.nrrd"))
    found = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    assert [found[f"Segment{n}_Name"] for n in range(3)] == ["LV cavity", "LV myocardium", "RV cavity"]
    assert [found[f"Segment{n}_LabelValue"] for n in range(3)] == ["1", "2", "3"]
    assert [found[f"Segment{n}_Extent"] for n in range(3)] == ["2 4 1 3 3 5", "6 6 6 6 6 6", "0 -1 0 -1 0 -1"]
    assert [found[f"Segment{n}_Color"] for n in range(3)] == ["0.9 0.62 0", "0 0.62 0.45", "0.34 0.71 0.91"]
    assert found["Segmentation_MasterRepresentation"] == "Binary labelmap"
    header = (tmp_path / "labels.seg.nrrd").read_bytes()[:2000]
    assert b"space: left-posterior-superior" in header


HEART = np.ascontiguousarray(np.moveaxis(cone()[0], 0, 2))

#: What Slicer does to a file that it saves, and what a person may have done before.
EDITED = {
    "as it was": {},
    "raw": {"encoding": "raw"},
    "reordered": {"order": (3, 1, 2)},
    "renumbered": {"values": {1: 3, 2: 1, 3: 2}},
    "cropped": {"crop": True},
    "in layers": {"layers": True},
    "in layers, cropped, renumbered": {"layers": True, "crop": True, "values": {1: 1, 2: 1, 3: 1}},
    "before layers": {"legacy": True, "order": (2, 3, 1)},
    "in RAS": {"space": "right-anterior-superior"},
    "turned": {"flipped": True},
    "one dropped": {"order": (1, 2)},
    "renamed": {"names": {1: "LV_Cavity", 2: "LV_myo", 3: "right ventricle 1"}},
    "as other programs name them": {
        "names": {1: "heart_ventricle_left", 2: "Myocardium", 3: "RV blood pool"},
    },
    "by code": {
        "names": {1: "Segment_1", 2: "Segment_2", 3: "Segment_3"},
        "tags": {
            n: f"TerminologyEntry:Segmentation category and type - Mine~SCT^123037004^Anatomical Structure~SCT^{code}^x"
            "~^^~Anatomic codes - DICOM master list~^^~^^|Segmentation.Status:inprogress|"
            for n, code in {1: "87878005", 2: "49848007", 3: "53085002"}.items()
        },
    },
    "an empty one added": {"extra": {9: ("Segment_4", np.zeros(HEART.shape, dtype=bool))}},
}


@pytest.mark.parametrize("how", EDITED)
@pytest.mark.parametrize("handedness", [1, -1])
def test_what_slicer_saves_is_understood(tmp_path: Path, how: str, handedness: int) -> None:
    path = save_segments(tmp_path / "edited.seg.nrrd", HEART, oblique(handedness), **EDITED[how])  # type: ignore[arg-type]
    assert is_segmentation(path)
    found = read_segmentation(path)
    assert found.placement is None
    wanted = np.where(HEART == 3, 0, HEART) if how == "one dropped" else HEART
    voxels = np.argwhere(found.labels > 0)
    world = voxels @ found.affine[:3, :3].T + found.affine[:3, 3]
    indices = (world - oblique(handedness)[:3, 3]) @ np.linalg.inv(oblique(handedness)[:3, :3]).T
    np.testing.assert_allclose(indices, np.rint(indices), atol=1e-6)
    back = np.zeros_like(HEART)
    back[tuple(np.rint(indices).astype(int).T)] = found.labels[tuple(voxels.T)]
    np.testing.assert_array_equal(back, wanted)


def test_what_we_write_we_read(tmp_path: Path) -> None:
    write_segmentation(tmp_path / "ED.seg.nrrd", HEART, oblique(-1))
    found = read_segmentation(tmp_path / "ED.seg.nrrd")
    np.testing.assert_array_equal(found.labels, HEART)
    np.testing.assert_allclose(found.affine, oblique(-1), atol=1e-6)
    assert list(segmentation_files(tmp_path)) == ["ED"]
    plain = sitk.GetImageFromArray(HEART)
    sitk.WriteImage(plain, str(tmp_path / "plain.nrrd"))
    assert not is_segmentation(tmp_path / "plain.nrrd")


def test_segments_are_named_where_their_names_do_not_tell(tmp_path: Path) -> None:
    names = {1: "Blood: left", 2: "Segment_2", 3: "LV cavity"}
    path = save_segments(tmp_path / "x.seg.nrrd", HEART, oblique(1), names=names)
    with pytest.raises(
        InputError, match='segment .Blood: left. in x.seg.nrrd is none of LV cavity, .*"Blood: left=rv"'
    ):
        read_segmentation(path)
    found = read_segmentation(path, "blood: left=lv,Segment_2=myo, LV cavity =rv")
    np.testing.assert_array_equal(found.labels, HEART)
    np.testing.assert_array_equal(read_segmentation(path, "1=lv,2=myo,3=rv").labels, HEART)
    np.testing.assert_array_equal(read_segmentation(path, "acdc").labels, np.array([0, 3, 2, 1])[HEART])
    left_out = read_segmentation(path, "blood: left=ignore,Segment_2=myo,3=rv").labels
    np.testing.assert_array_equal(left_out, np.where(HEART == 1, 0, HEART))


def test_overlapping_segments_are_said(tmp_path: Path) -> None:
    fat = np.zeros(HEART.shape, dtype=bool)
    fat[18:20, 18:21, 0] = True
    path = save_segments(tmp_path / "x.seg.nrrd", HEART, oblique(1), layers=True, extra={7: ("RV", fat)})
    with pytest.raises(InputError, match="'LV cavity' and 'RV' overlap in 6 voxels: give each voxel to one"):
        read_segmentation(path)
    np.testing.assert_array_equal(read_segmentation(path, "rv=lv").labels, HEART)
    np.testing.assert_array_equal(read_segmentation(path, "rv=ignore").labels, HEART)


def test_damaged_segmentations_are_said(tmp_path: Path) -> None:
    path = save_segments(tmp_path / "x.seg.nrrd", HEART, oblique(1), encoding="raw")
    good = path.read_bytes()
    path.write_bytes(good.replace(b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=8"))
    with pytest.raises(InputError, match="holds the value 2, and none of its segments"):
        read_segmentation(path)
    path.write_bytes(good.replace(b"Segment1_Layer:=0", b"Segment1_Layer:=5"))
    with pytest.raises(InputError, match="more layers than it has|holds the value"):
        read_segmentation(path)
    path.write_bytes(good[:-100])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_segmentation(path)


def test_names_are_ours() -> None:
    from dmcvr.exam.stack import LABEL_TITLES

    assert NAMES == LABEL_TITLES
