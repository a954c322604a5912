"""One training loop for every model: budgeted, logged, killed and resumed without a difference.

A batch is a function of (seed, step) alone, so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dmcvr.errors import InputError

#: Generator to the loss and the numbers to log.
Objective = Callable[[nn.Module, torch.Generator], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how fast.

    Training ends at `max_steps` or after `max_minutes` (over all resumed parts), whichever is first; the
    learning rate warms up, holds, and falls to zero over the last `cooldown` of that.
    """

    max_steps: int = 20_000
    max_minutes: float | None = None
    learning_rate: float = 4e-4
    weight_decay: float = 0.01
    warmup_steps: int = 200
    cooldown: float = 0.4
    ema: float = 0.999
    clip: float = 1.0
    seed: int = 0
    log_every: int = 50
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
    """Trains `model` on `objective` and keeps `checkpoint.pt` and `log.jsonl` in a folder."""

    def __init__(self, model: nn.Module, objective: Objective, config: LoopConfig, out: Path) -> None:
        self.config, self.objective, self.out = config, objective, out
        self.model = model.to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = AveragedModel(self.model, multi_avg_fn=moving_average(config.ema), use_buffers=False)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            trained, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99)
        )
        self.step = 0
        self.seconds = 0.0

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def resume(self) -> None:
        """Go on where the checkpoint stopped; raises `InputError` where there is none."""
        if not self.checkpoint.is_file():
            raise InputError(f"There is no checkpoint in {self.out} to resume from: run without --resume first.")
        state = torch.load(self.checkpoint, map_location=self.config.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the checkpoint whole: a kill leaves the old one or the new one."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(
            {
                "model": self.model.state_dict(),
                "ema": self.ema.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "config": asdict(self.config),
            },
            partial,
        )
        partial.replace(self.checkpoint)

    def run(self, on_look: Callable[[Trainer], None] | None = None) -> nn.Module:
        """Train to the end of the budget; returns the averaged model. An interrupt saves and returns, too."""
        console = Console(stderr=True)
        begun = saved = looked = time.monotonic()
        before = self.seconds
        sums: dict[str, float] = {}
        count = 0
        try:
            while (progress := self._progress()) < 1:
                numbers = self._one_step(progress)
                self.step += 1
                self.seconds = before + time.monotonic() - begun
                count += 1
                for key, value in numbers.items():
                    sums[key] = sums.get(key, 0.0) + value
                if self.step % self.config.log_every == 0:
                    means = {key: value / count for key, value in sums.items()}
                    self._log(console, means, progress)
                    sums, count = {}, 0
                if time.monotonic() - saved > self.config.save_every_s:
                    self.save()
                    saved = time.monotonic()
                if on_look and time.monotonic() - looked > self.config.look_every_s:
                    on_look(self)
                    looked = time.monotonic()
        except KeyboardInterrupt:
            console.print(f"Interrupted at step {self.step}: saved, go on with --resume.")
        self.save()
        return self.averaged()

    def record(self, numbers: dict[str, Any]) -> None:
        """One line of log.jsonl."""
        line = {"step": self.step, "seconds": round(self.seconds, 1), **numbers}
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def averaged(self) -> nn.Module:
        """The exponential moving average of the weights, with the model's own running statistics."""
        model: nn.Module = self.ema.module
        buffers = dict(self.model.named_buffers())
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        return model.eval()

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
        device = torch.device(config.device).type
        with torch.autocast(device, torch.bfloat16, enabled=config.mixed_precision):
            loss, numbers = self.objective(self.model, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], config.clip)
        if not torch.isfinite(norm):
            raise RuntimeError(f"The loss is not finite at step {self.step}: lower --learning-rate.")
        self.optimiser.step()
        self.ema.update_parameters(self.model)
        return numbers | {"gradient_norm": float(norm)}

    def _log(self, console: Console, numbers: dict[str, float], progress: float) -> None:
        self.record(numbers)
        text = "  ".join(f"{key} {value:.4f}" for key, value in numbers.items())
        console.print(f"step {self.step}  {100 * progress:.0f} %  {self.seconds:.0f} s  {text}", highlight=False)
