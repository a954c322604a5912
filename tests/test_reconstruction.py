"""The main job, end to end, on phantoms and a real exam."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import trimesh
from helpers.exams import WAYS, stored
from helpers.models import untrained
from helpers.segmentations import save_segments

import dmcvr
from dmcvr.errors import InputError, NoHeartError
from dmcvr.evaluate.phantom import shift_error_mm
from dmcvr.exam.stack import Patient, SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.geometry.locate import prepare
from dmcvr.io.result import read_result, write_result
from dmcvr.io.slicer import read_segmentation
from dmcvr.options import Options
from dmcvr.phantom import Phantom, Scan, make_phantom, write_phantom
from dmcvr.quality.metrics import dice
from dmcvr.reconstruction import DenseGrid, Reconstruction, load
from dmcvr.report.page import report_html
from dmcvr.stages import Moment, Stages


@pytest.fixture(scope="module")
def few(phantom: Phantom) -> SliceStack:
    """Two phases, four slices, no labels."""
    return phantom.stack.without_labels().select_slices([2, 3, 4, 5])


class Told(list[tuple[str, Moment]]):
    """What stages told of a run."""

    @property
    def stages(self) -> Stages:
        return Stages(lambda event, moment: self.append((event, moment)))

    def check(self) -> None:
        """Once the exam is loaded, every stage that was expected came, and no other."""
        known = [(event, moment.stage) for event, moment in self if moment.percent is not None]
        assert known == [(event, moment.stage) for event, moment in self if moment.stage != "load"]
        assert self[-1][1].percent == 99


@pytest.fixture(scope="module")
def told() -> Told:
    """Of `ours`."""
    return Told()


@pytest.fixture(scope="module")
def ours(few: SliceStack, told: Told) -> Reconstruction:
    return dmcvr.reconstruct(few, steps=2, spacing_mm=4.0, device="cpu", complete="off", stages=told.stages)


def test_a_run_says_where_it_is(ours: Reconstruction, told: Told) -> None:
    told.check()
    assert set(ours.run["seconds"]) >= {"align", "encode", "decode"}
    of_phases = [moment.phase for event, moment in told if event == "begin" and moment.stage == "align"]
    assert of_phases == [1, 2]
    assert {moment.phases for _, moment in told if moment.stage in ("locate", "slide", "measure")} == {0}


@pytest.fixture(scope="module")
def seven(phantom: Phantom) -> SliceStack:
    """Seven labelled slices, so that one dense plane of 1.5 mm lies just on the middle one."""
    return phantom.stack.select_phases([0]).select_slices(list(range(1, 8)))


def test_the_grid_is_isotropic_in_the_input_s_world(ours: Reconstruction, few: SliceStack) -> None:
    assert ours.image.spacing_mm == pytest.approx((4.0, 4.0, 4.0))
    assert ours.image.data.shape == ours.labels.data.shape == (2, 48, 48, 10)  # 192 mm across, 40 mm of slabs
    np.testing.assert_allclose(ours.image.affine[:3, 2] / 4, few.normal, atol=1e-9)
    np.testing.assert_array_equal(ours.image.affine, ours.labels.affine)
    middle = ours.image.affine @ [0, 0, 4.5, 1]
    assert middle[:3] @ few.normal == pytest.approx(few.positions_mm.mean())
    assert (ours.image.data.dtype, ours.labels.data.dtype) == (np.float32, np.uint8)
    assert ours.acquired is not None
    np.testing.assert_array_equal(ours.acquired.images, few.images)
    assert ours.acquired.labels is not None


def test_same_run_same_voxels(few: SliceStack) -> None:
    """Whatever way the options are given."""
    two = few.select_phases([0]).select_slices([1, 2])
    ours = dmcvr.reconstruct(two, steps=2, spacing_mm=5.0, device="cpu")
    again = dmcvr.reconstruct(two, Options(steps=2, device="cpu"), spacing_mm=5.0)
    np.testing.assert_array_equal(again.image.data, ours.image.data)
    np.testing.assert_array_equal(again.labels.data, ours.labels.data)
    timed = {"seconds"}
    assert {k: v for k, v in again.run.items() if k not in timed} == {
        k: v for k, v in ours.run.items() if k not in timed
    }


def middle_plane(heart: Reconstruction, stack: SliceStack) -> tuple[int, np.ndarray]:
    """The dense plane on the middle slice, and the slice's pixels (a, b) that are its voxels'."""
    heights = heart.image.affine[:3, 3] @ stack.normal + np.arange(heart.image.data.shape[3]) * 1.5
    n = len(stack.positions_mm) // 2
    k = int(np.abs(heights - stack.positions_mm[n]).argmin())
    assert heights[k] == pytest.approx(stack.positions_mm[n], abs=1e-4)
    corner = np.rint((np.linalg.inv(stack.affines[n]) @ heart.image.affine @ [0, 0, k, 1])[:2]).astype(int)
    a, b = (slice(c, c + size) for c, size in zip(corner, heart.image.data.shape[1:3], strict=True))
    return k, np.array([n, a, b], dtype=object)


def test_phases_side_by_side_are_what_they_are_one_by_one(
    few: SliceStack, ours: Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Voxel for voxel; and what the stages took is what passed."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    stages = Stages()
    begun = time.perf_counter()
    both = dmcvr.reconstruct(few, steps=2, spacing_mm=4.0, device="cpu", complete="off", stages=stages)
    passed = time.perf_counter() - begun
    for found, wanted in ((both.image, ours.image), (both.labels, ours.labels), (both.uncertainty, ours.uncertainty)):
        assert found is not None
        assert wanted is not None
        np.testing.assert_array_equal(found.data, wanted.data)
    assert both.run["acquired_slices_residual"] == ours.run["acquired_slices_residual"]
    for one, other in zip(both.borders, ours.borders, strict=True):
        np.testing.assert_array_equal(one.steps, other.steps)
    assert sum(stages.seconds.values()) <= passed


def test_acquired_slices_stay_what_they_were(seven: SliceStack, engine: Engine) -> None:
    """On the input's own pixels: cropped, filled and put back, a slice has its own grey values and given labels."""
    heart = dmcvr.reconstruct(seven, method="shape", spacing_mm=1.5, engine=engine)
    assert heart.run["labels"] == "given"
    k, (n, a, b) = middle_plane(heart, seven)
    mine, theirs = heart.image.data[0, 8:-8, 8:-8, k], seven.images[0, n][a, b][8:-8, 8:-8]
    clipped = np.clip(theirs, mine.min(), mine.max())
    assert np.abs(mine - clipped).mean() < 0.01 * np.ptp(theirs)
    assert seven.labels is not None
    for label in (1, 2, 3):
        assert dice(heart.labels.data[0, :, :, k] == label, seven.labels[0, n][a, b] == label) > 0.97


