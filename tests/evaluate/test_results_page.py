"""The page of results is what its template and the committed summaries give."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import tyro

from dmcvr.cli.main import Command
from dmcvr.evaluate.metric import DICE, IMAGE
from dmcvr.evaluate.protocols import ALIGNED, BARS, PROTOCOLS
from dmcvr.evaluate.tables import Table
from dmcvr.exam.stack import LABEL_NAMES

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("results_script", str(ROOT / "scripts" / "results"))
    spec = importlib.util.spec_from_loader("results_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_printed_not_written(script: ModuleType) -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page == script.page(), "run scripts/results"


def test_every_command_is_one(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each is understood and its settings have a meaning."""
    monkeypatch.chdir(tmp_path)
    for folder in ("acdc", "mnms2", "sunnybrook", "sunnybrook_lv"):
        (tmp_path / "DATA" / folder).mkdir(parents=True)
    for name, arguments in script.RUNS.items():
        if arguments.startswith("scripts/"):
            assert (ROOT / arguments.split()[0]).is_file()
            continue
        command: Any = tyro.cli(Command, args=shlex.split(arguments))
        if name != "benchmark":
            command.check()
    assert script.ALIGNED == ALIGNED


def test_numbers_reach_the_page(script: ModuleType, tmp_path: Path) -> None:
    """A summary's numbers stand in the tables and in the sentences; what there is not is said."""
    methods = PROTOCOLS["held-out"].methods
    tasks = ("5 mm stacks", "10 mm stacks")
    keys = [*(metric.key for metric in (*IMAGE, *DICE)), *(f"hd95_{name}_mm" for name in LABEL_NAMES.values())]

    def lines(more: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"task": t, **more, "method": m, "patients": 3, **dict.fromkeys(keys, 0.25)}
                for t in tasks
                for m in methods
            ]
        )

    tables = [
        Table("Means over patients", "means", lines({"shift_mm": 1.0})),
        Table("After the best in-plane translation of at most 5 mm", "means", lines({})),
        Table("By level", "means", lines({"level": "mid", "shift_mm": 1.0})),
    ]
    numbers = {"mean": 1.0, "its": 0.5, "which": "x", "difference": 0.125, "low": 0.0625, "high": 0.25, "patients": 5}
    for bar, metrics in (*BARS, ("the best plain method", DICE)):
        found = [
            {"task": t, "method": m, "metric": metric.key, **numbers}
            for t in tasks
            for m in methods
            for metric in metrics
        ]
        tables.append(Table(f"Against {bar}", "differences", pd.DataFrame(found)))
    shutil.copy(ROOT / "docs" / "results.md.j2", tmp_path)
    (tmp_path / "results").mkdir()
    summary = {"run": {"patients": ["a", "b", "c"]}, "tables": [table.record() for table in tables]}
    (tmp_path / "results" / "held-out.json").write_text(json.dumps(summary))
    page = script.page(tmp_path)
    assert "| expected slice: SSIM | **+0.125 [+0.062, +0.250]** | **+0.125 [+0.062, +0.250]** |" in page
    assert "nearer to the truth by\n**+0.12 [+0.06, +0.25]** dB in 5 mm stacks" in page
    assert "| 10 mm stacks | mid | published | 3 | 0.25 |" in page
    assert "0.250 of the true energy" in page
    assert "Not measured yet" in page  # the other protocols
    assert "translation mm" not in page


def test_an_interrupted_loop_goes_on(script: ModuleType, tmp_path: Path) -> None:
    """What this code has finished is not run again; what lacks its data is passed over."""
    (tmp_path / "summary.json").write_text(json.dumps({"run": {"code_sha256": script.code_sha256()}}))
    assert script._finished(tmp_path / "summary.json")
    (tmp_path / "summary.json").write_text(json.dumps({"run": {"code_sha256": "older"}}))
    assert not script._finished(tmp_path / "summary.json")
    assert not script._finished(tmp_path / "nowhere.json")
    words = ["evaluate", f"published:weights={tmp_path}/w.safetensors:as=x,linear"]
    assert script._missing(words, tmp_path, tmp_path) == f"{tmp_path}/w.safetensors"
    (tmp_path / "w.safetensors").touch()
    assert script._missing(words, tmp_path, tmp_path) is None
