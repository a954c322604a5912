"""Slerp and lerp against closed forms, and the ways to mix codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmcvr.fill.mixing import Mixing, lerp, on_device, slerp
from dmcvr.geometry.plan import Plan


def gaussians(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, 1, 32, 32, generator=generator) for _ in range(2))  # type: ignore[return-value]


def norms(codes: torch.Tensor) -> torch.Tensor:
    return codes.flatten(1).norm(dim=1)


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000), st.floats(0.1, 10))
def test_the_norm_moves_linearly(fraction: float, seed: int, scale: float) -> None:
    a, b = gaussians(seed)
    mixed = slerp(a, scale * b, torch.full((3,), fraction))
    torch.testing.assert_close(norms(mixed), (1 - fraction) * norms(a) + fraction * scale * norms(b), rtol=1e-4, atol=0)


@pytest.mark.parametrize("fraction", [0.0, 1 / 3, 0.5, 1.0])
def test_the_direction_turns_evenly(fraction: float) -> None:
    """From (2, 0) to (0, 4): the angle is f times 90 degrees, the norm 2 + 2 f; lerp cuts the corner."""
    a, b, f = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]]), torch.tensor([fraction])
    angle, norm = fraction * np.pi / 2, 2 + 2 * fraction
    wanted = torch.tensor([[norm * np.cos(angle), norm * np.sin(angle)]]).float()
    torch.testing.assert_close(slerp(a, b, f), wanted)
    torch.testing.assert_close(lerp(a, b, f), torch.tensor([[2 - 2 * fraction, 4 * fraction]]))


def test_each_item_by_its_own_fraction() -> None:
    a, b = gaussians()
    f = torch.tensor([0.0, 0.5, 1.0])
    for mix in (slerp, lerp):
        mixed = mix(a, b, f)
        torch.testing.assert_close(mixed[0], a[0])
        torch.testing.assert_close(mixed[2], b[2])
        torch.testing.assert_close(mixed[1:2], mix(a[1:2], b[1:2], f[1:2]))


def test_parallel_and_opposite_codes_do_not_divide_by_zero() -> None:
    a, _ = gaussians()
    third = torch.full((3,), 0.3)
    torch.testing.assert_close(slerp(a, a.clone(), third), a)
    torch.testing.assert_close(slerp(a, 2 * a, third), 1.3 * a)
    assert torch.isfinite(slerp(a, -a, third)).all()


def test_the_default_is_the_published_way() -> None:
    a, b = gaussians()
    f = torch.full((3,), 0.25)
    torch.testing.assert_close(Mixing().noise(a, b, f), slerp(a, b, f))
    torch.testing.assert_close(Mixing().guide(a, b, f), lerp(a, b, f))
    torch.testing.assert_close(Mixing(stochastic="lerp").noise(a, b, f), lerp(a, b, f))
    torch.testing.assert_close(Mixing(guides="slerp").guide(a, b, f), slerp(a, b, f))


def test_fresh_noise_is_drawn_between_the_slices_alone() -> None:
    a, b = gaussians()
    f = torch.tensor([0.0, 0.5, 1.0])
    one, again, other = (Mixing(stochastic="fresh", seed=seed).noise(a, b, f) for seed in (1, 1, 2))
    torch.testing.assert_close(one[0], a[0])
    torch.testing.assert_close(one[2], b[2])
    torch.testing.assert_close(one, again)
    assert not torch.allclose(one[1], other[1])


def test_a_plan_on_a_device() -> None:
    plan = Plan.between(np.array([0.0, 10.0, 16.0]), np.array([2.5, 13.0]))
    lower, upper, fraction = on_device(plan, torch.device("cpu"))
    assert (lower.tolist(), upper.tolist(), fraction.tolist()) == ([0, 1], [1, 2], [0.25, 0.5])
