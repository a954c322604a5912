"""Protocols that a broken method cannot pass, on phantoms, whose truth is exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dmcvr.evaluate.ablation import ablation, ablation_tables
from dmcvr.evaluate.case import Bench, Case, best_shift, levels, shifted
from dmcvr.evaluate.cine import cine
from dmcvr.evaluate.clinical import SUMMED, clinical
from dmcvr.evaluate.contenders import Contender, Contenders
from dmcvr.evaluate.held_out import held_out
from dmcvr.evaluate.long_axis import long_axis
from dmcvr.evaluate.phantom import phantom as phantom_protocol
from dmcvr.evaluate.phantom import shift_error_mm
from dmcvr.evaluate.round_trip import round_trip
from dmcvr.evaluate.run import evaluate
from dmcvr.evaluate.segmentation import segmentation
from dmcvr.fill.catalogue import PLAIN, make_method
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired, Dense, Method
from dmcvr.fill.plain import Linear
from dmcvr.geometry.plan import Plan
from dmcvr.io.nifti import write_nifti
from dmcvr.io.result import stack_volume
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.stages import Stages

Rows = list[dict[str, Any]]

LEVELS = ("base", "mid", "apex")


@dataclass
class OneVoxelOff:
    """Broken on purpose: every slice lies one voxel beside its place."""

    method: Method

    def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
        dense = self.method(acquired, plan)
        return replace(dense, images=np.roll(dense.images, 1, axis=1), scores=np.roll(dense.scores, 1, axis=2))


@pytest.fixture(scope="module")
def fine() -> Case:
    exam = make_phantom(3, Scan(spacing_mm=5, thickness_mm=5))
    return Case("p", exam.stack.select_phases([0]))


def bench_of(engine: Engine, *names: str, **methods: Method) -> Bench:
    broken = tuple(Contender(name, method, plain=False) for name, method in methods.items())
    return Bench(engine, (*(Contenders(names, engine=engine).all if names else ()), *broken))


def mean(rows: Rows, method: str, metric: str) -> float:
    return float(np.nanmean([row[metric] for row in rows if row["method"] == method]))


def test_broken_methods_score_worse(engine: Engine, fine: Case) -> None:
    """A shift of one voxel and a copied neighbour show in the image scores and in the labels."""
    linear = Linear(engine.segment)
    rows = held_out(fine, bench_of(engine, "linear", "nearest", "registration", off=OneVoxelOff(linear))).rows
    for broken in ("off", "nearest"):
        assert mean(rows, broken, "psnr_db") < mean(rows, "linear", "psnr_db") - 1
        assert mean(rows, broken, "ssim") < mean(rows, "linear", "ssim") - 0.02
    for broken, whole in (("off", "linear"), ("nearest", "registration")):
        assert mean(rows, broken, "dice_lv_myocardium") < mean(rows, whole, "dice_lv_myocardium") - 0.02
    # The translation that is granted to everyone takes the voxel back, and nothing else.
    assert mean(rows, "off", "shifted_psnr_db") == pytest.approx(mean(rows, "linear", "shifted_psnr_db"), abs=0.05)
    assert mean(rows, "nearest", "shifted_psnr_db") < mean(rows, "linear", "shifted_psnr_db") - 1


def test_held_out_is_held_out(engine: Engine, fine: Case) -> None:
    """Drawn slices do not change when the true ones do: no method sees what it is judged by."""
    rows = held_out(fine, bench_of(engine, "dmcvr:steps=1", "shape")).rows
    count = fine.stack.images.shape[1]
    assert [row["slice"] for row in rows if row["method"] == "dmcvr:steps=1"] == list(range(1, count - 1, 2))
    assert {row["task"] for row in rows} == {"5 mm stacks"}
    images = fine.stack.images.copy()
    images[:, 1::2] = images[:, 1::2][:, ::-1]
    spoilt = held_out(
        replace(fine, stack=replace(fine.stack, images=images)), bench_of(engine, "dmcvr:steps=1", "shape")
    ).rows
    for method in ("dmcvr:steps=1", "shape"):
        assert mean(spoilt, method, "dice_lv_cavity") == mean(rows, method, "dice_lv_cavity")
        assert mean(spoilt, method, "psnr_db") < mean(rows, method, "psnr_db") - 2


def test_keep_every_third(engine: Engine, fine: Case) -> None:
    bench = replace(bench_of(engine, "linear"), keep_every=3)
    rows = held_out(fine, bench).rows
    assert all(row["slice"] % 3 for row in rows)
    assert mean(rows, "linear", "psnr_db") < mean(held_out(fine, bench_of(engine, "linear")).rows, "linear", "psnr_db")


def test_manual_labels_reach_those_who_ask(engine: Engine, fine: Case) -> None:
    names = ("dmcvr:image=warped", "dmcvr:image=warped:labels=manual", "registration:labels=manual")
    rows = held_out(fine, bench_of(engine, *names)).rows
    assert mean(rows, names[0], "psnr_db") == pytest.approx(mean(rows, names[1], "psnr_db"), abs=0.3)
    grey = (
        "dmcvr:image=warped:align=grey",
        "dmcvr:image=warped:align=grey:labels=manual",
    )  # only labels that lead the alignment change images
    same = held_out(fine, bench_of(engine, *grey)).rows
    assert mean(same, grey[0], "psnr_db") == mean(same, grey[1], "psnr_db")
    assert mean(rows, names[1], "dice_lv_cavity") != mean(rows, names[0], "dice_lv_cavity")
    # (At the first and the last slice with left ventricle, one neighbour has none: nobody can know.)
    assert np.nanmedian([row["dice_lv_cavity"] for row in rows if row["method"] == names[2]]) > 0.95


def test_the_look_is_scored(engine: Engine, fine: Case) -> None:
    """The neighbours' mean lacks what the finer band holds; a copied neighbour has it, at the wrong places."""
    rows = held_out(fine, bench_of(engine, "linear", "nearest")).rows
    assert mean(rows, "linear", "spectrum_fine") < 0.8
    assert mean(rows, "nearest", "spectrum_fine") == pytest.approx(1, abs=0.3)
    for score, sign in (("haarpsi", 1), ("vif", 1), ("ms_ssim", 1), ("gmsd", -1)):
        gain = mean(rows, "linear", score) - mean(rows, "nearest", score)
        assert sign * gain > 0, score
        assert f"shifted_{score}" in rows[0]


