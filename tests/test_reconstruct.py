"""The main job, end to end, on phantoms and a real exam."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from scipy import ndimage

import dmcvr
from dmcvr.errors import InputError
from dmcvr.fill.aligned import Dmcvr
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.geometry.plan import Plan
from dmcvr.labels.components import keep_one_heart
from dmcvr.labels.distances import probabilities, scores_of, signed_distances
from dmcvr.phantom import Phantom
from dmcvr.quality.metrics import dice
from dmcvr.reconstruction import METHODS, Reconstruction


@pytest.fixture(scope="module")
def hearts(phantom: Phantom) -> dict[str, Reconstruction]:
    stack = phantom.stack.without_labels()
    return {m: dmcvr.reconstruct(stack, method=m, steps=3, spacing_mm=2.0, device="cpu") for m in METHODS}


def truth_at(heart: Reconstruction, phantom: Phantom) -> np.ndarray:
    """The phantom's true labels at the reconstruction's voxels."""
    grid = np.indices(heart.labels.data.shape[1:]).reshape(3, -1)
    world = heart.labels.affine[:3, :3] @ grid + heart.labels.affine[:3, 3:]
    inverse = np.linalg.inv(phantom.truth_labels.affine)
    index = inverse[:3, :3] @ world + inverse[:3, 3:]
    found = [ndimage.map_coordinates(phase, index, order=0) for phase in phantom.truth_labels.data]
    return np.stack(found).reshape(heart.labels.data.shape)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_phantom_s_heart(hearts: dict[str, Reconstruction], phantom: Phantom, method: str) -> None:
    heart = hearts[method]
    truth = truth_at(heart, phantom)
    for label, at_least in ((1, 0.85), (2, 0.65), (3, 0.8)):
        assert dice(heart.labels.data == label, truth == label) > at_least


def test_the_grid_is_isotropic_in_the_input_s_world(hearts: dict[str, Reconstruction], phantom: Phantom) -> None:
    heart = hearts["linear"]
    assert heart.image.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    np.testing.assert_allclose(heart.image.affine[:3, 2] / 2, phantom.stack.normal, atol=1e-9)
    np.testing.assert_array_equal(heart.image.affine, heart.labels.affine)


def test_acquired_slices_stay_what_they_were(phantom: Phantom) -> None:
    """Linear interpolation on the input's own pixels, at an acquired position: the input's own grey values."""
    stack = phantom.stack.without_labels().select_phases([0])
    heart = dmcvr.reconstruct(stack, method="linear", spacing_mm=1.5, device="cpu")
    heights = heart.image.affine[:3, 3] @ stack.normal + np.arange(heart.image.data.shape[3]) * 1.5
    n, k = min(
        ((n, k) for n in range(2, 8) for k in range(len(heights))),
        key=lambda pair: abs(heights[pair[1]] - stack.positions_mm[pair[0]]),
    )
    assert abs(heights[k] - stack.positions_mm[n]) < 0.3  # of 10 mm: next to none of the neighbour
    corner = np.round((np.linalg.inv(stack.affines[n]) @ heart.image.affine @ [0, 0, k, 1])[:2]).astype(int)
    size = heart.image.data.shape[1:3]
    mine = heart.image.data[0, :, :, k]
    theirs = stack.images[0, n][corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]
    assert np.abs(mine[8:-8, 8:-8] - np.clip(theirs, mine.min(), mine.max())[8:-8, 8:-8]).mean() < 0.02 * np.ptp(theirs)


def test_measures_are_near_the_phantom_s(hearts: dict[str, Reconstruction], phantom: Phantom) -> None:
    truth = phantom.shapes[0].lv_cavity_volume_ml()
    numbers = hearts["dmcvr"].measures
    for convention in ("dense_volume", "slice_summation"):
        assert numbers[convention]["phases"]["ED"]["lv_cavity_ml"] == pytest.approx(truth, rel=0.2)
        assert 35 < numbers[convention]["lv"]["ef_percent"] < 80


def test_same_run_same_voxels(hearts: dict[str, Reconstruction], phantom: Phantom) -> None:
    stack = phantom.stack.without_labels()
    again = dmcvr.reconstruct(stack, steps=3, spacing_mm=2.0, device="cpu", seed=0)
    np.testing.assert_array_equal(again.image.data, hearts["dmcvr"].image.data)
    np.testing.assert_array_equal(again.labels.data, hearts["dmcvr"].labels.data)


def test_the_world_turns_and_the_heart_with_it(phantom: Phantom) -> None:
    """Flipped, shuffled storage: voxel for voxel the same labels at the same world points."""
    from test_orient import WAYS, stored

    stack = phantom.stack.select_phases([0]).select_slices(list(range(9)))
    here = dmcvr.reconstruct(stack.without_labels(), method="linear", spacing_mm=3.0, device="cpu").labels
    there = dmcvr.reconstruct(stored(stack, **WAYS[2]), method="linear", spacing_mm=3.0, device="cpu").labels  # type: ignore[arg-type]
    grid = np.argwhere(here.data[0] > 0)
    world = np.c_[grid, np.ones(len(grid))] @ here.affine.T
    index = (world @ np.linalg.inv(there.affine).T)[:, :3].T
    found = ndimage.map_coordinates(there.data[0], index, order=0)
    assert (found == here.data[0][tuple(grid.T)]).mean() > 0.9


def test_files(hearts: dict[str, Reconstruction], tmp_path: Path) -> None:
    heart = hearts["dmcvr"]
    out = heart.save(tmp_path / "out")
    image, labels = nib.load(out / "image.nii.gz"), nib.load(out / "labels.nii.gz")
    assert image.shape == labels.shape == (*heart.image.data.shape[1:], 2)
    np.testing.assert_allclose(image.affine, heart.image.affine, atol=1e-4)
    assert set(np.unique(np.asanyarray(labels.dataobj))) == {0, 1, 2, 3}
    run, numbers = (json.loads((out / name).read_text()) for name in ("run.json", "measures.json"))
    assert run["method"] == "dmcvr"
    assert len(run["weights_sha256"]) == 64
    assert run["acquired_slices_residual"]["ED"]["ssim"] > 0.5
    assert {"load", "locate", "invert", "decode", "segment", "resample"} <= set(run["seconds"])
    assert numbers["dense_volume"]["lv"]["edv_ml"] > numbers["dense_volume"]["lv"]["esv_ml"]
    for phase in ("ED", "ES"):
        for name in ("lv_cavity", "lv_myocardium", "rv_cavity", "lv_epicardium"):
            mesh = trimesh.load(out / "meshes" / phase / f"{name}.ply")
            assert mesh.is_watertight
    acquired = nib.load(out / "acquired.nii.gz")
    assert acquired.header.get_zooms()[2] == pytest.approx(10.0)


def test_given_labels_are_followed(phantom: Phantom, engine: Engine) -> None:
    """At the acquired positions the labels are the user's own, whatever the segmenter thinks."""
    stack = phantom.stack.select_phases([0])
    assert stack.labels is not None
    heart = dmcvr.reconstruct(stack, steps=3, spacing_mm=2.0, device="cpu")
    assert heart.run["labels"] == "given"
    truth = truth_at(heart, replace_truth(phantom))
    blind = dmcvr.reconstruct(stack.without_labels(), steps=3, spacing_mm=2.0, device="cpu")
    assert dice(heart.labels.data == 2, truth == 2) > dice(blind.labels.data == 2, truth == 2)


