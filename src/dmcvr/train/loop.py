"""One training loop for every model: budgeted, logged, killed and resumed without a difference.

A batch is a function of (seed, step) alone, so a resumed run sees what an uninterrupted one would have seen. A
checkpoint carries what it was made from, and goes on with that alone. Several processes share each batch (see
`dmcvr.train.processes`); the first of them writes.
"""

from __future__ import annotations

import io
import json
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dmcvr.errors import InputError, Interrupted, OutputError
from dmcvr.stages import Stages
from dmcvr.train.inputs import differences
from dmcvr.train.processes import add_gradients, from_first, in_any, is_first, processes, shared

#: Generator to the loss and the numbers to log.
Objective = Callable[[nn.Module, torch.Generator], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how fast.

    Training ends at `max_steps` or after `max_minutes` (over all resumed parts), whichever is first; the
    learning rate warms up, holds, and falls to zero over the last `cooldown` of that. Minutes are told by the `clock`
    on the wall, or by what this process has used of all cores.
    """

    max_steps: int = 20_000
    max_minutes: float | None = None
    clock: Literal["wall", "cpu"] = "wall"
    learning_rate: float = 4e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_steps: int = 200
    cooldown: float = 0.4
    ema: float = 0.999
    clip: float = 1.0
    seed: int = 0
    log_every: int = 50
    first_save_s: float = 10.0
    save_every_s: float = 120.0
    look_every_s: float = 600.0
    mixed_precision: bool = True
    device: str = "cpu"


def moving_average(decay: float) -> Callable[..., None]:
    """Exponential, but forgetting faster at first: the start of a short training must not stay in the average."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(list(averaged), list(current), weight)

    return update


class Trainer:
    """Trains `model` on `objective` and keeps `checkpoint.pt` and `log.jsonl` in a folder.

    `inputs` are what decides the result but for the budget (see `dmcvr.train.inputs`): a checkpoint of others is
    refused. `stages` are told how far it is, and its last losses.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        config: LoopConfig,
        out: Path,
        inputs: Mapping[str, Any] | None = None,
        stages: Stages | None = None,
    ) -> None:
        self.stages = stages or Stages()
        self.config, self.objective, self.out, self.inputs = config, objective, out, dict(inputs or {})
        self.model = shared(model).to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = AveragedModel(self.model, multi_avg_fn=moving_average(config.ema), use_buffers=False)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            trained, lr=config.learning_rate, weight_decay=config.weight_decay, betas=config.betas
        )
        self.step = 0
        self.seconds = 0.0
        self.held_out_step = -1  # of the last look at the held-out slices
        self._told = ""  # the first number of the log's last line
        self._sums: dict[str, tuple[float, int]] = {}  # (sum, steps) of each number since the last line of the log

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    @property
    def log(self) -> Path:
        return self.out / "log.jsonl"

    @property
    def spent(self) -> bool:
        """Whether an earlier part has used the whole budget."""
        return self.step > 0 and self._progress() >= 1

    def resume(self) -> None:
        """Go on where the checkpoint stopped; raises `InputError` where there is none, or one made from other inputs.

        What the log says of later steps is taken back: they are gone over again.
        """
        if not self.checkpoint.is_file():
            raise InputError(f"There is no checkpoint in {self.out} to resume from: run without --resume first.")
        try:
            state = torch.load(self.checkpoint, map_location=self.config.device, weights_only=True)
            before = state["inputs"]
        except (OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise InputError(
                f"{self.checkpoint} is not a checkpoint of this version: choose another folder (-o) and start anew."
            ) from error
        if changed := differences(before, self.inputs):
            raise InputError(
                f"The checkpoint in {self.out} was made with other {changed}: give the same again, or choose another "
                "folder (-o) and start anew."
            )
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self._sums = state["step"], state["seconds"], state["sums"]
        if not is_first():
            return
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.is_file() else []
        rows = [row for row in map(_row, lines) if row is not None and row["step"] <= self.step]
        self.log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.held_out_step = max((row["step"] for row in rows if row.get("held_out")), default=-1)

    def save(self) -> None:
        """Write the checkpoint whole: a kill leaves the old one or the new one."""
        partial = self.checkpoint.with_suffix(".partial")
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "sums": self._sums,
            "inputs": self.inputs,
        }
        packed = io.BytesIO()  # torch says of a full disk what it says of its own faults
        torch.save(state, packed)
        try:
            partial.write_bytes(packed.getbuffer())
            partial.replace(self.checkpoint)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(
                f"The checkpoint of step {self.step} cannot be written to {self.out}: make room, and give the same "
                "command again, with --resume where an earlier checkpoint is there."
            ) from error

    def run(self, on_look: Callable[[Trainer], None] | None = None) -> nn.Module:
        """Train to the end of the budget; returns the averaged model.

        An interrupt (Ctrl-C, SIGTERM) lets the step end, saves, and raises `Interrupted` with a sentence that says how
        to go on.
        """
        if self.spent:
            return self.averaged()
        now = time.monotonic if self.config.clock == "wall" else time.process_time
        before, begun, looked = self.seconds, now(), now()
        due = time.monotonic() + min(self.config.first_save_s, self.config.save_every_s)
        with _noted_interrupts() as interrupts, self.stages("train", at=self._progress()) as advance:
            stopped = False
            while (progress := from_first(self._progress())) < 1 and not stopped:
                for key, value in self._one_step(progress).items():
                    total, steps = self._sums.get(key, (0.0, 0))
                    self._sums[key] = total + value, steps + 1
                self.step += 1
                self.seconds = before + now() - begun
                stopped = in_any(bool(interrupts))
                if not is_first():
                    continue
                if self.step % self.config.log_every == 0:
                    self._write_log()
                advance(at=min(1.0, self._progress()), note=f"step {self.step}{self._told}")
                if time.monotonic() >= due:
                    self.save()
                    due = time.monotonic() + self.config.save_every_s
                if on_look and now() - looked > self.config.look_every_s and self._progress() < 1:
                    on_look(self)
                    looked = now()
            if is_first():
                self.save()
        if stopped:
            raise Interrupted(
                f"interrupted at step {self.step}: {self.checkpoint} is saved, no weights are written; go on with the "
                "same command and --resume.",
                interrupts[0] if interrupts else signal.SIGINT,
            )
        return self.averaged()

    def record(self, numbers: dict[str, Any]) -> None:
        """One line of log.jsonl."""
        line = {"step": self.step, "seconds": round(self.seconds, 1), **numbers}
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def record_held_out(self, numbers: dict[str, float]) -> None:
        """A line on slices that are not trained on."""
        self.record({"held_out": True, **numbers})
        self.held_out_step = self.step

    def averaged(self) -> nn.Module:
        """The exponential moving average of the weights, with the model's own running statistics."""
        model: nn.Module = self.ema.module
        buffers = dict(self.model.named_buffers())
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        return model.eval()

    def autocast(self) -> torch.autocast:
        """The networks' precision, in training and at looks alike."""
        device = torch.device(self.config.device).type
        return torch.autocast(device, torch.bfloat16, enabled=self.config.mixed_precision)

    def _progress(self) -> float:
        budget = self.config.max_minutes
        by_time = self.seconds / (60 * budget) if budget else 0.0
        return max(self.step / self.config.max_steps, by_time)

    def _one_step(self, progress: float) -> dict[str, float]:
        config = self.config
        rate = min(1.0, (self.step + 1) / config.warmup_steps, (1 - progress) / config.cooldown)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * rate
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        torch.manual_seed(config.seed * 1_000_003 + self.step)  # dropout
        self.model.train()
        with self.autocast():
            loss, numbers = self.objective(self.model, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        add_gradients(trained)
        norm = nn.utils.clip_grad_norm_(trained, config.clip)
        if not torch.isfinite(norm):
            raise RuntimeError(f"The loss is not finite at step {self.step}: lower --learning-rate.")
        self.optimiser.step()
        self.ema.update_parameters(self.model)
        return numbers | {"gradient_norm": float(norm)}

    def _write_log(self) -> None:
        """The mean of each number since the last line, over the steps that have it."""
        means = {key: total / steps for key, (total, steps) in self._sums.items()}
        self._sums = {}
        self.record(means)
        self._told = "".join(f", {key} {value:.4f}" for key, value in list(means.items())[:1])


def _row(line: str) -> dict[str, Any] | None:
    """A line of the log; None for one that a kill cut short."""
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return row


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """The number of a signal is noted, not raised: half a step would be saved otherwise. A second one is raised, unless
    processes share the work: torchrun hands on the one that came to all of them.

    Only a program's main thread is told of interrupts; in another, nothing changes.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, _: object) -> None:
        noted.append(number)
        if processes() == 1:
            signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