def test_the_world_turns_and_the_heart_with_it(short: SliceStack, engine: Engine) -> None:
    """Flipped, shuffled storage: on voxels as fine as the pixels, the same labels at the same world points."""
    here = dmcvr.reconstruct(short, method="shape", spacing_mm=1.5, engine=engine).labels
    there = dmcvr.reconstruct(stored(short, **WAYS[2]), method="shape", spacing_mm=1.5, engine=engine).labels
    for label in (1, 2, 3):
        volumes = [np.count_nonzero(v.data == label) for v in (here, there)]
        assert volumes[1] == pytest.approx(volumes[0], rel=1e-4)
        centres = [(v.affine @ np.append(np.argwhere(v.data[0] == label).mean(axis=0), 1))[:3] for v in (here, there)]
        np.testing.assert_allclose(centres[1], centres[0], atol=0.02)


def test_the_record(ours: Reconstruction, few: SliceStack) -> None:
    run = ours.run
    assert (run["method"], run["image"], run["labels"], run["preset"]) == ("dmcvr", "sharp", "segmented", "aligned")
    assert (run["phases"], run["steps"], run["device"], run["spacing_mm"]) == (["ED", "ES"], 2, "cpu", 4.0)
    assert run["output"]["affine_ras_mm"] == ours.image.affine.tolist()
    assert run["input"]["slices"] == 4
    assert len(run["weights_sha256"]) == 64
    assert [flag["name"] for flag in run["flags"]] == [
        "How the heart lies",
        "Coverage",
        "Base of the heart",
        "Field of view",
        "Anatomy",
        "Slice alignment",
        "Order of the slices",
        "Segmenter confidence",
        "Like the training data",
        "LV mass over the heartbeat",
        "3D against slices: ejection fraction",
        "3D against slices: volume",
        "3D against slices: outline",
        "Shape between slices",
    ]
    stages = {"load", "locate", "segment", "slide", "align", "encode", "decode", "resample", "measure"}
    assert set(run["seconds"]) == stages
    assert set(run["acquired_slices_residual"]) == {"ED", "ES"}
    assert json.loads(json.dumps(run, allow_nan=False)) == run


