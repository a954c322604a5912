"""The noise schedule of DDPM (Ho et al. 2020): linear beta, T steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """x_t = alpha_t x_0 + sigma_t eps, with alpha_t^2 = prod(1 - beta) and sigma_t^2 = 1 - alpha_t^2.

    `alpha` and `sigma` are (T,), float32.
    """

    alpha: Float[Tensor, " T"]
    sigma: Float[Tensor, " T"]

    @classmethod
    def linear(cls, steps: int = 1000, beta: tuple[float, float] = (1e-4, 0.02)) -> Schedule:
        alpha_bar = np.cumprod(1 - np.linspace(*beta, steps))
        return cls(torch.from_numpy(np.sqrt(alpha_bar)).float(), torch.from_numpy(np.sqrt(1 - alpha_bar)).float())

    @property
    def length(self) -> int:
        return len(self.alpha)

    def grid(self, steps: int, last: int | None = None) -> list[int]:
        """`steps` + 1 increasing times from 0 to `last` (T - 1), quadratically spaced (Song et al. 2021, App. D.2).

        The image is the state at time 0 (sigma = 0.01): sampling and inversion walk the very same times.
        Raises `ValueError` unless 1 <= steps <= last < T.
        """
        last = self.length - 1 if last is None else last
        if not 1 <= steps <= last < self.length:
            raise ValueError(f"Expected 1 to {last} steps, up to time {self.length - 1}; got {steps} to time {last}.")
        times = [round(last * (i / steps) ** 2) for i in range(steps + 1)]
        for i in range(1, steps + 1):  # many steps: the dense end would repeat itself
            times[i] = max(times[i], times[i - 1] + 1)
        times[-1] = last
        for i in reversed(range(steps)):
            times[i] = min(times[i], times[i + 1] - 1)
        return times

    def add_noise(
        self, x0: Float[Tensor, " B *D"], noise: Float[Tensor, " B *D"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, " B *D"]:
        """x_t of images (B, 1, H, W) at times (B,)."""
        return self._at(self.alpha, t, x0) * x0 + self._at(self.sigma, t, x0) * noise

    def velocity(
        self, x0: Float[Tensor, " B *D"], noise: Float[Tensor, " B *D"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, " B *D"]:
        """v = alpha eps - sigma x_0 (Salimans & Ho 2022)."""
        return self._at(self.alpha, t, x0) * noise - self._at(self.sigma, t, x0) * x0

    def noise_of_velocity(
        self, x: Float[Tensor, " B *D"], velocity: Float[Tensor, " B *D"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, " B *D"]:
        """eps = sigma x_t + alpha v."""
        return self._at(self.sigma, t, x) * x + self._at(self.alpha, t, x) * velocity

    def image_of_velocity(
        self, x: Float[Tensor, " B *D"], velocity: Float[Tensor, " B *D"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, " B *D"]:
        """x_0 = alpha x_t - sigma v."""
        return self._at(self.alpha, t, x) * x - self._at(self.sigma, t, x) * velocity

    def at(
        self, t: Int[Tensor, " B"], like: Float[Tensor, " B *D"]
    ) -> tuple[Float[Tensor, "B ..."], Float[Tensor, "B ..."]]:
        """alpha_t and sigma_t of times (B,), shaped to multiply images like these."""
        return self._at(self.alpha, t, like), self._at(self.sigma, t, like)

    @staticmethod
    def _at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
        return values.to(like.device)[t].view(-1, *[1] * (like.ndim - 1))
