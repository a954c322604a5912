"""Labels of a result's world on its exam's slices, and labels that are given by their place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.hearts import cone
from helpers.niftis import OBLIQUE, grey, save
from helpers.segmentations import save_segments

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.volume import Volume
from dmcvr.io.labels import is_placed, with_labels, with_placed_labels
from dmcvr.io.placement import Placement, beside, on_slices
from dmcvr.io.read import read_exam
from dmcvr.io.result import stack_volume, write_result
from dmcvr.result import Result

#: By how much each slice lay out of place, along the pixels' axes: whole pixels, so that voxels fall on pixels.
MOVED_PX = np.array([[0, 0], [2, 0], [0, -3], [1, 1], [0, 0], [-2, 0]])


@pytest.fixture
def exam(tmp_path: Path) -> SliceStack:
    return read_exam(save(tmp_path / "x.nii.gz", grey(40, 40, 6), OBLIQUE))


def dense(exam: SliceStack, *, unmirrored: bool = False) -> tuple[Result, np.ndarray]:
    """A result as it is written, its slices slid and the gaps filled by the nearest; and the slices' own labels."""
    labels = cone()
    world = exam.reflected() if unmirrored else exam
    own = labels[:, ::-1] if unmirrored else labels
    slid = np.stack([np.roll(own[0, n], -MOVED_PX[n], axis=(0, 1)) for n in range(6)])
    steps = 7  # voxels between slices
    thick = np.moveaxis(np.repeat(slid, steps, axis=0), 0, 2)
    volume = stack_volume(world)
    assert volume is not None
    affine = volume.affine.copy()
    affine[:3, 2] /= steps
    affine[:3, 3] -= affine[:3, 2] * (steps // 2)
    moved_mm = np.einsum("na,nia->ni", MOVED_PX.astype(float), world.affines[:, :3, :2])
    run: dict[str, Any] = {
        "phases": list(exam.phases),
        "input": {
            "thickness_mm": 8.0,
            "positions_mm": np.round(world.positions_mm, 3).tolist(),
            "pixels": [40, 40],
            "slices": 6,
            "affine_ras_mm": volume.affine.tolist(),
        },
        "output": {"shape": list(thick.shape), "affine_ras_mm": affine.tolist()},
        "breath_holds": {"slices": [{"ras_mm": np.round(row, 2).tolist()} for row in moved_mm]},
        "heart": {"unmirrored": unmirrored},
    }
    volumes: dict[str, Any] = {"phases": {phase: {} for phase in exam.phases}}
    numbers = {"ed_phase": None, "es_phase": None, "bsa_m2": None, "dense_volume": volumes, "slice_summation": volumes}
    image = Volume(np.zeros((1, *thick.shape), np.float32), affine)
    result = Result(image, Volume(thick[None], affine), replace(world, labels=own), numbers, run)
    return result, labels


@pytest.mark.parametrize("unmirrored", [False, True])
@pytest.mark.parametrize("name", ["labels.seg.nrrd", "labels.nii.gz", "acquired.seg.nrrd", "acquired_labels.nii.gz"])
def test_a_results_labels_come_back_to_their_slices(
    exam: SliceStack, tmp_path: Path, name: str, unmirrored: bool
) -> None:
    result, labels = dense(exam, unmirrored=unmirrored)
    (tmp_path / "out").mkdir()
    write_result(result, tmp_path / "out")
    path = tmp_path / "out" / name
    assert is_placed(path)
    found = with_placed_labels(exam, path, None)
    np.testing.assert_array_equal(found.labels, labels)
    assert any("dense grid" in said for said in found.warnings) is name.startswith("labels")
    if name.endswith("nrrd"):  # its tags know the way, wherever it is
        np.testing.assert_array_equal(
            with_placed_labels(exam, path.rename(tmp_path / "moved.seg.nrrd"), None).labels, labels
        )


def test_without_tags_the_record_beside_tells(exam: SliceStack, tmp_path: Path) -> None:
    result, labels = dense(exam)
    (tmp_path / "out" / "labels").mkdir(parents=True)
    path = save_segments(
        tmp_path / "out" / "labels" / "0.seg.nrrd", result.labels.data[0], result.labels.affine, crop=True, layers=True
    )
    moved = with_placed_labels(exam, path, None).labels
    assert moved is not None
    assert (moved != labels).any()  # nothing tells that its slices were slid
    (tmp_path / "out" / "run.json").write_text(json.dumps(result.run))
    assert beside(path) == result.run
    np.testing.assert_array_equal(with_placed_labels(exam, path, None).labels, labels)
    np.testing.assert_array_equal(with_placed_labels(exam, path.parent, None).labels, labels)


@pytest.mark.parametrize("crop", [False, True])
def test_a_segmentation_of_the_slices_lies_where_it_lies(exam: SliceStack, tmp_path: Path, crop: bool) -> None:
    labels = cone()
    path = save_segments(tmp_path / "x.seg.nrrd", np.moveaxis(labels[0], 0, 2), OBLIQUE, crop=crop)
    np.testing.assert_array_equal(with_placed_labels(exam, path, None).labels, labels)
    downwards = OBLIQUE @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 5], [0, 0, 0, 1.0]])
    path = save_segments(tmp_path / "x.seg.nrrd", np.moveaxis(labels[0], 0, 2)[..., ::-1], downwards, crop=crop)
    np.testing.assert_array_equal(with_placed_labels(exam, path, None).labels, labels)


