"""Training on several processes (torchrun): each runs the networks on its share of one batch, and all take one step.

A batch is drawn whole in every process, from the seed and the step alone. Outputs are gathered, so that the loss and
what it is normalised by are those of the whole batch; gradients are added up. Batch norm counts the whole batch, and
dropout draws for it. So the weights do not depend on how many processes there are, but for rounding.

In one process, or without torchrun, all of this is nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from dmcvr.errors import InputError
from dmcvr.model.device import choose_device
from dmcvr.model.stack_segmenter import Attend

#: The others wait while the first looks at held-out slices, registers pairs or saves. (A process that dies ends all:
#: torchrun sees to that.)
PATIENCE = timedelta(hours=12)


@contextmanager
def together(device: str) -> Iterator[str]:
    """Join the processes that torchrun has started, and leave them at the end; gives this one's device.

    Raises `InputError` where there is no such device, or something else than torchrun has started them.
    """
    chosen = choose_device(device)
    count = os.environ.get("WORLD_SIZE", "1")
    if not count.isdecimal() or int(count) < 2:
        yield str(chosen)
        return
    if missing := [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise InputError(f"WORLD_SIZE says {count} processes, and {', '.join(missing)} is not set: start by torchrun.")
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield str(chosen)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the one that writes."""
    return rank() == 0


def barrier() -> None:
    """Wait for all."""
    if processes() > 1:
        dist.barrier()


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through it before the others begin."""
    if not is_first():
        barrier()
    yield
    if is_first():
        barrier()


def share(count: int) -> slice:
    """This process' items of a batch of so many: contiguous, in the order of the processes, as equal as can be."""
    start, stop = (count * n // processes() for n in (rank(), rank() + 1))
    return slice(start, stop)


def gathered(part: Tensor) -> Tensor:
    """The whole batch (B, ...) of every process' items (b, ...), in float32.

    For a loss that every process works out from the whole: back goes each one's gradient to its own items.
    """
    return everyones(part)[0]


def everyones(part: Tensor) -> tuple[Tensor, slice]:
    """As `gathered`, and which of the items are this process' own; whole numbers stay what they are."""
    if processes() == 1:
        return part.float() if part.is_floating_point() else part, slice(0, len(part))
    sizes = [torch.zeros(1, dtype=torch.long, device=part.device) for _ in range(processes())]
    dist.all_gather(sizes, torch.tensor([len(part)], device=part.device))
    counts = [int(size) for size in sizes]
    start = sum(counts[: rank()])
    own = slice(start, start + len(part))
    whole: Tensor = _Gather.apply(part.float() if part.is_floating_point() else part, counts, own)  # type: ignore[no-untyped-call]
    return whole, own


def from_first(value: float) -> float:
    """What the first process has: clocks differ."""
    if processes() == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64, device=_device())
    dist.broadcast(told, src=0)
    return float(told)


def in_any(flag: bool) -> bool:
    """Whether it is so in one of them: an interrupt may reach them one by one."""
    if processes() == 1:
        return flag
    told = torch.tensor([int(flag)], device=_device())
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return bool(told)


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Each gradient becomes the sum of all processes': that of the whole batch."""
    if processes() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = _flatten_dense_tensors([gradient.contiguous() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, total in zip(gradients, _unflatten_dense_tensors(flat, gradients), strict=True):
        gradient.copy_(total)


def shared(model: nn.Module) -> nn.Module:
    """The same model, whose batch norm, dropout and attention between slices are those of the whole batch."""
    for part in model.modules():
        part.__class__ = _SHARED.get(type(part), type(part))
    for part in model.modules():  # inside, attention is given the slices of all processes
        if isinstance(part, SharedAttend):
            for inner in part.modules():
                inner.__class__ = nn.Dropout if type(inner) is SharedDropout else type(inner)
    return model


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Mean and variance over the whole batch (`nn.SyncBatchNorm` has no CPU)."""

    def forward(self, x: Tensor) -> Tensor:
        if processes() == 1 or not self.training:
            return super().forward(x)
        items = torch.tensor(float(x.numel() // x.shape[1]), device=x.device)
        dist.all_reduce(items)
        exact = x.float()
        mean = _summed(exact.sum(dim=(0, 2, 3))) / items
        centred = exact - mean[:, None, None]
        variance = _summed(centred.square().sum(dim=(0, 2, 3))) / items
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * items / (items - 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class SharedDropout(nn.Dropout):
    """What is dropped is drawn for the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        return _dropped(super().forward, x, x.shape[1:]) if self.training and self.p > 0 else x


class SharedDropout2d(nn.Dropout2d):
    """The same for whole channels."""

    def forward(self, x: Tensor) -> Tensor:
        return _dropped(super().forward, x, (x.shape[1], 1, 1)) if self.training and self.p > 0 else x


class SharedAttend(Attend):
    """Slices of one stack are in one process; all processes attend among all, so that they drop the same."""

    def among(self, tokens: Tensor, stack: Tensor) -> Tensor:
        every, own = everyones(tokens)
        return super().among(every, everyones(stack)[0])[own]


_SHARED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: SharedBatchNorm2d,
    nn.Dropout: SharedDropout,
    nn.Dropout2d: SharedDropout2d,
    Attend: SharedAttend,
}


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, counts: list[int], own: slice) -> Tensor:
        ctx.own = own
        padded = part.new_zeros(max(counts), *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([found[:count] for found, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.own], None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        whole = part.clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous().clone()
        dist.all_reduce(whole)
        return whole


def _summed(part: Tensor) -> Tensor:
    whole: Tensor = _Sum.apply(part)  # type: ignore[no-untyped-call]
    return whole


def _dropped(drop: Any, x: Tensor, shape: Iterable[int]) -> Tensor:
    every, own = everyones(torch.zeros(len(x), dtype=torch.long, device=x.device))
    ones = x.new_ones(len(every), *shape)
    if ones.ndim == 4:
        ones = ones.contiguous(memory_format=torch.channels_last)
    kept: Tensor = drop(ones)
    return x * kept[own]


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
