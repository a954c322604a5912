"""Where the networks run, and in which precision."""

from __future__ import annotations

import torch

from dmcvr.errors import InputError


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA, else the CPU), `cpu`, `cuda` or `mps` (Apple's); raises `InputError` where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("There is no Apple GPU here that torch can use: use --device cpu or auto.")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here (or this torch is a CPU build): use --device cpu or auto.")
    if name not in ("cpu", "cuda", "mps"):
        raise InputError(f"Unknown device {name!r}: choose auto, cpu, cuda or mps.")
    return torch.device(name)


def fast_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "mps":
        return torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def finest(device: torch.device) -> torch.dtype:
    """The most exact numbers that a device has: float64, but for Apple's, which knows none."""
    return torch.float32 if device.type == "mps" else torch.float64


def finish(device: torch.device) -> None:
    """Wait until a device has done what it was given: before it is timed."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
