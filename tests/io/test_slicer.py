"""Labels as 3D Slicer opens them, read back by other software."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from dmcvr.io.slicer import write_segmentation


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
