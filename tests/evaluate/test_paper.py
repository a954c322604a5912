"""The paper's comparison: what it measures, and the claims beside what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.models import TRAINING

from dmcvr.evaluate.case import Bench, Case
from dmcvr.evaluate.cases import find_cases
from dmcvr.evaluate.contenders import Contenders
from dmcvr.evaluate.names import parse
from dmcvr.evaluate.paper import ACQUIRED, TRAINING_RATIO, paper, paper_tables
from dmcvr.evaluate.settings import settings
from dmcvr.evaluate.watched import Watched
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.plain import Linear
from dmcvr.geometry.plan import Plan
from dmcvr.model.checkpoint import save_weights
from dmcvr.model.deeprecon import Generator
from dmcvr.model.presets import TINY
from dmcvr.phantom import Scan, make_phantom, write_phantom
from dmcvr.train.split import Split

STAGE = TRAINING | {"stage": "deeprecon", "minutes": 7.0, "steps": 11, "window": None}


@pytest.fixture(scope="module")
def bench(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    path = tmp_path_factory.mktemp("weights") / "g.safetensors"
    torch.manual_seed(0)
    save_weights(Generator(TINY.generator), path, preset=TINY, training=STAGE)
    names = (f"deeprecon:weights={path}:steps=3:as=theirs", "published:steps=2:corrections=0:as=ours", "linear")
    return Bench(engine, Contenders(names, engine=engine).all)


@pytest.fixture(scope="module")
def rows(bench: Bench) -> pd.DataFrame:
    """One exam as if it were a patient's, and one as a phantom."""
    exam = make_phantom(3, Scan(spacing_mm=5, thickness_mm=5))
    patient = Case("p", exam.stack.select_phases([0]).select_slices(range(4, 11)))
    return pd.DataFrame(paper(patient, bench).rows)


def test_slices_given_and_left_out(rows: pd.DataFrame) -> None:
    """A plain method gives back what it is given: it takes no part there."""
    assert set(zip(rows["task"], rows["method"], strict=True)) == {
        *((ACQUIRED, name) for name in ("theirs", "ours")),
        *(("5 mm stacks", name) for name in ("theirs", "ours", "linear")),
    }
    given, left = (set(rows[(rows["task"] == task)]["slice"]) for task in (ACQUIRED, "5 mm stacks"))
    assert (given, left) == ({0, 2, 4, 6}, {1, 3, 5})
    score = rows[rows["task"] == ACQUIRED].groupby("method")["ssim"].mean()
    assert score["ours"] > score["theirs"]  # an untrained generator can draw nothing
    assert rows[rows["task"] == ACQUIRED]["dice_lv_cavity"].isna().all()


def test_finding_codes_is_told_from_drawing(rows: pd.DataFrame, bench: Bench) -> None:
    seconds = rows.groupby("method")[["seconds_acquired", "seconds_drawn"]].mean()
    assert seconds.loc["linear", "seconds_acquired"] == 0 < seconds.loc["linear", "seconds_drawn"]
    assert seconds.loc["theirs", "seconds_acquired"] > seconds.loc["theirs", "seconds_drawn"] > 0
    clock = Watched(Linear(bench.engine.segment))
    images = np.zeros((2, 128, 128), np.float32)
    clock(Acquired(images, images.astype(np.uint8)), Plan.between(np.array([0.0, 10.0]), np.array([5.0])))
    assert len(clock.seen) == 1
    assert clock.seconds_a_slice > 0


def test_phantoms_are_measured_in_3d(bench: Bench) -> None:
    exam = make_phantom(3)
    quick = Bench(bench.engine, bench.contenders[-1:], spacing_mm=10.0)
    found = pd.DataFrame(paper(Case("phantom003", exam.stack, exam), quick).rows)
    assert set(found["task"]) == {"phantoms"}
    assert (found["dice_lv_cavity"] > 0.5).all()
    assert found["level"].eq("all").all()


def invented(ours: float, theirs: float) -> list[dict[str, Any]]:
    lines = []
    for n in range(6):
        for name, score in (("theirs", theirs), ("ours", ours), ("linear", 0.4)):
            for task in (ACQUIRED, "10 mm stacks"):
                scores = {"ssim": score + 0.01 * n, "dice_lv_myocardium": score}
                about = {"patient": f"p{n}", "group": "NOR", "phase": "ED", "task": task, "method": name}
                lines.append({**about, **scores, "seconds_acquired": 1.0 + (name == "theirs"), "seconds_drawn": 1.0})
    return lines