def replace_truth(phantom: Phantom) -> Phantom:
    return replace(phantom, truth_labels=replace(phantom.truth_labels, data=phantom.truth_labels.data[:1]))


def test_given_labels_are_exact_at_their_slices(engine: Engine) -> None:
    i, j = np.mgrid[:128, :128]
    radius = np.hypot(i - 60, j - 66)
    labels = np.stack([np.select([radius < r, radius < r + 7], [1, 2], 0) for r in (15, 14, 12)]).astype(np.uint8)
    images = np.random.default_rng(0).uniform(-1, 1, labels.shape).astype(np.float32)
    positions = np.array([0.0, 10.0, 20.0])
    dense = Dmcvr(engine)(Acquired(images, labels, labels_given=True), Plan.between(positions, positions))
    np.testing.assert_array_equal(dense.scores.argmax(axis=1), labels)


def test_signed_distances_by_hand() -> None:
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 2:7, 2:7] = 2
    labels[0, 4, 4] = 1
    distances = signed_distances(labels)
    assert distances[0, 0, 4, 4] == -0.5
    assert distances[0, 0, 4, 6] == 1.5
    assert distances[0, 1, 4, 4] == -2.5
    assert distances[0, 2].min() > 9  # no RV: far from everywhere
    np.testing.assert_array_equal(scores_of(distances).argmax(axis=1), labels)


def test_labels_as_probabilities() -> None:
    """The label of a pixel is its likeliest, sure inside; the mean of two rims has its border half way."""
    labels = np.zeros((2, 33, 33), np.uint8)
    for n, radius in enumerate((6, 12)):
        labels[n][np.hypot(*np.mgrid[-16:17, -16:17]) < radius] = 1
    found = probabilities(labels)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=1), labels)
    assert found[0, 1, 16, 16] > 0.99
    assert 0.5 < found[0, 1, 16, 21] < 0.7  # half a pixel inside: background and an unseen wall are next
    between = found.mean(axis=0).argmax(axis=0)[16] == 1
    assert between.sum() / 2 == pytest.approx(9, abs=1)


