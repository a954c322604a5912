"""DDIM, both ways (Song et al. 2021, Eq. 12 with eta = 0), on one grid of times.

`predict_noise(x, t)` takes states (B, ...) and one time step, and gives eps of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from dmcvr.diffusion.schedule import Schedule

PredictNoise = Callable[[Tensor, int], Tensor]
Progress = Callable[[], None]


def _nothing() -> None:
    return None


@torch.no_grad()
def ddim_sample(
    predict_noise: PredictNoise,
    x: Float[Tensor, " B *D"],
    schedule: Schedule,
    steps: int,
    progress: Progress = _nothing,
    *,
    last: int | None = None,
    clean: bool = False,
) -> Float[Tensor, " B *D"]:
    """From x_T, or the state at time `last`, to the image: the state at time 0, as inversion begins with.

    With `clean`, to the image that the last step sees in its state: without the noise that is left at time 0 (sigma =
    0.01), which after few steps is that of the beginning.
    """
    times = schedule.grid(steps, last)
    for low, high in zip(reversed(times[:-1]), reversed(times[1:]), strict=True):
        noise = predict_noise(x, high)
        x = image_in(x, noise, schedule, high) if clean and low == 0 else move(x, noise, schedule, high, low)
        progress()
    return x


@torch.no_grad()
def ddim_invert(
    predict_noise: PredictNoise,
    x: Float[Tensor, " B *D"],
    schedule: Schedule,
    steps: int,
    *,
    corrections: int = 3,
    progress: Progress = _nothing,
    last: int | None = None,
) -> Float[Tensor, " B *D"]:
    """From the image to its x_T, or its state at time `last`: the exact inverse of `ddim_sample`, step by step.

    A sampling step is x_low = f(x_high, eps(x_high)); its inverse is the fixed point of
    x_high <- f^-1(x_low, eps(x_high)). The usual DDIM inversion takes eps(x_low) and stops there
    (`corrections=0`); each correction evaluates eps once more at the latest x_high (Pan et al. 2023, AIDI).
    """
    times = schedule.grid(steps, last)
    for low, high in zip(times[:-1], times[1:], strict=True):
        guess = x
        for _ in range(corrections + 1):
            guess = move(x, predict_noise(guess, high), schedule, low, high)
        x = guess
        progress()
    return x


def move(
    x: Float[Tensor, " B *D"], noise: Float[Tensor, " B *D"], schedule: Schedule, start: int, stop: int
) -> Float[Tensor, " B *D"]:
    """Carry a state from one time to another along a fixed noise estimate."""
    return schedule.alpha[stop] * image_in(x, noise, schedule, start) + schedule.sigma[stop] * noise


def image_in(x: Float[Tensor, " B *D"], noise: Float[Tensor, " B *D"], schedule: Schedule, t: int) -> Tensor:
    """The image in states at time t, whose noise is estimated."""
    return (x - schedule.sigma[t] * noise) / schedule.alpha[t]