def test_a_folder_has_a_segmentation_a_phase(tmp_path: Path) -> None:
    exam = read_exam(save(tmp_path / "x.nii.gz", grey(40, 40, 6, 3), OBLIQUE))
    folder = tmp_path / "acquired"
    folder.mkdir()
    for phase, turns in (("0", 0), ("2", 2)):
        heart = np.rot90(np.moveaxis(cone()[0], 0, 2), turns)
        save_segments(folder / f"{phase}.seg.nrrd", heart, OBLIQUE)
    found = with_placed_labels(exam, folder, None, phases=[2, 0])
    assert found.phases == ("2", "0")
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels[1:], cone())
    with pytest.raises(InputError, match=r"no labels of phase 1 \(1.seg.nrrd\): add them, or choose"):
        with_placed_labels(exam, folder, None)
    with pytest.raises(InputError, match=r"of 1 phase\(s\), and 3 are reconstructed: choose its phase with --phase"):
        with_placed_labels(exam, folder / "0.seg.nrrd", None)


def test_labels_of_elsewhere_are_refused(exam: SliceStack, tmp_path: Path) -> None:
    heart = np.moveaxis(cone()[0], 0, 2)
    away = OBLIQUE.copy()
    away[:3, 3] += 500
    with pytest.raises(InputError, match="hold no heart at the slices of phase 0"):
        with_placed_labels(exam, save_segments(tmp_path / "x.seg.nrrd", heart, away), None)
    wrong = save_segments(tmp_path / "y.seg.nrrd", heart, OBLIQUE, names={1: "RV", 2: "LV", 3: "myo"})
    with pytest.raises(InputError, match="structures are exchanged"):
        with_placed_labels(exam, wrong, None)
    other = Placement(exam.positions_mm + 3, np.zeros((6, 3)), False)
    with pytest.raises(InputError, match="slices at other places than this exam's"):
        other.labels_on(exam, heart, OBLIQUE, "x")


def test_an_image_of_another_grid_needs_its_record(exam: SliceStack, tmp_path: Path) -> None:
    """Labels beside a result, but on neither of its grids, are an image as any other."""
    result, _ = dense(exam)
    (tmp_path / "run.json").write_text(json.dumps(result.run))
    path = save(tmp_path / "l.nii.gz", np.moveaxis(cone()[0], 0, 2)[..., :5], OBLIQUE)
    assert not is_placed(path)
    with pytest.raises(InputError, match="5 slices"):
        with_labels(exam, path, "dmcvr")
    (tmp_path / "run.json").write_text("[]")
    assert beside(path) is None


def test_on_slices_is_exact(exam: SliceStack) -> None:
    assert on_slices(exam, OBLIQUE)
    assert not on_slices(exam, OBLIQUE @ np.diag([1, 1, 0.5, 1]))
    assert not on_slices(exam, OBLIQUE @ np.diag([1.02, 1, 1, 1]))
    shifted = OBLIQUE.copy()
    shifted[:3, 3] += 0.3 * OBLIQUE[:3, 0]
    assert not on_slices(exam, shifted)


def test_a_placement_is_kept_in_a_tag() -> None:
    placement = Placement(np.array([-12.5, 3.25]), np.array([[0, 0, 0], [-1.5, 2.25, 0.125]]), True)
    back = Placement.read(placement.text())
    np.testing.assert_array_equal(back.positions_mm, placement.positions_mm)
    np.testing.assert_array_equal(back.moved_mm, placement.moved_mm)
    assert back.unmirrored
    assert not set(placement.text()) & set(":|\n")
    for text in ("", "1", "1;1,2,3", "2;1,2,3,4", "0;1,2,3,nan"):
        with pytest.raises(InputError, match="tag of where its slices lie is damaged"):
            Placement.read(text)
    with pytest.raises(InputError, match=r"run.json beside the labels is damaged"):
        Placement.of({"input": {"positions_mm": [1, 2]}, "breath_holds": {"slices": [{"ras_mm": [1, 2, 3]}]}})