def test_claims_stand_beside_what_is_found(bench: Bench) -> None:
    tables = {table.title: table for table in paper_tables(pd.DataFrame(invented(0.75, 0.475)), bench.contenders)}
    claims = tables["The paper's claims, against theirs"].numbers.set_index(["claim", "task"])
    assert claims.loc[("SSIM, % more", ACQUIRED), "paper"] == 35
    assert claims.loc[("SSIM, % more", ACQUIRED), "here"] == pytest.approx(100 * 0.275 / 0.5)
    assert claims.loc[("Dice myo, % more", "10 mm stacks"), "here"] == pytest.approx(100 * 0.275 / 0.475)
    assert claims.loc[("training, times as long", ""), "paper"] == TRAINING_RATIO
    assert claims.loc[("training, times as long", ""), "here"] == pytest.approx(7 / 94.3, rel=0.02)
    assert claims.loc[("codes of a slice, times as long", ""), "here"] == 2
    costs = tables["Costs"].numbers.set_index("method")
    assert costs.loc["theirs", "training minutes"] == 7
    assert (costs.loc["theirs", "calls acquired"], costs.loc["ours", "calls acquired"]) == (3, 2)
    against = tables["Against theirs"].numbers
    assert set(against["method"]) == {"ours"}  # not against itself
    assert "- | - | 0 |" in tables["The paper's claims, against theirs"].markdown()


def test_a_score_in_2d_may_tell_nothing_of_3d(bench: Bench) -> None:
    """Better in 2D, worse in 3D, patient by patient and method by method."""
    lines = invented(0.9, 0.4)
    for line in lines:
        if line["task"] != ACQUIRED:
            line["dice_lv_myocardium"] = 1 - line["ssim"]
    rows = pd.DataFrame([line for line in lines if (line["method"], line["task"]) != ("linear", ACQUIRED)])
    tables = {table.title: table for table in paper_tables(rows, bench.contenders)}
    told = tables["What a score in 2D tells of 3D (Spearman)"].numbers.set_index("method")
    assert set(told.index) == {"theirs", "ours"}  # a plain method gives back what it is given
    assert told["acquired SSIM with SSIM left out"].tolist() == pytest.approx([1, 1])
    assert told["acquired SSIM with Dice myo left out"].tolist() == pytest.approx([-1, -1])
    signatures = tables["Failure signatures"].numbers.set_index("signature")
    assert set(signatures.loc["good 2D, bad 3D", "method"]) == {"ours"}
    assert set(signatures.loc["bad 2D, good 3D", "method"]) == {"theirs"}
    assert signatures.loc["good 2D, bad 3D", "patient"].iloc[0] == "p5"  # of ours the best in 2D


def test_phantoms_alone_have_no_score_in_2d(bench: Bench) -> None:
    """Patients may all have too few slices."""
    lines = [line | {"task": "phantoms"} for line in invented(0.7, 0.5) if line["task"] != ACQUIRED]
    titles = [table.title for table in paper_tables(pd.DataFrame(lines).drop(columns="ssim"), bench.contenders)]
    assert "Means over patients" in titles
    assert "Failure signatures" not in titles


def test_without_deeprecon_there_are_no_claims(bench: Bench) -> None:
    rows = pd.DataFrame(invented(0.7, 0.5))
    titles = [table.title for table in paper_tables(rows[rows["method"] != "theirs"], bench.contenders[1:])]
    assert titles[:2] == ["Costs", "Means over patients"]


def test_its_cases_are_patients_and_phantoms(tmp_path: Path) -> None:
    write_phantom(make_phantom(0, Scan(spacing_mm=14)), tmp_path / "data" / "patient001")
    Split((), ("patient001",), ()).write(tmp_path / "split.json")
    chosen = settings("paper", tmp_path / "data", split=tmp_path / "split.json", exams=2)
    assert list(find_cases(chosen).load) == ["patient001", "phantom000", "phantom001"]


def test_fewer_patients_are_spread_over_their_list(tmp_path: Path) -> None:
    names = [f"patient{n:03d}" for n in range(1, 6)]
    for n, name in enumerate(names):
        write_phantom(make_phantom(n, Scan(spacing_mm=20)), tmp_path / "data" / name)
    Split((), tuple(names), ()).write(tmp_path / "split.json")
    some = settings("held-out", tmp_path / "data", split=tmp_path / "split.json", limit=2, methods=("linear",))
    assert list(find_cases(some).load) == ["patient001", "patient003"]
    with pytest.raises(Exception, match="Expected --limit of 1 or more; got 0"):
        settings("held-out", tmp_path / "data", limit=0)
    with pytest.raises(Exception, match="does not use --limit"):
        settings("phantom", limit=2)


def test_deeprecon_takes_its_own_options() -> None:
    assert parse("deeprecon:steps=50:batch=4") == ("deeprecon", {"steps": 50, "batch": 4})
    with pytest.raises(Exception, match="deeprecon takes labels, as, slide, complete, weights, steps, batch"):
        parse("deeprecon:x_T=lerp")
