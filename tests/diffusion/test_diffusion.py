"""Schedule, DDIM and its inverse, against closed forms: a Gaussian has an exact eps."""

from __future__ import annotations

import pytest
import torch

from dmcvr.diffusion.ddim import PredictNoise, ddim_invert, ddim_sample
from dmcvr.diffusion.schedule import Schedule

MEAN, SD = 0.3, 0.5


def exact(schedule: Schedule) -> PredictNoise:
    """eps of x_0 ~ N(MEAN, SD^2): sigma (x - alpha MEAN) / (alpha^2 SD^2 + sigma^2)."""

    def predict_noise(x: torch.Tensor, t: int) -> torch.Tensor:
        alpha, sigma = schedule.alpha[t].double(), schedule.sigma[t].double()
        return sigma * (x - alpha * MEAN) / (alpha**2 * SD**2 + sigma**2)

    return predict_noise


def ode_image(x: torch.Tensor, schedule: Schedule) -> torch.Tensor:
    """The probability-flow ODE keeps (x - alpha MEAN) / sd_t: from T - 1 to 0 in closed form."""

    def sd(t: int) -> torch.Tensor:
        return (schedule.alpha[t].double() ** 2 * SD**2 + schedule.sigma[t].double() ** 2).sqrt()

    last = schedule.length - 1
    standard = (x - schedule.alpha[last] * MEAN) / sd(last)
    return schedule.alpha[0] * MEAN + standard * sd(0)


@pytest.fixture
def schedule() -> Schedule:
    return Schedule.linear()


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(64, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_linear_beta_is_ddpm_s(schedule: Schedule) -> None:
    torch.testing.assert_close(schedule.alpha[0] ** 2, torch.tensor(1 - 1e-4))
    torch.testing.assert_close(schedule.alpha**2 + schedule.sigma**2, torch.ones(1000))
    assert 4.0e-5 < float(schedule.alpha[-1] ** 2) < 4.1e-5  # Ho et al. 2020


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 100, 500, 999])
def test_grid_is_one_rising_list(schedule: Schedule, steps: int) -> None:
    times = schedule.grid(steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (0, 999)
    assert all(low < high for low, high in zip(times[:-1], times[1:], strict=True))


@pytest.mark.parametrize(("steps", "last"), [(0, None), (1000, None), (6, 5), (2, 1000)])
def test_grid_refuses(schedule: Schedule, steps: int, last: int | None) -> None:
    with pytest.raises(ValueError, match="Expected 1 to"):
        schedule.grid(steps, last)


def test_part_of_the_way_and_back(schedule: Schedule, noise: torch.Tensor) -> None:
    """From an early time on, sampling and inversion are each other's inverse too."""
    assert schedule.grid(4, 100) == [0, 6, 25, 56, 100]
    image = ddim_sample(exact(schedule), noise, schedule, 20)
    state = ddim_invert(exact(schedule), image, schedule, 4, corrections=40, last=100)
    torch.testing.assert_close(ddim_sample(exact(schedule), state, schedule, 4, last=100), image, atol=1e-6, rtol=0)


def test_sampling_converges_to_the_ode(schedule: Schedule, noise: torch.Tensor) -> None:
    truth = ode_image(noise, schedule)
    errors = [(ddim_sample(exact(schedule), noise, schedule, n) - truth).abs().max() for n in (25, 100, 400)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]  # first order: a quarter at four times the steps
    assert errors[2] < 0.01
    assert abs(ddim_sample(exact(schedule), noise, schedule, 400).std() - SD * noise.std()) < 0.01


@pytest.mark.parametrize("steps", [10, 20, 100])
def test_inversion_is_the_inverse(schedule: Schedule, noise: torch.Tensor, steps: int) -> None:
    image = ddim_sample(exact(schedule), noise, schedule, steps)
    back = ddim_invert(exact(schedule), image, schedule, steps, corrections=60)
    torch.testing.assert_close(back, noise, atol=1e-6, rtol=0)


def test_corrections_bring_the_round_trip_home(schedule: Schedule, noise: torch.Tensor) -> None:
    image = ode_image(noise, schedule)
    errors = []
    for corrections in (0, 1, 3):
        code = ddim_invert(exact(schedule), image, schedule, 20, corrections=corrections)
        errors.append(float((ddim_sample(exact(schedule), code, schedule, 20) - image).abs().max()))
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_velocity_and_noise_agree(schedule: Schedule, noise: torch.Tensor) -> None:
    image = torch.linspace(-1, 1, 64, dtype=torch.float64).view(-1, 1, 1, 1).expand_as(noise)
    t = torch.linspace(0, 999, 64).long()
    x = schedule.add_noise(image, noise, t)
    torch.testing.assert_close(
        schedule.noise_of_velocity(x, schedule.velocity(image, noise, t), t), noise, atol=1e-5, rtol=0
    )


def test_progress_is_called_once_a_step(schedule: Schedule, noise: torch.Tensor) -> None:
    calls: list[int] = []
    ddim_sample(exact(schedule), noise, schedule, 6, lambda: calls.append(1))
    ddim_invert(exact(schedule), noise, schedule, 6, progress=lambda: calls.append(1))
    assert len(calls) == 12
