"""Interrupted and kept work goes on with the inputs it was made from, and with no others."""

from __future__ import annotations

import itertools
import json
import resource
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train.conftest import discs, tiny

from dmcvr.cli.main import main
from dmcvr.errors import InputError, OutputError
from dmcvr.model.checkpoint import load_segmenter
from dmcvr.model.device import fast_precision
from dmcvr.train import inputs, pairs
from dmcvr.train.inputs import TRAINING, code_version, differences
from dmcvr.train.loop import LoopConfig, Objective, Trainer
from dmcvr.train.pairs import PairSet, registered
from dmcvr.train.run import train
from dmcvr.train.split import Split

#: Whether this machine multiplies bfloat16 itself.
NATIVE = fast_precision(torch.device("cpu")) == torch.bfloat16


def rows(out: Path) -> list[dict[str, object]]:
    """The log without its clock."""
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def test_what_differs_in_words() -> None:
    before = {"batch": 16, "data_sha256": "a", "seed": 0, "code": "1"}
    assert differences(before, before) == ""
    assert differences(before, before | {"data_sha256": "b"}) == "data"
    assert differences(before, before | {"batch": 8, "code": "2"}) == "batch (16 before, 8 now) and code"
    assert (
        differences({}, {"seed": 1, "batch": 2, "code": ""})
        == "seed (None before, 1 now), batch (None before, 2 now) and code"
    )


