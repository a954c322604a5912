"""The schedule: DDPM's, its grids of times, and the two ways to say what is noise."""

from __future__ import annotations

import pytest
import torch

from dmcvr.diffusion.schedule import Schedule


@pytest.fixture
def schedule() -> Schedule:
    return Schedule.linear()


def test_linear_beta_is_ddpm_s(schedule: Schedule) -> None:
    torch.testing.assert_close(schedule.alpha[0] ** 2, torch.tensor(1 - 1e-4))
    torch.testing.assert_close(schedule.alpha[1] ** 2, torch.tensor((1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999)))
    torch.testing.assert_close(schedule.alpha**2 + schedule.sigma**2, torch.ones(1000))
    assert float(schedule.alpha[-1] ** 2) == pytest.approx(4.0358e-5, rel=1e-4)  # Ho et al. 2020


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 100, 500, 999])
def test_grid_is_one_rising_list(schedule: Schedule, steps: int) -> None:
    times = schedule.grid(steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (0, 999)
    assert all(low < high for low, high in zip(times[:-1], times[1:], strict=True))


def test_grids_by_hand(schedule: Schedule) -> None:
    assert schedule.grid(3) == [0, 111, 444, 999]
    assert schedule.grid(4, 100) == [0, 6, 25, 56, 100]
    assert schedule.grid(999) == list(range(1000))


@pytest.mark.parametrize(("steps", "last"), [(0, None), (1000, None), (6, 5), (2, 1000)])
def test_grid_refuses(schedule: Schedule, steps: int, last: int | None) -> None:
    with pytest.raises(ValueError, match="Expected 1 to"):
        schedule.grid(steps, last)


def test_image_noise_and_velocity_agree(schedule: Schedule) -> None:
    generator = torch.Generator().manual_seed(0)
    image, noise = (torch.randn(64, 1, 4, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    t = torch.linspace(0, 999, 64).long()
    x = schedule.add_noise(image, noise, t)
    velocity = schedule.velocity(image, noise, t)
    torch.testing.assert_close(schedule.noise_of_velocity(x, velocity, t), noise, atol=1e-6, rtol=0)
    torch.testing.assert_close(schedule.image_of_velocity(x, velocity, t), image, atol=1e-6, rtol=0)
    alpha, sigma = schedule.at(t, x)
    assert alpha.shape == sigma.shape == (64, 1, 1, 1)
    torch.testing.assert_close(alpha * image + sigma * noise, x)
