"""A whole run: what it writes, that it repeats, goes on, and never mixes; and who may take part."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dmcvr.evaluate.run as module
from dmcvr.errors import InputError
from dmcvr.evaluate.case import Bench, Case, Findings
from dmcvr.evaluate.cases import content_of, find_cases
from dmcvr.evaluate.run import Evaluation, evaluate
from dmcvr.evaluate.settings import settings
from dmcvr.evaluate.store import code_sha256, fingerprint
from dmcvr.evaluate.tables import Table
from dmcvr.io.nifti import write_nifti
from dmcvr.io.result import stack_volume
from dmcvr.phantom import Scan, make_phantom, write_phantom
from dmcvr.train.split import Split

NAMES = ("phantom000", "phantom001")


@pytest.fixture(scope="module")
def two_exams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exams")
    for seed, name in enumerate(NAMES):
        write_phantom(make_phantom(seed, Scan(spacing_mm=14)), folder / name)
    return folder


@pytest.fixture
def small(two_exams: Path, tmp_path: Path) -> Path:
    """A folder of two labelled exams, and a split that holds both out."""
    shutil.copytree(two_exams, tmp_path / "data")
    Split((), NAMES, ()).write(tmp_path / "split.json")
    return tmp_path


def held_out_of(small: Path, **options: Any) -> Evaluation:
    given: dict[str, Any] = {"methods": ("linear", "nearest", "shape"), "split": small / "split.json", "device": "cpu"}
    return evaluate("held-out", small / "data", **given | options)


def test_everything_is_written_and_repeats(small: Path) -> None:
    first = held_out_of(small, output=small / "out")
    out = small / "out"
    assert sorted(p.name for p in out.iterdir()) == [
        *("plot.png", "report.html", "report.md", "rows.csv", "run.json", "summary.json", "worst.png")
    ]
    assert len(pd.read_csv(out / "rows.csv")) == len(first.rows)
    assert set(first.rows["patient"]) == set(NAMES)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["run"] == first.run == json.loads((out / "run.json").read_text())
    assert summary["run"]["patients"] == list(NAMES)
    shown = [Table.of(record).markdown() for record in summary["tables"]]
    assert shown == [table.markdown() for table in first.tables]  # what is shown comes of the summary alone
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    held_out_of(small, output=out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    assert not list(small.glob(".out-*"))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that are measured, one row each, by name; an interrupt comes at the second one, once."""
    seen: list[str] = []

    def measure(case: Case, bench: Bench) -> Findings:
        seen.append(case.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        about = {**case.about, "phase": "ED", "level": "mid", "task": "t"}
        return Findings([{**about, "method": c.name, "psnr_db": float(case.manual.sum())} for c in bench.contenders])

    protocol = module.PROTOCOLS["held-out"]
    monkeypatch.setitem(module.PROTOCOLS, "held-out", replace(protocol, measure=measure))
    return seen


def test_an_interrupted_evaluation_goes_on(small: Path, measured: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        held_out_of(small, output=small / "out")
    assert not (small / "out").exists()
    resumed = held_out_of(small, output=small / "out")
    assert measured == [NAMES[0], NAMES[1], NAMES[1]]
    assert held_out_of(small).markdown() == resumed.markdown()
    assert not list(small.glob(".out-*"))


@pytest.mark.parametrize("what", ["labels", "pictures", "methods behind one name", "code", "split", "keep_every"])
def test_another_run_never_goes_on(
    small: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What was measured of other data, by other methods or by other code is not taken up."""
    options: dict[str, Any] = {"methods": ("linear:as=mine",)}
    with pytest.raises(KeyboardInterrupt):
        held_out_of(small, output=small / "out", **options)
    exam = make_phantom(0 if what == "labels" else 7, Scan(spacing_mm=14))
    if what == "labels":
        assert exam.stack.labels is not None
        labels = exam.stack.labels.copy()
        labels[0, 0, 0, 0] = 1
        exam = replace(exam, stack=replace(exam.stack, labels=labels))
    if what in ("labels", "pictures"):
        shutil.rmtree(small / "data" / NAMES[0])
        write_phantom(exam, small / "data" / NAMES[0])
    elif what == "methods behind one name":
        options = {"methods": ("nearest:as=mine",)}
    elif what == "code":
        monkeypatch.setattr(module, "code_sha256", lambda: "edited")
    elif what == "split":
        Split((), NAMES, ("another",)).write(small / "split.json")
    else:
        options |= {"keep_every": 3}
    held_out_of(small, output=small / "out", **options)
    assert measured == [NAMES[0], NAMES[1], *NAMES]


def test_edited_code_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "__init__.py").write_text("a = 1\n")
    (tmp_path / "inner" / "b.py").write_text("b = 1\n")
    monkeypatch.setattr("dmcvr.train.inputs.PACKAGE", tmp_path)
    before = code_sha256()
    assert code_sha256() == before
    (tmp_path / "inner" / "b.py").write_text("b = 2\n")
    assert code_sha256() != before


def test_content_is_all_that_is_measured() -> None:
    case = Case("p", make_phantom(0, Scan(spacing_mm=14)).stack)
    stack = case.stack
    assert content_of(case) == content_of(replace(case, name="q"))
    labels = stack.labels.copy()
    labels[1, 2, 3, 4] = 3
    for other in (
        replace(case, stack=replace(stack, labels=labels)),
        replace(case, stack=replace(stack, images=stack.images + 1)),
        replace(case, stack=replace(stack, phases=("ES", "ED"))),
        replace(case, stack=replace(stack, affines=stack.affines * 2)),
        replace(case, second=labels),
    ):
        assert content_of(other) != content_of(case)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 2, "b": 1})


def test_a_folder_of_something_else_is_kept(small: Path) -> None:
    for name, record, sentence in (
        ("other", '{"protocol": "cine"}', "holds an evaluation by cine, not one by held-out"),
        ("heart", '{"dmcvr": "1"}', "holds a reconstruction"),
    ):
        (small / name).mkdir()
        (small / name / "run.json").write_text(record)
        with pytest.raises(InputError, match=sentence):
            held_out_of(small, output=small / name)
    with pytest.raises(InputError, match="not of an earlier run"):
        held_out_of(small, output=small / "data")


def test_no_one_to_measure(small: Path) -> None:
    with pytest.raises(InputError, match="None of the split's development patients"):
        held_out_of(small, split=None)
    with pytest.raises(InputError, match="None of the split's validation patients"):
        held_out_of(small, patients="validation")


def test_validation_is_for_the_last_look(small: Path) -> None:
    """Unless asked for, the validation patients stay unseen."""
    Split((), NAMES[:1], NAMES[1:]).write(small / "split.json")
    asked = {"methods": ("linear",), "split": small / "split.json"}
    assert list(find_cases(settings("held-out", small / "data", **asked)).load) == [NAMES[0]]
    last = settings("held-out", small / "data", patients="validation", **asked)
    assert list(find_cases(last).load) == [NAMES[1]]


def test_those_trained_on_never_take_part(small: Path) -> None:
    Split(NAMES[:1], (), NAMES[1:]).write(small / "split.json")
    asked: dict[str, Any] = {"data": small / "data", "split": small / "split.json"}
    assert list(find_cases(settings("held-out", patients="unseen", **asked)).load) == [NAMES[1]]
    everyone = settings("held-out", patients="everyone", methods=("shape:labels=manual",), **asked)
    assert list(find_cases(everyone).load) == list(NAMES)


def test_a_twin_of_someone_trained_on_is_left_out(small: Path) -> None:
    """The same scan under another name, with other labels in other files."""
    exam = make_phantom(0, Scan(spacing_mm=14))
    relabelled = replace(exam.stack, labels=np.roll(exam.stack.labels, 1, axis=2))
    write_phantom(replace(exam, stack=relabelled), small / "data" / "twin")
    Split(NAMES[:1], ("twin", NAMES[1]), ()).write(small / "split.json")
    asked: dict[str, Any] = {"data": small / "data", "split": small / "split.json"}
    cases = find_cases(settings("held-out", **asked))
    assert list(cases.load) == [NAMES[1]]
    assert cases.left_out == {"twin": "the same scan as phantom000, which was trained on"}
    Split(NAMES[:1], ("twin",), ()).write(small / "split.json")
    with pytest.raises(InputError, match="twin is the same scan as phantom000"):
        find_cases(settings("held-out", **asked))
    # Among those who are measured, a scan counts once; and its two labellings are compared.
    Split((), ("twin", *NAMES), ()).write(small / "split.json")
    cases = find_cases(settings("held-out", **asked))
    assert list(cases.load) == list(NAMES)
    assert cases.left_out == {"twin": "the same scan as phantom000"}
    pair = find_cases(settings("segmentation", **asked)).load["phantom000 = twin"]()
    assert pair.second is not None
    assert not np.array_equal(pair.second, pair.stack.labels)


def test_a_file_named_after_someone_trained_on_is_refused(tmp_path: Path) -> None:
    exam = make_phantom(0, Scan(spacing_mm=14)).stack
    split = tmp_path / "split.json"
    Split(("patient09",), (), ()).write(split)
    for path, refused in (
        ("a/patient09_4d.nii.gz", True),
        ("b/patient09/cine_4d.nii.gz", True),
        ("c/patient090_4d.nii.gz", False),
        ("d/notpatient09_4d.nii.gz", False),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        write_nifti(tmp_path / path, stack_volume(exam))
        asked = settings("cine", tmp_path / path.split("/")[0], split=split)
        if refused:
            with pytest.raises(InputError, match="is of patient09, who was trained on"):
                find_cases(asked)
        else:
            assert len(find_cases(asked).load) == 1


def test_exams_of_one_name_do_not_mix(tmp_path: Path) -> None:
    exam = make_phantom(0, Scan(spacing_mm=14)).stack
    for path in ("a/x_4d.nii.gz", "a_x_4d.nii.gz"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        write_nifti(tmp_path / path, stack_volume(exam))
    assert sorted(find_cases(settings("cine", tmp_path)).load) == ["a/x_4d", "a_x_4d"]
    write_nifti(tmp_path / "a_x_4d.nii", stack_volume(exam))
    with pytest.raises(InputError, match="named a_x_4d: rename"):
        find_cases(settings("cine", tmp_path))


def test_real_twins(data: Path, tmp_path: Path) -> None:
    """ACDC's patient074 and patient076 are one scan: where the one was trained on, the other is not held out."""
    Split(("patient074",), ("patient006", "patient076"), ()).write(tmp_path / "split.json")
    for name in ("patient006", "patient074", "patient076"):
        (tmp_path / "acdc").mkdir(exist_ok=True)
        (tmp_path / "acdc" / name).symlink_to(data / "acdc" / name)
    cases = find_cases(settings("segmentation", tmp_path / "acdc", split=tmp_path / "split.json"))
    assert list(cases.load) == ["patient006", "patient074 = patient076"]
    assert cases.left_out == {"patient076": "the same scan as patient074, which was trained on"}
