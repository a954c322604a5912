"""Costs by hand, and the whole benchmark as a slow test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dmcvr.cli.main import main
from dmcvr.evaluate.benchmark import Call, _call, _ceiling, _counted, _inputs, benchmark, table
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.presets import ALIGNED, TINY

CPU = torch.device("cpu")


def test_a_call_s_cost() -> None:
    model = Autoencoder(TINY).denoiser.eval()
    one, four = (_call(model, TINY, CPU, torch.float32, batch) for batch in (1, 4))
    assert one.gflop_a_slice == pytest.approx(four.gflop_a_slice)
    assert 0 < one.gflop_a_slice < 0.1
    assert one.seconds_a_slice > 0
    assert Call(3.0, 0.5).gflop_per_s == 6


def test_inputs_fit_a_model_with_surroundings() -> None:
    model = Autoencoder(ALIGNED).denoiser.eval()
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


def test_nowhere_to_write(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["benchmark", "-o", str(tmp_path / "no" / "b.json")])
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_everything_is_measured() -> None:
    found = benchmark(device="cpu")
    assert json.loads(json.dumps(found))["denoiser_calls"] > 0
    assert found["published"]["paper_preset_ratio"] > found["published"]["same_weights_ratio"] > 1
    assert "whole process" in table(found)