def test_slices_are_slid_into_one_breath_hold(engine: Engine) -> None:
    """The grid and the slices' own measures stay; the filling works on slices in one place; the record says how far."""
    exam = make_phantom(2, Scan(shift_mm=4.0))
    off, auto = (
        dmcvr.reconstruct(exam.stack, method="shape", spacing_mm=3.0, align_slices=how, complete="off", engine=engine)
        for how in ("off", "auto")
    )
    assert off.run["breath_holds"] is None
    record = auto.run["breath_holds"]
    assert record["moved"]
    found = np.array([part["ras_mm"] for part in record["slices"]])
    axes = exam.stack.affines[0, :3, :2] / exam.stack.pixel_mm
    assert exam.stack.labels is not None
    seen = (exam.stack.labels == 1).sum(axis=(2, 3)).min(axis=0) > 100
    left = shift_error_mm((found @ axes)[seen], exam.shifts_mm[seen])
    assert left < 0.6 * shift_error_mm(0 * exam.shifts_mm[seen], exam.shifts_mm[seen])
    assert all(part["sd_mm"] > 0 for part in record["slices"])
    np.testing.assert_array_equal(auto.image.affine, off.image.affine)
    assert auto.image.data.shape == off.image.data.shape
    assert auto.measures["slice_summation"] == off.measures["slice_summation"]
    assert auto.acquired is not None
    np.testing.assert_array_equal(auto.acquired.affines, exam.stack.affines)
    kept = {flag["name"]: flag for flag in auto.run["flags"]}
    assert kept["3D against slices: outline"]["level"] == "fine"
    assert "slid by up to" in kept["Slice alignment"]["text"]
    assert "where each slice's heart lay beside the reference" in report_html(auto)
    assert "where each slice's heart lay beside the reference" not in report_html(off)


def test_files(ours: Reconstruction, tmp_path: Path) -> None:
    out = ours.save(tmp_path / "out")
    image, labels = nib.load(out / "image.nii.gz"), nib.load(out / "labels.nii.gz")
    np.testing.assert_array_equal(np.moveaxis(np.asanyarray(image.dataobj), 3, 0), ours.image.data)
    np.testing.assert_array_equal(np.moveaxis(np.asanyarray(labels.dataobj), 3, 0), ours.labels.data)
    np.testing.assert_allclose(image.affine, ours.image.affine, atol=1e-4)
    assert json.loads((out / "run.json").read_text()) == ours.run
    assert json.loads((out / "measures.json").read_text()) == ours.measures
    names = ("lv_cavity", "lv_myocardium", "lv_epicardium", "rv_cavity")
    for phase in ("ED", "ES"):
        assert {path.stem for path in (out / "meshes" / phase).iterdir()} == {*names, "template"}
        assert all(trimesh.load(out / "meshes" / phase / f"{name}.ply").is_watertight for name in names)
    assert nib.load(out / "acquired.nii.gz").header.get_zooms()[2] == pytest.approx(10.0)


@pytest.mark.parametrize("nothing", ["none", ["none"], ()])
def test_neither_labels_nor_meshes(ours: Reconstruction, tmp_path: Path, nothing: str | list[str]) -> None:
    out = ours.save(tmp_path / "out", label_formats=nothing, mesh_formats=nothing)
    records = {"measures.json", "measures.csv", "run.json", "report.html"}
    assert {path.name for path in out.rglob("*")} == {"image.nii.gz", "acquired.nii.gz", *records}


def test_corrected_labels_give_the_heart_that_they_are_of(
    ours: Reconstruction, few: SliceStack, engine: Engine, tmp_path: Path
) -> None:
    """As Slicer saves what we wrote, an edit in it: the same as the stack with those labels, voxel by voxel."""
    out = ours.save(tmp_path / "out", mesh_formats="none")
    wanted = []
    for phase in few.phases:
        path = out / "acquired" / f"{phase}.seg.nrrd"
        written = read_segmentation(path)
        edited = written.labels.copy()
        edited[:, :, 1][(edited[:, :, 1] == 3) & (np.indices(edited.shape[:2])[0] % 2 == 0)] = 0
        save_segments(path, edited, written.affine, order=(3, 1, 2), values={1: 2, 2: 3, 3: 1}, crop=True, layers=True)
        wanted.append(np.moveaxis(edited, 2, 0))
    how: dict[str, Any] = {"method": "linear", "spacing_mm": 4.0, "engine": engine}
    truth = dmcvr.reconstruct(replace(few, labels=np.stack(wanted)), **how)
    found = dmcvr.reconstruct(few, labels_in=out / "acquired", **how)
    assert found.acquired is not None
    np.testing.assert_array_equal(found.acquired.labels, np.stack(wanted))
    np.testing.assert_array_equal(found.labels.data, truth.labels.data)
    np.testing.assert_array_equal(found.image.data, truth.image.data)
    assert found.measures == truth.measures
    assert (found.run["labels"], found.run["label_map"]) == ("given", "dmcvr")
    assert "segment" not in found.run["seconds"]
    dense = dmcvr.reconstruct(few, labels_in=out / "labels.nii.gz", **how)
    assert dense.acquired is not None
    assert ours.acquired is not None
    assert any("dense grid" in warning for warning in dense.run["warnings"])
    same = [dice(dense.acquired.labels == c, ours.acquired.labels == c) for c in (1, 2, 3)]
    assert min(same) > 0.8  # voxels of 4 mm


