"""A folder of results, there and back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.exams import make_stack

from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume, slice_affines
from dmcvr.io.result import read_result, stack_volume, write_result
from dmcvr.result import Result

VOLUMES = {"phases": {"ED": {}, "ES": {}}}
MEASURES = {"ed_phase": None, "es_phase": None, "bsa_m2": None, "dense_volume": VOLUMES, "slice_summation": VOLUMES}


def result(*phases: str) -> Result:
    """Random voxels, and slices 8 mm apart."""
    rng = np.random.default_rng(0)
    affine = np.array([[0, -2.0, 0, 5], [2, 0, 0, -3], [0, 0, 2, 1], [0, 0, 0, 1]])
    labels = rng.integers(0, 4, (len(phases), 6, 5, 4)).astype(np.uint8)
    stack = make_stack(
        4, images=rng.random((len(phases), 4, 20, 18), dtype=np.float32), phases=phases, thickness_mm=6.0
    )
    run = {"phases": list(phases), "input": {"thickness_mm": 6.0, "positions_mm": stack.positions_mm.tolist()}}
    return Result(
        Volume(rng.random(labels.shape, dtype=np.float32), affine), Volume(labels, affine), stack, MEASURES, run
    )


def test_there_and_back(tmp_path: Path) -> None:
    """Voxels, places, slices and records; times are in the record alone."""
    written = result("ED", "ES")
    write_result(written, tmp_path)
    read = read_result(tmp_path)
    for name in ("image", "labels"):
        np.testing.assert_array_equal(getattr(read, name).data, getattr(written, name).data)
        np.testing.assert_allclose(getattr(read, name).affine, getattr(written, name).affine, atol=1e-6)
    assert read.labels.data.dtype == np.uint8
    assert written.acquired is not None
    assert read.acquired is not None
    np.testing.assert_array_equal(read.acquired.images, written.acquired.images)
    np.testing.assert_allclose(read.acquired.affines, written.acquired.affines, atol=1e-5)
    assert read.acquired.thickness_mm == 6.0
    assert (read.measures, read.run, read.phases) == (written.measures, written.run, ("ED", "ES"))
    assert read.acquired.labels is None
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["ED.seg.nrrd", "ES.seg.nrrd"]
    assert not (tmp_path / "acquired").exists()


def test_the_slices_own_labels_there_and_back(tmp_path: Path) -> None:
    written = result("ED", "ES")
    assert written.acquired is not None
    labels = np.random.default_rng(1).integers(0, 4, written.acquired.images.shape).astype(np.uint8)
    write_result(replace(written, acquired=replace(written.acquired, labels=labels)), tmp_path)
    read = read_result(tmp_path)
    assert read.acquired is not None
    np.testing.assert_array_equal(read.acquired.labels, labels)
    assert sorted(path.name for path in (tmp_path / "acquired").iterdir()) == ["ED.seg.nrrd", "ES.seg.nrrd"]
    shutil.copy(tmp_path / "labels.nii.gz", tmp_path / "acquired_labels.nii.gz")
    with pytest.raises(InputError, match="do not belong together"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    ("formats", "names"),
    [
        (("nifti",), {"labels.nii.gz"}),
        (("nrrd",), {"labels.seg.nrrd"}),
        (("nifti", "nrrd"), {"labels.nii.gz", "labels.seg.nrrd"}),
        ((), set()),
    ],
)
def test_labels_in_the_formats_that_are_asked_for(tmp_path: Path, formats: tuple[str, ...], names: set[str]) -> None:
    write_result(result("ED"), tmp_path, label_formats=formats)
    always = {"image.nii.gz", "acquired.nii.gz", "measures.json", "measures.csv", "run.json"}
    assert {path.name for path in tmp_path.iterdir()} == always | names


def test_unequal_slices_are_no_volume(tmp_path: Path) -> None:
    stack = make_stack(4)
    volume = stack_volume(stack)
    assert volume is not None
    np.testing.assert_allclose(slice_affines(volume.affine, 4), stack.affines)
    np.testing.assert_array_equal(np.moveaxis(volume.data, 3, 1), stack.images)
    uneven = stack.affines.copy()
    uneven[-1, 2, 3] += 0.1
    assert stack_volume(make_stack(4, affines=uneven)) is None


def test_what_does_not_belong_together_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no result of dmcvr reconstruct"):
        read_result(tmp_path)
    write_result(result("ED", "ES"), tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"phases": ["ED"]}))
    with pytest.raises(InputError, match="do not belong together"):
        read_result(tmp_path)
    for text, sentence in (("{", "cannot be read"), ("[]", "does not hold a record")):
        (tmp_path / "measures.json").write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_result(tmp_path)
