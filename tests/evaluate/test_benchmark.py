"""Costs by hand, and the whole benchmark as a slow test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dmcvr.cli.main import main
from dmcvr.evaluate import history
from dmcvr.evaluate.benchmark import Call, _call, _ceiling, _counted, _inputs, benchmark
from dmcvr.evaluate.benchmark_table import table
from dmcvr.evaluate.process import timed_process
from dmcvr.model.aligned import new_autoencoder
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.presets import ALIGNED, TINY
from dmcvr.phantom import Scan, make_phantom

CPU = torch.device("cpu")

#: What a whole process took.
PROCESS = {
    "seconds": 1.0,
    "cpu_seconds": 1.8,
    "networks_seconds": 0.7,
    "rest_seconds": 0.3,
    "peak_mib": 500.0,
    "phases": 1,
}


def test_a_call_s_cost() -> None:
    model = Autoencoder(TINY).denoiser.eval()
    one, four = (_call(model, TINY, CPU, torch.float32, batch) for batch in (1, 4))
    assert one.gflop_a_slice == pytest.approx(four.gflop_a_slice)
    assert 0 < one.gflop_a_slice < 0.1
    assert one.seconds_a_slice > 0
    assert one.timed >= 2
    assert Call(3.0, 0.5, 2).gflop_per_s == 6


def test_inputs_fit_a_model_with_surroundings() -> None:
    model = new_autoencoder(ALIGNED).denoiser.eval()
    with torch.no_grad():
        assert model(*_inputs(ALIGNED, 1, CPU)).shape == (1, 1, 128, 128)


def test_the_ceiling_is_a_speed() -> None:
    assert 1 < _ceiling(CPU, torch.float32) < 1e6


def test_slices_are_counted() -> None:
    layer = nn.Linear(2, 2)
    with _counted(layer) as count:
        layer(torch.zeros(3, 2))
        layer(torch.zeros(2, 2))
    layer(torch.zeros(9, 2))
    assert count == [5]


@pytest.mark.parametrize("words", [("--cine", "1"), ("--cine", "-2"), ("--repeats", "0")])
def test_what_cannot_be_timed(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["benchmark", *words])
    assert "--cine of 2 or more phases (or 0), and --repeats of 1 or more" in capsys.readouterr().err


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    exam = make_phantom(0, Scan(size_px=64)).stack.select_phases([0])
    with pytest.raises(RuntimeError, match="There are no weights at nowhere"):
        timed_process(exam, "nowhere", "cpu")


def test_nowhere_to_write(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="4"):
        main(["benchmark", "-o", str(tmp_path / "no" / "b.json")])
    assert "There is no folder" in capsys.readouterr().err


def test_the_published_time_is_called_multiplied_out() -> None:
    """What was timed and what was multiplied stands beside the ratio, in each precision."""
    part = {"network": "preset paper", "calls_timed": 2, "seconds_a_call": 4.0, "seconds": 34000.0}
    found = {
        "machine": {"device": "cpu", "threads": 2, "precision": "bfloat16"},
        "exam": {"acquired_slices": 11, "drawn_slices": 74},
        "stages_seconds": {},
        "whole_process": PROCESS,
        "cine": PROCESS | {"phases": 20, "seconds": 61.25},
        "denoiser_calls": 3,
        "how_sure": {"cpu_seconds": 12.0, "cpu_seconds_without": 10.0, "share_more": 0.2},
        "denoiser": {"gflop_a_slice": 1.0, "gflop_per_s": 1.0, "share_of_ceiling": 0.5},
        **{key: {} for key in ("seconds_a_slice_by_batch", "seconds_by_steps", "seconds_by_slices")},
        "published_calls": 8500,
        "published": [
            {**part, "precision": precision, "ours_seconds": ours, "ratio": 34000 / ours}
            for precision, ours in (("bfloat16", 8.5), ("float32", 17.0))
        ],
    }
    shown = table(found)
    assert (
        "bfloat16: 8500 calls, multiplied out from the fastest of 2 timed | 9.4 h (4.000 s a call), 4000 times" in shown
    )
    assert "12.0 s against 10.0 s (+20 %)" in shown
    assert "2000 times ours in the same precision (17.0 s)" in shown
    assert "included | 1.0 s (networks 0.7 s, rest 0.3 s; 1.8 s of all cores), 500 MiB |" in shown
    assert "a cine of 20 phases | 61.2 s" in shown


@pytest.mark.slow
def test_everything_is_measured() -> None:
    found = benchmark(device="cpu", cine=3)
    assert found == json.loads(json.dumps(found))
    assert found["denoiser_calls"] > 0
    ratios = {(part["network"], part["precision"]): part["ratio"] for part in found["published"]}
    assert len(ratios) == len({found["machine"]["precision"], "float32"}) * 2
    assert ratios["preset paper", "float32"] > ratios["these weights", "float32"] > 1
    assert found["how_sure"]["cpu_seconds_without"] > 0
    for name in ("whole_process", "cine"):
        process = found[name]
        assert process["seconds"] == pytest.approx(process["networks_seconds"] + process["rest_seconds"])
        assert 0 < process["networks_seconds"] < process["seconds"]
    assert found["cine"]["phases"] == 3
    assert "whole process" in table(found)
    assert history.slower([history.entry(found)], history.entry(found)) == []