def test_the_code_s_version_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = code_version(TRAINING)
    assert own == code_version(TRAINING) != code_version(("errors.py",))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "net.py").write_text("x = 1\n")
    monkeypatch.setattr(inputs, "PACKAGE", tmp_path)
    before = code_version(TRAINING)
    (tmp_path / "other.py").write_text("y = 1\n")
    assert code_version(TRAINING) == before
    (tmp_path / "model" / "net.py").write_text("x = 2\n")
    assert code_version(TRAINING) != before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 3}, r"batch \(2 before, 3 now\)"),
        ({"seed": 1}, r"seed \(0 before, 1 now\)"),
        ({"learning_rate": 1e-4}, r"learning rate \(0.001 before, 0.0001 now\)"),
        ({"preset": "compact"}, r"preset \(tiny before, compact now\)"),
        ({"precision": "float32" if NATIVE else "bfloat16"}, "mixed precision"),
        ({"split": "other.json"}, "data and split"),
        ({"data": "other.npz"}, "data:"),
    ],
)
def test_a_training_goes_on_with_the_same_inputs_alone(
    run: Path, packed: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    Split(("p",), ("r",), ("q",)).write(tmp_path / "other.json")
    changed = discs()
    changed.images[0, 0, 0] += 1
    changed.save(tmp_path / "other.npz")
    changes = {key: tmp_path / str(value) if key in ("split", "data") else value for key, value in changes.items()}
    with pytest.raises(InputError, match=f"was made with other {said}.*choose another folder"):
        train("segmenter", tiny(packed, run, resume=True, **changes))


@pytest.fixture(scope="module")
def run(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a few steps that has ended."""
    out = tmp_path_factory.mktemp("run")
    train("segmenter", tiny(packed, out))
    return out


@pytest.mark.parametrize(
    ("native", "asked", "used"), [(True, "auto", True), (False, "auto", False), (False, "bfloat16", True)]
)
def test_bfloat16_unless_told_otherwise_only_where_it_is_native(
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    native: bool,
    asked: str,
    used: bool,
) -> None:
    """Emulated, it is ten times as slow as float32; at looks too."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    seen: list[bool] = []
    autocast = Trainer.autocast
    monkeypatch.setattr(Trainer, "autocast", lambda self: (seen.append(self.config.mixed_precision), autocast(self))[1])
    train("deeprecon", tiny(packed, tmp_path, precision=asked, max_steps=1))
    assert set(seen) == {used}
    assert len(seen) == 2  # a step, and the look at the end


def test_another_stage_does_not_go_on_in_its_folder(run: Path, packed: Path) -> None:
    with pytest.raises(InputError, match="stage .segmenter before, morphology now. and learning rate"):
        train("morphology", tiny(packed, run, resume=True))


def test_other_code_does_not_go_on(run: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmcvr.train.run.code_version", lambda sources: "0.0-other")
    with pytest.raises(InputError, match="was made with other code: "):
        train("segmenter", tiny(packed, run, resume=True))


def test_a_spent_budget_says_so_and_repeats_nothing(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = train("segmenter", tiny(packed, tmp_path))
    log, weights = (tmp_path / "log.jsonl").read_bytes(), path.read_bytes()
    train("segmenter", tiny(packed, tmp_path, resume=True))
    assert "The budget is spent (step 4)" in capsys.readouterr().err
    assert (tmp_path / "log.jsonl").read_bytes() == log
    assert path.read_bytes() == weights
    train("segmenter", tiny(packed, tmp_path, resume=True, max_steps=5))  # the budget may grow
    assert load_segmenter(path)[1].training["steps"] == 5


def test_a_checkpoint_that_says_nothing_is_refused(packed: Path, tmp_path: Path) -> None:
    for content in ({"step": 3}, [1, 2]):
        torch.save(content, tmp_path / "checkpoint.pt")
        with pytest.raises(InputError, match="is not a checkpoint of this version"):
            train("segmenter", tiny(packed, tmp_path, resume=True))
    (tmp_path / "checkpoint.pt").write_bytes(b"cut short")
    with pytest.raises(InputError, match="is not a checkpoint of this version"):
        train("segmenter", tiny(packed, tmp_path, resume=True))


class Killed(Exception):
    """As by kill -9."""


def linear(out: Path, steps: int = 12, save_every_s: float = 0.0, at: dict[int, object] | None = None) -> Trainer:
    """A small model that fits noise; at some steps, something is called before."""
    torch.manual_seed(0)
    out.mkdir(exist_ok=True)
    made: list[Trainer] = []

    def objective(model: torch.nn.Module, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        if at and made[0].step in at:
            at[made[0].step]()  # type: ignore[operator]
        x = torch.randn(4, 3, 1, 1, generator=generator)
        loss = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        numbers = {"loss": loss.item()} | ({"seldom": loss.item()} if made[0].step % 2 else {})
        return loss, numbers

    config = LoopConfig(max_steps=steps, warmup_steps=2, log_every=3, save_every_s=save_every_s)
    fits: Objective = objective
    made.append(Trainer(torch.nn.Conv2d(3, 1, 1), fits, config, out))
    return made[0]


def kill() -> None:
    raise Killed


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("kill_at", [2, 6, 7, 11])
def test_the_log_of_a_killed_training_is_that_of_one_never_killed(tmp_path: Path, kill_at: int) -> None:
    """Also where the log went on after the last checkpoint, and the kill cut a line short."""
    whole = linear(tmp_path / "whole").run()
    with pytest.raises(Killed):
        linear(tmp_path / "killed", at={kill_at: kill}).run()
    with (tmp_path / "killed" / "log.jsonl").open("a") as log:
        log.write('{"step": 12, "loss": 1.0}\n{"step": 15, "lo')
    second = linear(tmp_path / "killed")
    second.resume()
    assert same(second.run(), whole)
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


def test_a_number_is_the_mean_of_the_steps_that_have_it(tmp_path: Path) -> None:
    seen: list[float] = []
    trainer = linear(tmp_path, steps=3)
    objective = trainer.objective

    def noted(model: torch.nn.Module, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        loss, numbers = objective(model, generator)
        seen.append(numbers["loss"])
        return loss, numbers

    trainer.objective = noted
    trainer.run()
    (row,) = rows(tmp_path)
    assert row["loss"] == pytest.approx(np.mean(seen))
    assert row["seldom"] == seen[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_step_saves_and_tells_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    whole = linear(tmp_path / "whole").run()
    stopped = linear(tmp_path / "stopped", save_every_s=1000, at={5: lambda: signal.raise_signal(number)})
    with pytest.raises(KeyboardInterrupt, match=r"interrupted at step 6: .*checkpoint.pt is saved.*--resume"):
        stopped.run()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    second = linear(tmp_path / "stopped")
    second.resume()
    assert second.step == 6
    assert same(second.run(), whole)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def test_the_first_checkpoint_comes_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 15 s of training, as long as a step takes less than 5 s; later ones are rarer."""
    clock = itertools.count(step=1.0)
    monkeypatch.setattr("dmcvr.train.loop.time.monotonic", lambda: next(clock))
    save_every_s = LoopConfig().save_every_s
    begun = next(clock)
    trainer = linear(tmp_path, steps=80, save_every_s=save_every_s)
    saves: list[float] = []
    monkeypatch.setattr(trainer, "save", lambda: saves.append(next(clock) - begun))
    trainer.run()
    assert saves[0] <= 15
    assert saves[1] - saves[0] >= save_every_s


def test_an_interrupted_command_says_so_and_claims_no_weights(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_step = Trainer._one_step

    def interrupted(trainer: Trainer, progress: float) -> dict[str, float]:
        if trainer.step == 1:
            signal.raise_signal(signal.SIGTERM)
        return one_step(trainer, progress)

    monkeypatch.setattr(Trainer, "_one_step", interrupted)
    command = ["train", "segmenter", "--data", str(packed), "--out", str(tmp_path), "--preset", "tiny"]
    command += ["--max-steps", "4", "--batch", "2", "--device", "cpu", "--split", str(packed.parent / "split.json")]
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as stop:
            main(command)
        said = capsys.readouterr()
        assert stop.value.code == 128 + signal.SIGTERM
        assert "Weights written" not in said.out
        assert "interrupted at step 2" in said.err
        assert "--resume" in said.err
        assert not (tmp_path / "segmenter.safetensors").exists()
        monkeypatch.undo()
        main([*command, "--resume"])
        assert "Weights written" in capsys.readouterr().out
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_checkpoint_on_a_full_disk(tmp_path: Path) -> None:
    """What a full disk leaves: the earlier checkpoint, and a sentence. A limit of the system stands for the disk."""
    trainer = linear(tmp_path)
    trainer.save()
    before = trainer.checkpoint.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match="checkpoint of step 0 cannot be written .*: make room, .*--resume"):
            trainer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert trainer.checkpoint.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.npz"
    registered(discs().of(("p",)), path)
    return path


def test_pairs_of_the_same_slices_are_used_again(pairs_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PairSet, "of", lambda data: pytest.fail("registered again"))
    found = registered(discs().of(("p",)), pairs_file)
    assert found.inside.any()


def test_pairs_of_other_slices_or_code_are_refused(pairs_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="registered with other slices than this training has: remove the file"):
        registered(discs().of(("q",)), pairs_file)
    other = discs().of(("p",))
    other.labels[0, 0, 0] = 1
    with pytest.raises(InputError, match="registered with other slices"):
        registered(other, pairs_file)
    moved = discs().of(("p",))
    with pytest.raises(InputError, match="registered with other slices"):
        registered(replace(moved, positions=moved.positions * 1.1), pairs_file)
    monkeypatch.setattr(pairs, "registration_version", lambda: "0.0-other SimpleITK 9")
    with pytest.raises(InputError, match="registered with other code"):
        registered(discs().of(("p",)), pairs_file)