def test_the_patient_is_as_the_options_say(few: SliceStack, engine: Engine) -> None:
    body = {"height_cm": 160.0, "weight_kg": 81.0}
    exam = replace(few, patient=Patient(sex="M", height_cm=160.0))
    heart = dmcvr.reconstruct(exam, sex="F", **body, method="nearest", spacing_mm=8.0, engine=engine)  # type: ignore[arg-type]
    assert heart.measures["bsa_m2"] == pytest.approx(1.9)  # the square root of 160 times 81 over 3600
    lv = heart.measures["dense_volume"]["lv"]
    assert lv["sv_ml_per_m2"] == pytest.approx(lv["sv_ml"] / 1.897, abs=0.02)
    assert {row["sex"] for row in heart.measures["reference"]} == {"F"}
    assert "The patient's sex is as the options say, not the exam." in heart.run["warnings"]
    assert not {"sex", "height_cm", "weight_kg"} & set(heart.run)


def test_formats_are_checked_before_anything_is_written(ours: Reconstruction, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown label format 'mha': choose one of nifti, nrrd, none"):
        ours.save(tmp_path / "out", label_formats=("mha",))
    with pytest.raises(InputError, match="Unknown mesh format 'obj'"):
        ours.save(tmp_path / "out", mesh_formats=("obj",))
    assert list(tmp_path.iterdir()) == []
    ours.save(tmp_path / "out", label_formats=("nrrd",), mesh_formats=("stl", "glb"))
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"ED.seg.nrrd", "lv_cavity.stl", "heart.glb"} <= names
    assert not {"labels.nii.gz", "lv_cavity.ply"} & names


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "magic"}, "Unknown method 'magic'"),
        ({"image": "mean", "method": "linear"}, "draws no mean"),
        ({"image": "mean", "weights": "compact"}, "preset compact draw no mean"),
        ({"steps": 101}, "start at time 101 to 999; got 100"),
        ({"phase": "XY"}, "Phase 'XY' is not in this exam"),
        ({"ed": "12"}, "Phase '12' is not in this exam"),
        ({"weights": "nowhere"}, "There are no weights at nowhere"),
    ],
)
def test_bad_arguments_are_sentences(few: SliceStack, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        dmcvr.reconstruct(few, **given)


@pytest.mark.parametrize("given", [{"image": "mean"}, {"steps": 2}, {"device": "cpu"}, {"weights": "compact"}])
def test_an_engine_is_not_overruled(few: SliceStack, engine: Engine, given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InputError, match=f"The engine has its own {name}: leave out {name}="):
        dmcvr.reconstruct(few, engine=engine, **given)


@pytest.mark.parametrize("name", ["seed", "spacing", "out"])
def test_an_unknown_keyword_is_a_type_error(few: SliceStack, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        dmcvr.reconstruct(few, **{name: 1})


def test_an_engine_brings_how_it_draws(few: SliceStack) -> None:
    engine = Engine.of(untrained(), steps=1)
    heart = dmcvr.reconstruct(few, method="published", spacing_mm=8.0, allow_empty=True, engine=engine)
    run = heart.run
    assert (run["preset"], run["steps"], run["aligned"], run["weights_sha256"]) == ("tiny", 1, False, None)
    levels = {flag["name"]: flag["level"] for flag in run["flags"]}
    assert levels["Like the training data"] == "unknown"


def test_the_published_way_draws_with_its_own_weights(few: SliceStack) -> None:
    told, two = Told(), few.select_phases([0]).select_slices([0, 1])
    heart = dmcvr.reconstruct(
        two, method="published", steps=1, spacing_mm=10.0, device="cpu", stages=told.stages, align_slices="off"
    )
    told.check()
    assert (heart.run["method"], heart.run["preset"], heart.run["aligned"]) == ("published", "compact", False)
    assert "align" not in heart.run["seconds"]


def test_the_expected_slice_is_the_smoother_one(few: SliceStack) -> None:
    two = few.select_phases([0]).select_slices([1, 2])
    sharp, mean = (
        dmcvr.reconstruct(two, image=image, steps=2, spacing_mm=4.0, device="cpu") for image in ("sharp", "mean")
    )
    assert (sharp.run["image"], mean.run["image"]) == ("sharp", "mean")
    roughness = [float(np.abs(np.diff(heart.image.data[0], axis=0)).mean()) for heart in (sharp, mean)]
    assert roughness[1] < roughness[0]


def test_stages_are_told_and_plain_methods_fill(few: SliceStack, engine: Engine) -> None:
    told = Told()
    heart = dmcvr.reconstruct(few, method="linear", spacing_mm=5.0, engine=engine, stages=(stages := told.stages))
    told.check()
    assert list(stages.seconds) == ["load", "locate", "segment", "measure", "slide", "fill", "complete", "resample"]
    assert heart.run["image"] is None  # nothing was drawn


def test_a_completed_heart_ends_within_its_grid(few: SliceStack, engine: Engine, tmp_path: Path) -> None:
    """The grid grows by whole voxels; what lies in the slabs is the same picture; what was added is marked."""
    told = Told()
    off = dmcvr.reconstruct(few, method="shape", spacing_mm=4.0, engine=engine, complete="off")
    whole = dmcvr.reconstruct(few, method="shape", spacing_mm=4.0, engine=engine, stages=told.stages)
    told.check()
    assert "complete" in whole.run["seconds"]
    grown = whole.labels.data.shape[3] - off.labels.data.shape[3]
    assert 0 < grown <= 9  # 30 mm at most
    steps = (np.linalg.inv(whole.labels.affine) @ off.labels.affine)[2, 3]
    assert steps == pytest.approx(round(steps), abs=1e-6)
    same = slice(round(steps), round(steps) + off.labels.data.shape[3])
    np.testing.assert_array_equal(whole.image.data[..., same], off.image.data)
    ends = [np.isin(whole.labels.data[..., k], (1, 2)).any() for k in (0, -1)]
    assert not all(ends)  # the apex is closed within
    assert whole.observed is not None
    added = (whole.labels.data[..., same] != off.labels.data) & (whole.observed.data[..., same] < 3)
    assert added.mean() < 1e-3
    again = read_result(whole.save(tmp_path / "out", mesh_formats="none"))
    assert again.observed is not None
    np.testing.assert_array_equal(again.observed.data, whole.observed.data)


def test_loading_takes_the_phases_and_the_labels_that_are_asked_for(phantom: Phantom, tmp_path: Path) -> None:
    stack = phantom.stack
    assert load(stack, Options(phase="ES")).phases == load(stack, Options(phase="1")).phases == ("ES",)
    assert stack.labels is not None
    acdc = np.array([0, 3, 2, 1], np.uint8)[stack.labels[0]]
    affine = stack.affines[0].copy()
    affine[:3, 2] = stack.affines[1, :3, 3] - stack.affines[0, :3, 3]
    nib.save(nib.Nifti1Image(np.moveaxis(acdc, 0, 2), affine), tmp_path / "gt.nii.gz")
    options = Options(phase="ED", labels_in=tmp_path / "gt.nii.gz", label_map="acdc")
    found = load(stack.without_labels(), options).labels
    np.testing.assert_array_equal(found, stack.labels[:1])


@pytest.fixture(scope="module")
def cine() -> SliceStack:
    """Six phases with numbers for names, four slices, labels."""
    return make_phantom(3, Scan(phases=6, long_axis=False)).stack.select_slices([3, 4, 5, 6])


def test_ed_and_es_of_a_cine_are_found_and_they_alone_are_filled(
    cine: SliceStack, engine: Engine, tmp_path: Path
) -> None:
    options = {"method": "nearest", "spacing_mm": 6.0, "engine": engine}
    whole, both = (dmcvr.reconstruct(cine, phase=phase, **options) for phase in ("all", "ES,ED"))
    ed, es = (whole.measures[f"{name}_phase"] for name in ("ed", "es"))
    assert both.run["phases"] == sorted([ed, es], key=int)
    assert both.run["phases_segmented"] == whole.run["phases"] == [str(n) for n in range(6)]
    at = [int(phase) for phase in both.run["phases"]]
    np.testing.assert_array_equal(both.image.data, whole.image.data[at])
    np.testing.assert_array_equal(both.labels.data, whole.labels.data[at])
    assert both.run["breath_holds"] == whole.run["breath_holds"]

    numbers = both.measures
    assert (numbers["ed_phase"], numbers["es_phase"]) == (ed, es)
    assert numbers["ed_es_chosen_by"] == "largest and smallest LV cavity (slice summation)"
    assert numbers["dense_volume"]["lv"] == whole.measures["dense_volume"]["lv"]
    assert numbers["slice_summation"] == whole.measures["slice_summation"]
    assert set(numbers["dense_volume"]["phases"]) == {ed, es}
    curve = [volumes["lv_cavity_ml"] for volumes in numbers["slice_summation"]["phases"].values()]
    assert (numbers["volume_time"]["lv_cavity_ml"], numbers["volume_time"]["convention"]) == (curve, "slice_summation")
    assert numbers["wall_thickness"] == whole.measures["wall_thickness"]

    folder = both.save(tmp_path / "patient seven", mesh_formats="none", label_formats="nifti")
    assert read_result(folder).phases == both.phases
    rows = (folder / "measures.csv").read_text().splitlines()
    assert rows[0].startswith("case,quantity,")
    assert all(row.startswith("patient seven,") for row in rows[1:])


def test_one_of_both_alone(cine: SliceStack, engine: Engine, tmp_path: Path) -> None:
    """ES is found by the slices of all phases, and ED not filled: there is no dense ejection fraction."""
    heart = dmcvr.reconstruct(cine, phase="ES", method="nearest", spacing_mm=6.0, engine=engine)
    assert heart.run["phases"] == [heart.measures["es_phase"]]
    assert "lv" not in heart.measures["dense_volume"]
    assert 20 < heart.measures["slice_summation"]["lv"]["ef_percent"] < 90
    assert heart.measures["consistency"]["lv"] is None
    assert heart.measures["valve_planes"] is None
    heart.save(tmp_path / "out", mesh_formats="none", label_formats="none", case="7")
    assert (tmp_path / "out" / "measures.csv").read_text().splitlines()[1].startswith("7,")


def test_phases_are_taken_in_the_exam_s_order_each_once(cine: SliceStack) -> None:
    def phases(text: str, **given: str) -> tuple[str, ...]:
        return load(cine, Options(phase=text, **given)).phases  # type: ignore[arg-type]

    assert phases("4, 2,4") == phases("2,4") == ("2", "4")
    assert phases("3-5,0") == ("0", "3", "4", "5")
    assert phases("all") == phases("ED") == phases("ES,1") == tuple("012345")
    assert phases("ED,ES", ed="1", es="3") == ("1", "3")  # nothing has to be found
    for wrong in ("7", "0-6", "ED,7", "systole"):
        with pytest.raises(InputError, match="is not in this exam: choose one of 0, 1, 2, 3, 4, 5 or all"):
            phases(wrong)
    with pytest.raises(InputError, match="Phase 'ED' is not in this exam: choose one of 0, 1 or all"):
        load(cine.select_phases([0, 1]), Options(phase="ED"))


def test_labels_are_numbered_as_the_exam_s_layout_does(data: Path, engine: Engine) -> None:
    folder = data / "acdc" / "patient007"
    exam, manual = folder / "patient007_frame01.nii.gz", folder / "patient007_frame01_gt.nii.gz"
    heart = dmcvr.reconstruct(exam, method="nearest", spacing_mm=6.0, labels_in=manual, engine=engine)
    assert heart.run["label_map"] == "acdc (1=rv,2=myo,3=lv)"
    assert any("numbered acdc (1=rv,2=myo,3=lv), as the exam's layout" in warning for warning in heart.run["warnings"])
    named = load(exam, Options(labels_in=manual, label_map="1=rv,2=myo,3=lv"))
    assert heart.acquired is not None
    np.testing.assert_array_equal(heart.acquired.labels, named.labels)
    assert not any("numbered" in warning for warning in named.warnings)
    with pytest.raises(InputError, match="structures are exchanged.*give --label-map acdc"):
        load(exam, Options(labels_in=manual, label_map="dmcvr"))


def test_a_stack_without_a_heart_needs_insisting(few: SliceStack, engine: Engine) -> None:
    noise = replace(few, images=np.random.default_rng(0).random(few.images.shape, dtype=np.float32))
    with pytest.raises(NoHeartError, match="No heart is seen in these slices: no left ventricle"):
        dmcvr.reconstruct(noise, method="linear", engine=engine)
    heart = dmcvr.reconstruct(noise, method="linear", spacing_mm=8.0, allow_empty=True, engine=engine)
    assert any("No heart is seen" in warning for warning in heart.run["warnings"])
    assert not heart.labels.data.any()


def test_voxels_are_as_large_as_the_pixels_unless_told(few: SliceStack, engine: Engine) -> None:
    region = prepare(few, engine.segment, 128, engine.upright)
    assert DenseGrid.of(few, region, None).spacing_mm == pytest.approx(1.5)
    small = replace(few, affines=few.affines * np.array([0.1, 0.1, 1, 1]))
    assert DenseGrid.of(small, replace(region), None).spacing_mm == 0.4  # no finer than this
    grid = DenseGrid.of(few, region, 2.5)
    assert grid.shape[2] == 16  # 40 mm of slabs
    assert grid.plan.positions_mm[0] == few.positions_mm[0]
    assert grid.empty(3, np.uint8).data.shape == (3, *grid.shape)


def test_unequal_spacing_is_reconstructed_and_said(short: SliceStack, engine: Engine) -> None:
    heart, whole = (
        dmcvr.reconstruct(stack, method="shape", spacing_mm=3.0, engine=engine)
        for stack in (short.select_slices([0, 1, 2, 3, 5, 6, 7, 8]), short)
    )
    assert any("unequally spaced (10.0 to 20.0 mm)" in warning for warning in heart.run["warnings"])
    volumes = [h.measures["dense_volume"]["phases"]["ED"]["lv_cavity_ml"] for h in (heart, whole)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.03)


def test_a_real_exam(data: Path, engine: Engine) -> None:
    """patient007, no training patient: what we find against its manual labels, on the same grid."""
    folder = data / "acdc" / "patient007"
    heart = dmcvr.reconstruct(folder, phase="ED", spacing_mm=8.0, engine=engine)
    assert heart.run["phases"] == ["ED"]
    assert heart.run["heart"]["confidence"] == pytest.approx(0.98, abs=0.02)
    manual = dmcvr.reconstruct(
        folder / "patient007_frame01.nii.gz",
        method="shape",
        spacing_mm=8.0,
        labels_in=folder / "patient007_frame01_gt.nii.gz",
        label_map="acdc",
        engine=engine,
    )
    ours, theirs = (h.measures["dense_volume"]["phases"]["ED"]["lv_cavity_ml"] for h in (heart, manual))
    assert ours == pytest.approx(theirs, rel=0.12)


def test_a_real_cine(data: Path, engine: Engine) -> None:
    """All 12 phases of patient090 (a training patient): ED and ES at most two phases from the dataset's own."""
    exam = data / "acdc" / "patient090" / "patient090_4d.nii.gz"
    heart = dmcvr.reconstruct(exam, method="nearest", spacing_mm=4.0, engine=engine)
    numbers = heart.measures
    curve = numbers["volume_time"]
    assert curve["phases"] == list(heart.run["phases"]) == [str(n) for n in range(12)]
    assert abs((int(numbers["ed_phase"]) - 3 + 6) % 12 - 6) <= 2  # Info.cfg counts from 1: ED 4, ES 11
    assert abs(int(numbers["es_phase"]) - 10) <= 1
    assert max(curve["lv_cavity_ml"]) < 1.05 * numbers["dense_volume"]["lv"]["edv_ml"]
    assert numbers["ed_es_warnings"] == []
    assert numbers["wall_thickness"]["phase"] == numbers["ed_phase"]
    assert "the picture shows upper" in numbers["wall_thickness"]["orientation"]


def test_a_mirrored_heart_is_said_in_every_file_and_unmirror_writes_it_as_it_is(
    short: SliceStack, engine: Engine, tmp_path: Path
) -> None:
    """The phantom's world is a patient's; in its mirror image the heart is one, and comes back by --unmirror."""
    true, mirrored, back = (
        dmcvr.reconstruct(stack, method="nearest", spacing_mm=5.0, engine=engine, unmirror=unmirror)
        for stack, unmirror in ((short, True), (short.reflected(), False), (short.reflected(), True))
    )
    assert [heart.run["heart"]["mirrored_geometry"] for heart in (true, mirrored, back)] == [False, True, False]
    assert [heart.run["heart"]["unmirrored"] for heart in (true, mirrored, back)] == [False, False, True]
    assert any("--unmirror" in warning for warning in mirrored.run["warnings"])
    assert not any("mirror" in warning for warning in back.run["warnings"])
    assert np.mean(back.labels.data != true.labels.data) < 0.001  # rounding, in the slices as they are drawn
    assert np.mean(mirrored.labels.data[..., ::-1] != true.labels.data) < 0.001
    np.testing.assert_allclose(back.labels.affine, true.labels.affine, atol=1e-6)
    assert back.acquired is not None
    np.testing.assert_allclose(back.acquired.affines, short.affines, atol=1e-6)

    said = {}
    for name, heart in (("mirrored", mirrored), ("back", back)):
        heart.save(tmp_path / name, mesh_formats=("ply", "stl", "glb"))
        said[name] = [
            "MIRROR" in str(nib.load(tmp_path / name / f"{volume}.nii.gz").header["descrip"])
            for volume in ("image", "labels", "acquired")
        ] + [
            b"MIRROR IMAGE" in (tmp_path / name / file).read_bytes()[:8000]
            for file in ("labels.seg.nrrd", "meshes/lv_cavity.ply", "meshes/lv_cavity.stl", "meshes/heart.glb")
        ]
    assert said == {"mirrored": [True] * 7, "back": [False] * 7}


def test_an_exam_s_own_views_are_used_and_kept(viewed: Phantom, engine: Engine, tmp_path: Path) -> None:
    write_phantom(viewed, tmp_path / "p")
    heart = dmcvr.reconstruct(tmp_path / "p", phase="ES", method="nearest", spacing_mm=4.0, engine=engine)
    truth = {view.name: view for view in viewed.views if view.phase == viewed.stack.phases[viewed.es]}
    assert [(view.name, view.phase) for view in heart.views] == [(name, "ES") for name in truth]
    assert [plane["name"] for plane in heart.run["views"]] == list(truth)
    assert all(plane["phases"] == ["ES"] for plane in heart.run["views"])
    told = [plane["told_of_shifts"] for plane in heart.run["views"]]
    assert f"{sum(told)} long-axis view" in heart.run["breath_holds"]["sources"][-1]
    assert sum(told) >= 3
    angles = [plane["angle_to_short_axis_deg"] for plane in heart.run["views"]]
    assert all(angle > 60 for angle in angles)
    (tmp_path / "out").mkdir()
    write_result(heart, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out" / "views").iterdir()) == sorted(f"{n}.nii.gz" for n in truth)
    back = read_result(tmp_path / "out")
    assert back.run["views"] == heart.run["views"]
    for view, read in zip(heart.views, back.views, strict=True):
        assert (read.name, read.phase, read.series, read.thickness_mm) == (view.name, "ES", "", view.thickness_mm)
        np.testing.assert_array_equal(read.image, truth[view.name].image)
        np.testing.assert_allclose(read.affine[:, [0, 1, 3]], truth[view.name].affine[:, [0, 1, 3]], atol=1e-3)
    (tmp_path / "out" / "views" / "RVOT.nii.gz").unlink()
    assert len(read_result(tmp_path / "out").views) == 3
    shutil.copy(tmp_path / "out" / "acquired.nii.gz", tmp_path / "out" / "views" / "RVOT.nii.gz")
    with pytest.raises(InputError, match="do not belong together"):
        read_result(tmp_path / "out")
    off = dmcvr.reconstruct(tmp_path / "p", phase="ES", method="nearest", spacing_mm=4.0, engine=engine, views="off")
    assert (off.views, off.run["views"]) == ((), [])
    assert "view" not in " ".join(off.run["breath_holds"]["sources"])


def test_given_views_win_and_stay_with_a_heart_that_is_unmirrored(viewed: Phantom, engine: Engine) -> None:
    stack = viewed.stack.without_labels().select_phases([0])  # whose name is that of a phase of the views
    views = [view for view in viewed.views if view.name == "4-chamber"]
    mirrored = [view.carried(stack.reflection) for view in views]
    heart = dmcvr.reconstruct(
        stack.reflected(), method="nearest", spacing_mm=4.0, engine=engine, views=mirrored, unmirror=True
    )
    assert heart.unmirrored
    (view,) = heart.views  # of the phase that there is
    np.testing.assert_allclose(view.affine, views[0].affine, atol=1e-9)
    assert heart.acquired is not None
    np.testing.assert_allclose(heart.acquired.affines, stack.affines, atol=1e-9)


def test_a_result_says_how_sure_it_is(ours: Reconstruction, tmp_path: Path) -> None:
    sure = ours.measures["intervals"]
    assert {"lv_edv_ml", "lv_ef_percent", "rv_esv_ml", "lv_mass_g"} <= set(sure["measures"])
    for found in sure["measures"].values():
        assert found["low"] <= found["value"] <= found["high"]
    assert ours.uncertainty is not None
    assert ours.uncertainty.data.shape == ours.labels.data.shape
    inside = ours.labels.data > 0
    assert ours.uncertainty.data.max() <= 75
    assert ours.uncertainty.data[inside].mean() > 1.5 * ours.uncertainty.data[:, :4, :4].mean()
    assert ours.run["quality"]["verdict"] in ("usable", "look", "do not use")
    assert set(ours.run["quality"]["expected_dice"]) == {"lv_cavity", "lv_myocardium", "rv_cavity"}
    write_result(ours, tmp_path)
    read = read_result(tmp_path)
    assert read.uncertainty is not None
    np.testing.assert_array_equal(read.uncertainty.data, ours.uncertainty.data)


def test_certainty_costs_nothing_where_it_is_not_asked_for(few: SliceStack, engine: Engine) -> None:
    heart = dmcvr.reconstruct(few.select_phases([0]), engine=engine, method="linear", spacing_mm=5.0, intervals=False)
    assert heart.uncertainty is None
    assert heart.run["quality"] is None
    assert "intervals" not in heart.measures


def test_draws_differ_between_the_slices_alone(few: SliceStack, tmp_path: Path) -> None:
    three = few.select_phases([0]).select_slices([0, 1])
    with pytest.raises(InputError, match="from no noise"):
        dmcvr.reconstruct(three, spacing_mm=5.0, device="cpu", draws=2)
    heart = dmcvr.reconstruct(three, method="published", steps=2, spacing_mm=5.0, device="cpu", draws=2)
    assert heart.drawn is not None
    mean, sd = heart.drawn
    heights = heart.image.affine[:3, 3] @ three.normal + np.arange(heart.image.data.shape[3]) * 5.0
    spread = sd.data[0].mean(axis=(0, 1))
    assert spread[np.abs(heights - three.positions_mm.mean()).argmin()] > 0
    assert np.corrcoef(mean.data.ravel(), heart.image.data.ravel())[0, 1] > 0.9
    write_result(heart, tmp_path)
    assert {"image_mean.nii.gz", "image_sd.nii.gz"} <= {path.name for path in tmp_path.iterdir()}