def test_one_heart_is_kept() -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:8, 2:8, 2:8] = 2
    labels[4:6, 4:6, 4:6] = 1
    labels[3, 3, 3] = 1  # a stray piece of cavity in the wall
    labels[10, 10, 10] = 2
    labels[9:11, 2:5, 2:5] = 3
    labels[0, 11, 0] = 3
    kept = keep_one_heart(labels)
    assert kept[3, 3, 3] == 2
    assert kept[10, 10, 10] == kept[0, 11, 0] == 0
    assert np.count_nonzero(kept == 3) == 18
    np.testing.assert_array_equal(keep_one_heart(np.zeros_like(labels)), 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "magic"}, "choose one of dmcvr, nearest, linear, cubic, shape, registration"),
        ({"spacing_mm": 0.01}, "Expected a spacing of 0.4 to 10 mm; got 0.01"),
        ({"steps": 0}, "Expected 1 to 999 steps; got 0"),
        ({"phase": "XY"}, "Phase 'XY' is not in this exam"),
        ({"device": "tpu"}, "Unknown device 'tpu'"),
        ({"weights": "nowhere"}, "There are no weights at nowhere"),
    ],
)
def test_bad_arguments_are_sentences(phantom: Phantom, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        dmcvr.reconstruct(phantom.stack.without_labels(), **arguments)  # type: ignore[arg-type]


def test_unequal_spacing_is_reconstructed_and_said(phantom: Phantom) -> None:
    stack = phantom.stack.without_labels().select_phases([0]).select_slices([0, 1, 2, 3, 5, 6, 7, 8])
    heart = dmcvr.reconstruct(stack, method="shape", spacing_mm=3.0, device="cpu")
    assert any("unequally spaced (10.0 to 20.0 mm)" in warning for warning in heart.run["warnings"])
    whole = dmcvr.reconstruct(
        phantom.stack.without_labels().select_phases([0]), method="shape", spacing_mm=3.0, device="cpu"
    )
    volumes = [h.measures["dense_volume"]["phases"]["ED"]["lv_cavity_ml"] for h in (heart, whole)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.05)


def test_a_real_exam(data: Path, tmp_path: Path) -> None:
    folder = data / "acdc" / "patient007"  # not a training patient
    heart = dmcvr.reconstruct(folder, steps=3, spacing_mm=2.5, device="cpu")
    assert heart.run["phases"] == ["ED", "ES"]
    assert heart.run["heart"]["confidence"] > 0.85
    manual = dmcvr.reconstruct(
        folder / "patient007_frame01.nii.gz",
        method="shape",
        spacing_mm=2.5,
        labels_in=folder / "patient007_frame01_gt.nii.gz",
        label_map="acdc",
        device="cpu",
    )
    # patient007's own labels on the same grid: the segmenter and the method against the manual slices
    ours, theirs = (h.measures["dense_volume"]["phases"]["ED"]["lv_cavity_ml"] for h in (heart, manual))
    assert ours == pytest.approx(theirs, rel=0.12)


def test_a_real_cine(data: Path) -> None:
    """All 12 phases of patient090 (a training patient): ED and ES at most two phases from the dataset's own."""
    exam = data / "acdc" / "patient090" / "patient090_4d.nii.gz"
    heart = dmcvr.reconstruct(exam, method="nearest", spacing_mm=3.0, device="cpu")
    numbers = heart.measures
    curve = numbers["volume_time"]
    assert curve["phases"] == list(heart.run["phases"]) == [str(n) for n in range(12)]
    assert abs((int(numbers["ed_phase"]) - 3 + 6) % 12 - 6) <= 2  # Info.cfg counts from 1: ED 4, ES 11
    assert abs(int(numbers["es_phase"]) - 10) <= 1
    assert max(curve["lv_cavity_ml"]) < 1.05 * numbers["dense_volume"]["lv"]["edv_ml"]
    assert 35 < numbers["dense_volume"]["lv"]["ef_percent"] < 60
    assert numbers["ed_es_warnings"] == []
    assert numbers["wall_thickness"]["phase"] == numbers["ed_phase"]
    assert 4 < numbers["wall_thickness"]["mean_mm"] < 10
    assert "the picture shows upper" in numbers["wall_thickness"]["orientation"]
    with pytest.raises(InputError, match="Phase '12' is not in this exam"):
        dmcvr.reconstruct(exam, method="nearest", ed="12", device="cpu")
