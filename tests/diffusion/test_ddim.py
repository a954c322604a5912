"""DDIM and its inverse, against closed forms: a Gaussian has an exact eps, and DDIM's steps on it are linear maps."""

from __future__ import annotations

import pytest
import torch

from dmcvr.diffusion.ddim import PredictNoise, ddim_invert, ddim_sample
from dmcvr.diffusion.schedule import Schedule

MEAN, SD = 0.3, 0.5


def variance(schedule: Schedule, t: int) -> torch.Tensor:
    """Of x_t, for x_0 ~ N(MEAN, SD^2)."""
    return schedule.alpha[t].double() ** 2 * SD**2 + schedule.sigma[t].double() ** 2


def exact(schedule: Schedule) -> PredictNoise:
    """eps of x_0 ~ N(MEAN, SD^2): sigma (x - alpha MEAN) / (alpha^2 SD^2 + sigma^2)."""

    def predict_noise(x: torch.Tensor, t: int) -> torch.Tensor:
        return schedule.sigma[t].double() * (x - schedule.alpha[t].double() * MEAN) / variance(schedule, t)

    return predict_noise


def step_factor(schedule: Schedule, high: int, low: int) -> torch.Tensor:
    """A DDIM step multiplies x - alpha MEAN by (alpha_low alpha_high SD^2 + sigma_low sigma_high) / variance_high."""
    a, s = schedule.alpha.double(), schedule.sigma.double()
    return (a[low] * a[high] * SD**2 + s[low] * s[high]) / variance(schedule, high)


def sampled(x: torch.Tensor, schedule: Schedule, steps: int, last: int | None = None) -> torch.Tensor:
    """What `ddim_sample` gives, in closed form."""
    times = schedule.grid(steps, last)
    away = x - schedule.alpha[times[-1]].double() * MEAN
    for low, high in zip(times[:-1], times[1:], strict=True):
        away = away * step_factor(schedule, high, low)
    return schedule.alpha[0].double() * MEAN + away


def ode_image(x: torch.Tensor, schedule: Schedule) -> torch.Tensor:
    """The probability-flow ODE keeps (x - alpha MEAN) / sd_t: from T - 1 to 0 in closed form."""
    last = schedule.length - 1
    standard = (x - schedule.alpha[last] * MEAN) / variance(schedule, last).sqrt()
    return schedule.alpha[0] * MEAN + standard * variance(schedule, 0).sqrt()


@pytest.fixture
def schedule() -> Schedule:
    return Schedule.linear()


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(64, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("steps", "last"), [(1, None), (10, None), (100, None), (4, 100)])
def test_sampling_is_its_closed_form(schedule: Schedule, noise: torch.Tensor, steps: int, last: int | None) -> None:
    image = ddim_sample(exact(schedule), noise, schedule, steps, last=last)
    torch.testing.assert_close(image, sampled(noise, schedule, steps, last), atol=1e-6, rtol=0)


def test_sampling_converges_to_the_ode(schedule: Schedule, noise: torch.Tensor) -> None:
    """First order: a quarter of the error at four times the steps."""
    truth = ode_image(noise, schedule)
    errors = [float((ddim_sample(exact(schedule), noise, schedule, n) - truth).abs().max()) for n in (50, 200)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] < 0.02


@pytest.mark.parametrize(("steps", "last"), [(10, None), (100, None), (4, 100)])
def test_inversion_is_the_inverse(schedule: Schedule, noise: torch.Tensor, steps: int, last: int | None) -> None:
    image = sampled(noise, schedule, steps, last)
    back = ddim_invert(exact(schedule), image, schedule, steps, corrections=60, last=last)
    torch.testing.assert_close(back, noise, atol=1e-6, rtol=0)


@pytest.mark.parametrize("corrections", [0, 1, 3])
def test_a_correction_shrinks_the_error_by_a_known_factor(
    schedule: Schedule, noise: torch.Tensor, corrections: int
) -> None:
    """One step of inversion: the fixed point's error, from x_low on, is multiplied by r at every evaluation."""
    low, high = schedule.grid(1, 100)
    image = sampled(noise, schedule, 1, 100)
    a, s = schedule.alpha.double(), schedule.sigma.double()
    r = (s[high] - a[high] * s[low] / a[low]) * s[high] / variance(schedule, high)
    found = ddim_invert(exact(schedule), image, schedule, 1, corrections=corrections, last=100)
    torch.testing.assert_close(found - noise, r ** (corrections + 1) * (image - noise), atol=1e-6, rtol=0)


def test_progress_is_called_once_a_step(schedule: Schedule, noise: torch.Tensor) -> None:
    calls: list[int] = []
    ddim_sample(exact(schedule), noise, schedule, 6, lambda: calls.append(1))
    ddim_invert(exact(schedule), noise, schedule, 6, progress=lambda: calls.append(1))
    assert len(calls) == 12


@pytest.mark.parametrize("steps", [1, 4])
def test_a_clean_image_has_no_noise_left(schedule: Schedule, noise: torch.Tensor, steps: int) -> None:
    """Where the noise is known, the image is got back to rounding; the state at time 0 still has sigma_0 of it."""
    image, last = torch.linspace(-1, 1, noise.numel(), dtype=noise.dtype).view_as(noise), 100
    x = schedule.alpha[last] * image + schedule.sigma[last] * noise
    clean, state = (ddim_sample(lambda x, t: noise, x, schedule, steps, last=last, clean=c) for c in (True, False))
    torch.testing.assert_close(clean, image, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, schedule.alpha[0] * image + schedule.sigma[0] * noise, atol=1e-5, rtol=0)