def test_ablation_tells_the_cost(engine: Engine, fine: Case) -> None:
    rows = ablation(fine, bench_of(engine, "dmcvr:steps=2:start_image=mean:temperature=1:x_T=fresh", "linear")).rows
    ours = next(row for row in rows if row["method"] != "linear")
    assert (ours["calls_acquired"], ours["calls_drawn"]) == (2, 3)
    assert ours["seconds_a_slice"] > mean(rows, "linear", "seconds_a_slice") > 0


def test_ablation_compares_with_the_first_and_takes_seeds_together(engine: Engine) -> None:
    names = ("linear:as=with-0", "linear:as=with-1", "nearest:as=without-0", "nearest:as=without-1")
    contenders = Contenders(names, engine=engine).all
    scores = {"with-0": 0.5, "with-1": 0.7, "without-0": 0.4, "without-1": 0.5}
    rows = [
        {"patient": f"p{n}", "task": "10 mm stacks", "method": name, "ssim": score + 0.01 * n}
        for n in range(6)
        for name, score in scores.items()
    ]
    tables = {table.title: table.numbers for table in ablation_tables(pd.DataFrame(rows), contenders)}
    assert tables["Against with-0"].set_index("method")["difference"].to_dict() == pytest.approx(
        {"with-1": 0.2, "without-0": -0.1, "without-1": 0.0}, abs=1e-9
    )
    assert tables["Means over patients and seeds"].set_index("method")["ssim"]["with"] == pytest.approx(0.625)
    (over,) = tables["Against with, over seeds"].to_dict("records")
    assert (over["method"], over["patients"]) == ("without", 6)
    assert over["difference"] == pytest.approx(-0.15)
    alone = ablation_tables(pd.DataFrame(rows[::2]), (contenders[0], contenders[2]))
    assert not any("seeds" in table.title for table in alone)


def test_segmentation_by_level(phantom: Phantom, engine: Engine) -> None:
    rows = segmentation(Case("p", phantom.stack), bench_of(engine)).rows
    assert {row["level"] for row in rows} >= {"all", "base", "mid", "apex"}
    whole = [row for row in rows if row["level"] == "all"]
    assert [row["phase"] for row in whole] == ["ED", "ES"]
    assert min(row["dice_lv_cavity"] for row in whole) > 0.85
    assert max(row["hd95_lv_cavity_mm"] for row in whole) < 10


def test_round_trip_of_a_plain_method_is_exact(phantom: Phantom, engine: Engine) -> None:
    case = Case("p", phantom.stack.select_phases([0]))
    rows = round_trip(case, bench_of(engine, "dmcvr", "linear")).rows
    exact = [row for row in rows if row["method"] == "linear" and row["task"] == "from codes"]
    assert min(row["ssim"] for row in exact) == 1.0
    in_volume = [row["ssim"] for row in rows if row["task"] == "in the volume"]
    assert 0.5 < min(in_volume) < max(in_volume) < 1


