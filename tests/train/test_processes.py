"""Several processes: the same shares, the same draws, the same steps as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import steps
from torch import Tensor, nn
from train.conftest import tiny

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.model.presets import TINY
from dmcvr.model.stack_segmenter import Stacks, StackSegmenter
from dmcvr.train import processes
from dmcvr.train.run import train
from dmcvr.train.stages import STAGES

HERE = Path(__file__).parent.parent


def torchrun(count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program in several processes of one thread each."""
    path = os.pathsep.join([str(HERE), *sys.path])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count, *arguments]
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize(("count", "of"), [(7, 2), (24, 5), (3, 3), (2, 3)])
def test_shares_are_whole_and_nearly_equal(count: int, of: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "processes", lambda: of)
    found = []
    for rank in range(of):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        found.append(list(range(count))[processes.share(count)])
    assert [item for part in found for item in part] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_in_one_process_nothing_changes() -> None:
    class Plain(nn.Sequential):
        pass

    torch.manual_seed(0)
    layers = nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.4), nn.Dropout2d(0.4)
    x = torch.randn(5, 2, 8, 8).contiguous(memory_format=torch.channels_last)
    results: list[tuple[Tensor, ...]] = []
    for change in (lambda model: model, processes.shared):
        model = Plain(*layers).train()
        model[1].reset_running_stats()
        torch.manual_seed(3)
        results.append((change(model)(x), model[1].running_var.clone()))
    for before, after in zip(*results, strict=True):
        assert torch.equal(before, after)
    assert processes.everyones(x)[1] == slice(0, 5)
    assert (processes.is_first(), processes.in_any(True), processes.from_first(2.5)) == (True, True, 2.5)


def test_a_shared_model_has_the_same_weights_by_name() -> None:
    plain = StackSegmenter(TINY.stack_segmenter)
    names = list(plain.state_dict())
    assert list(processes.shared(plain).state_dict()) == names
    kinds = {type(part).__name__ for part in plain.modules()}
    assert {"SharedBatchNorm2d", "SharedDropout2d", "SharedAttend"} < kinds
    assert {type(part) for part in plain.attend.modules() if isinstance(part, nn.Dropout)} == {nn.Dropout}
    places = Stacks.of(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0.0, 8, 0, 8, 16]))
    x, plain = torch.randn(5, 1, 64, 64), plain.eval()
    apart = plain(x[2:], Stacks.of(places.stack[2:], places.positions_mm[2:]))[0]
    torch.testing.assert_close(plain(x, places)[0][2:], apart, atol=1e-5, rtol=1e-4)  # stacks do not hear one another


def test_too_small_a_batch_is_refused(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmcvr.train.run.processes", lambda: 3)
    with pytest.raises(InputError, match="batch of 2 is too small for 3 processes, expected 3 or more"):
        train("morphology", tiny(packed, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_processes_that_cannot_meet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match="4 processes, and RANK, LOCAL_RANK, MASTER_ADDR"), processes.together("cpu"):
        pass


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """Every stage, with batches that do not part evenly, dropout and batch norm.

    In float64 the gradients of both agree to 1e-12; in float32, batch norm and the maxima of small stacks make 1e-2 of
    what is rounded, so that losses, the gradient's length, and what was learnt as a whole are compared.
    """
    names = tuple(STAGES)
    done = torchrun(2, HERE / "helpers" / "steps.py", tmp_path / "two", *names)
    assert done.returncode == 0, done.stderr
    for name in names:
        alone, two = steps.learn(tmp_path / "one", name), torch.load(tmp_path / "two" / f"{name}.pt")
        assert float((two - alone).norm() / alone.norm()) < 0.1, name
        logs = [log_of(tmp_path / n / name) for n in ("one", "two")]
        assert len(logs[0]) == len(logs[1]) == steps.STEPS
        for one, other in zip(*logs, strict=True):
            numbers = {key: one[key] for key in one if key != "seconds"}
            assert {key: other[key] for key in numbers} == pytest.approx(numbers, rel=1e-2), name
        losses = {key: value for key, value in logs[0][0].items() if key.startswith("loss")}
        assert losses, name
        assert {key: logs[1][0][key] for key in losses} == pytest.approx(losses, rel=2e-5), name


@pytest.mark.slow
def test_another_number_goes_on_and_one_writes(packed: Path, tmp_path: Path) -> None:
    given = ("--data", packed, "--preset", "tiny", "--split", packed.parent / "split.json", "--batch", "4")
    given = (*given, "--device", "cpu", "--precision", "float32")
    done = torchrun(2, "-m", "dmcvr", "train", "morphology", *given, "--out", tmp_path / "a", "--max-steps", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Weights written") == 1
    main(["train", "morphology", *map(str, given), "--out", str(tmp_path / "b"), "--max-steps", "2"])
    for name in ("a", "b"):  # each goes on with the number that the other began with
        more = ("train", "morphology", *given, "--out", tmp_path / name, "--max-steps", 4, "--resume")
        if name == "b":
            assert torchrun(2, "-m", "dmcvr", *more).returncode == 0
        else:
            main([str(part) for part in more])
    found = [torch.load(tmp_path / name / "checkpoint.pt")["ema"] for name in ("a", "b")]
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-2, atol=5e-4)
    rows = [log_of(tmp_path / name) for name in ("a", "b")]
    assert [row["step"] for row in rows[0] if row.get("held_out")] == [2, 4]
    assert [row["step"] for row in rows[1] if row.get("held_out")] == [2, 4]
