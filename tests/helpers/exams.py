"""Small exams and slices of known content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dmcvr.exam.stack import SliceStack

#: The same exam as other files might store it.
WAYS: list[dict[str, Any]] = [
    {"flip_i": True, "flip_j": False, "swap": False, "order": None},
    {"flip_i": False, "flip_j": True, "swap": True, "order": None},
    {"flip_i": True, "flip_j": True, "swap": True, "order": [5, 2, 8, 1, 0, 3, 7, 4, 6]},
]


def make_stack(count: int = 5, *, size: int = 32, spacing: float = 8.0, **changes: object) -> SliceStack:
    """Slices of noise, along the coordinate axes, from 0 mm on."""
    rng = np.random.default_rng(0)
    affines = np.repeat(np.diag([1.5, 1.5, spacing, 1.0])[None], count, axis=0)
    affines[:, 2, 3] = np.arange(count) * spacing
    values: dict[str, object] = {
        "images": rng.random((1, count, size, size), dtype=np.float32),
        "affines": affines,
        "thickness_mm": 6.0,
        "phases": ("ED",),
    }
    return SliceStack(**(values | changes))  # type: ignore[arg-type]


def stored(stack: SliceStack, *, flip_i: bool, flip_j: bool, swap: bool, order: list[int] | None) -> SliceStack:
    """The same exam, pixels and affines turned together, its labels unknown."""
    images, affines = stack.images, stack.affines.copy()
    for axis, flip in ((0, flip_i), (1, flip_j)):
        if flip:
            images = np.flip(images, axis=axis + 2)
            affines[:, :3, 3] += affines[:, :3, axis] * (images.shape[axis + 2] - 1)
            affines[:, :3, axis] *= -1
    if swap:
        images = images.swapaxes(2, 3)
        affines[:, :, [0, 1]] = affines[:, :, [1, 0]]
    order = order or list(range(len(affines)))
    return replace(stack, images=images[:, order], affines=affines[order], labels=None)


def disc(centre: tuple[float, float], radius: float = 12) -> np.ndarray:
    """(64, 64) a smooth disc in [-1, 1]; its rim, where it is 0, has this radius in pixels."""
    i, j = np.indices((64, 64))
    return np.tanh((radius - np.hypot(i - centre[0], j - centre[1])) / 2).astype(np.float32)