def test_phantom_knows_better_scans(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wider spacing, disturbed scans and a voxel beside its place score worse; shifts are told as they are."""
    monkeypatch.setattr("dmcvr.evaluate.phantom.SPACINGS_MM", (5.0, 12.0))
    exam = make_phantom(3)
    bench = bench_of(engine, "shape:labels=manual")
    shape = bench.contenders[0]
    off = replace(shape, name="off", method=OneVoxelOff(shape.method))
    every = phantom_protocol(Case("p", exam.stack, exam), replace(bench, contenders=(shape, off))).rows
    rows = [row for row in every if row["level"] == "all"]
    assert {row["phase"] for row in rows} == {"ED", "ES"}
    assert len(rows) == 16

    def of(task: str, metric: str, method: str = shape.name) -> float:
        return mean([row for row in rows if row["task"] == task], method, metric)

    assert of("5 mm, clean", "dice_lv_myocardium") > of("12 mm, clean", "dice_lv_myocardium")
    assert of("5 mm, clean", "dice_lv_myocardium") > of("5 mm, disturbed", "dice_lv_myocardium")
    assert of("5 mm, clean", "assd_lv_cavity_mm") < 1
    assert of("5 mm, clean", "assd_lv_cavity_mm") < of("5 mm, clean", "assd_lv_cavity_mm", "off")
    assert abs(of("5 mm, clean", "lv_ef_error_percent")) < 4
    assert max(abs(of("5 mm, clean", f"volume_error_{name}_percent")) for name in ("lv_cavity", "rv_cavity")) < 8
    assert of("5 mm, clean", "shift_error_mm") < 0.5
    assert 1.2 < of("5 mm, disturbed", "shift_error_mm") < 3.3  # 2.5 for many slices; a nearby slice takes part
    levels = [row for row in every if row["level"] != "all"]
    assert {row["level"] for row in levels} == {"base", "mid", "apex"}
    clean = [row for row in levels if row["task"] == "12 mm, clean"]
    by_level = {
        level: mean([r for r in clean if r["level"] == level], shape.name, "assd_lv_cavity_mm") for level in LEVELS
    }
    assert by_level["mid"] < min(by_level["base"], by_level["apex"])


def test_what_all_slices_have_in_common_is_no_shift_error() -> None:
    true = np.array([[0.0, 0.0], [3.0, 1.0], [-1.0, 2.0]])
    assert shift_error_mm(true + np.array([5, -7]), true) == pytest.approx(0)
    assert shift_error_mm(true + np.array([[1, 0], [0, 0], [-1, 0]]), true) == pytest.approx(2 / 3)
    assert np.isnan(shift_error_mm(true[:1], true[:1]))


def test_long_axis_of_the_truth(engine: Engine) -> None:
    exam = make_phantom(3, Scan(long_axis=True))
    case = Case("p", exam.stack, exam, exam.views)
    findings = long_axis(case, bench_of(engine, "registration", "nearest"))
    assert {row["task"] for row in findings.rows} == {"2-chamber", "3-chamber", "4-chamber", "RVOT"}
    assert mean(findings.rows, "registration", "correlation") > 0.9
    assert mean(findings.rows, "registration", "dice_lv_cavity") > mean(findings.rows, "nearest", "dice_lv_cavity")
    assert len(findings.pictures) == 8


def test_real_long_axis_view(data: Path, engine: Engine) -> None:
    """The header's world geometry puts our cut where the scanner's own 4-chamber view is."""
    del engine
    result = evaluate("long-axis", data / "mnms2", methods=("linear",), device="cpu")
    assert set(result.rows["phase"]) == {"ED", "ES"}
    assert result.rows["correlation"].min() > 0.5


def test_two_annotators_agree_as_far_as_they_do(phantom: Phantom, engine: Engine) -> None:
    """A second labelling is judged by the first; no network runs."""
    other = np.roll(phantom.stack.labels, 1, axis=2)
    rows = segmentation(Case("p = q", phantom.stack, second=other), Bench(engine, ())).rows
    assert {row["method"] for row in rows} == {"annotators"}
    truth = phantom.stack.labels[0] == 1
    expected = 2 * (truth & (other[0] == 1)).sum() / (truth.sum() + (other[0] == 1).sum())
    assert rows[0]["dice_lv_cavity"] == pytest.approx(expected)
    same = segmentation(Case("p = p", phantom.stack, second=phantom.stack.labels), Bench(engine, ())).rows
    assert {row["dice_rv_cavity"] for row in same if row["level"] == "all"} == {1.0}


def test_no_network_touches_everyone(engine: Engine, fine: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is located, drawn nor labelled by a network; the kept slices' manual labels lead."""

    def broken(*_: Any) -> Any:
        raise AssertionError("a network ran")

    monkeypatch.setattr(Engine, "batches", broken)
    names = ("linear:labels=manual", "registration:align=labels:carry=warp:labels=manual", "shape:labels=manual")
    bench = replace(bench_of(engine, *names), untouched=True)
    rows = held_out(fine, bench).rows
    assert mean(rows, names[1], "psnr_db") > mean(rows, names[0], "psnr_db")
    assert mean(rows, names[2], "dice_lv_cavity") > 0.7
    with pytest.raises(AssertionError, match="a network ran"):
        held_out(fine, bench_of(engine, "shape:labels=manual"))


def test_clinical(phantom: Phantom, engine: Engine) -> None:
    rows = clinical(Case("p", phantom.stack), bench_of(engine, "shape")).rows
    assert {row["method"] for row in rows} == {"shape", SUMMED}
    errors = {row["task"]: row["error"] for row in rows if row["method"] == SUMMED}
    assert abs(errors["lv_ef_percent"]) < 8
    assert abs(errors["lv_edv_ml"]) < 40  # a slice of atrium more or less
    assert clinical(Case("p", phantom.stack.select_phases([0])), bench_of(engine, "shape")).rows == []


def test_levels_run_from_the_base() -> None:
    labels = np.zeros((8, 16, 16), dtype=np.uint8)
    for n, side in enumerate((0, 3, 3, 5, 6, 8, 8, 0)):
        labels[n, :side, :side] = 2
    labels[7, 0, 0] = 3
    expected = ["beyond", "apex", "apex", "mid", "mid", "base", "base", "beyond"]
    assert levels(labels) == expected
    assert levels(labels[::-1]) == expected[::-1]
    assert levels(labels * 0) == ["beyond"] * 8


def test_best_shift_takes_a_shift_back() -> None:
    truth = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    moved = shifted(truth, (-2, 1))
    assert best_shift(moved, truth, 1.5) == (2, -1)
    assert np.array_equal(shifted(moved, (2, -1))[4:-4, 4:-4], truth[4:-4, 4:-4])
    assert best_shift(shifted(truth, (5, 0)), truth, 1.5) != (-5, 0)  # 7.5 mm: more than is granted


def test_flicker_shows_where_drawn_slices_tremble(engine: Engine, tmp_path: Path) -> None:
    """A still cine with noise: averages tremble less, nearest as much, and a method that adds noise more."""
    exam = make_phantom(5, Scan(spacing_mm=14, noise=0.0))
    rng = np.random.default_rng(0)
    still = exam.stack.images[:1] + rng.normal(0, 0.03, (6, *exam.stack.images.shape[1:]))
    cine_stack = replace(exam.stack, images=still, phases=tuple("012345"), labels=None)

    @dataclass
    class Trembling:
        method: Method

        def __call__(self, acquired: Acquired, plan: Plan, stages: Stages | None = None) -> Dense:
            dense = self.method(acquired, plan)
            noise = rng.normal(0, 0.2, dense.images.shape).astype(np.float32)
            return replace(dense, images=np.clip(dense.images + noise, -1, 1))

    bench = bench_of(engine, "linear", "nearest", trembling=Trembling(Linear(engine.segment)))
    rows = cine(Case("c", cine_stack), bench).rows
    assert len(rows) == 3 * (exam.stack.images.shape[1] - 1)
    assert mean(rows, "linear", "flicker_ratio") == pytest.approx(np.sqrt(0.5), abs=0.07)
    assert mean(rows, "nearest", "flicker_ratio") == pytest.approx(1, abs=0.1)
    assert mean(rows, "trembling", "flicker_ratio") > 1.5
    assert cine(Case("p", exam.stack), bench).rows == []  # ED and ES alone are no curve

    write_nifti(tmp_path / "exam_4d.nii.gz", stack_volume(cine_stack))
    found = evaluate("cine", tmp_path, methods=("linear",), output=tmp_path / "out", device="cpu")
    assert found.run["patients"] == ["exam_4d"]
    assert (tmp_path / "out" / "plot.png").is_file()


def test_baselines_agree_at_the_slices(engine: Engine) -> None:
    """Every plain method gives the acquired slices back where it is asked for them."""
    rng = np.random.default_rng(0)
    acquired = Acquired(rng.uniform(-1, 1, (4, 32, 32)).astype(np.float32), np.zeros((4, 32, 32), np.uint8))
    plan = Plan.between(np.arange(4.0), np.array([0.0, 2.0, 3.0]))
    for name in PLAIN:
        dense = make_method(name, engine)(acquired, plan)
        np.testing.assert_allclose(dense.images, acquired.images[[0, 2, 3]], atol=1e-4, err_msg=name)
