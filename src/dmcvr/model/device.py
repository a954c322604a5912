"""Where the networks run, and in which precision."""

from __future__ import annotations

import torch

from dmcvr.errors import InputError


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda`; raises `InputError` where there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device here (or this torch is a CPU build): use --device cpu or auto.")
    if name not in ("cpu", "cuda"):
        raise InputError(f"Unknown device {name!r}: choose auto, cpu or cuda.")
    return torch.device(name)


def fast_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
