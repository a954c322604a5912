"""Slerp, lerp and the plan of positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmcvr.fill.mixing import Plan, blend, interpolate_codes, lerp, slerp
from dmcvr.model.autoencoder import SliceCodes


def gaussians(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, 1, 32, 32, generator=generator) for _ in range(2))  # type: ignore[return-value]


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_slerp_keeps_equal_norms(fraction: float, seed: int) -> None:
    a, b = gaussians(seed)
    b = b / b.flatten(1).norm(dim=1).view(-1, 1, 1, 1) * a.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    mixed = slerp(a, b, torch.full((3,), fraction))
    torch.testing.assert_close(mixed.flatten(1).norm(dim=1), a.flatten(1).norm(dim=1), rtol=1e-4, atol=0)


def test_slerp_stays_gaussian_where_lerp_shrinks() -> None:
    a, b = gaussians()
    half = torch.full((3,), 0.5)
    assert abs(float(slerp(a, b, half).std()) - 1) < 0.03
    assert abs(float(lerp(a, b, half).std()) - 0.5**0.5) < 0.03


def test_slerp_turns_evenly() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    third = slerp(a, b, torch.tensor([1 / 3]))
    torch.testing.assert_close(third, torch.tensor([[np.cos(np.pi / 6), np.sin(np.pi / 6)]]).float())


@pytest.mark.parametrize("mix", [slerp, lerp])
def test_ends_are_the_neighbours(mix: object) -> None:
    a, b = gaussians()
    torch.testing.assert_close(mix(a, b, torch.zeros(3)), a)  # type: ignore[operator]
    torch.testing.assert_close(mix(a, b, torch.ones(3)), b)  # type: ignore[operator]


def test_slerp_of_one_code_with_itself() -> None:
    a, _ = gaussians()
    torch.testing.assert_close(slerp(a, a.clone(), torch.full((3,), 0.3)), a)


def test_plan_by_hand() -> None:
    plan = Plan.between(np.array([0.0, 10.0, 16.0]), np.array([-4.0, 0.0, 2.5, 10.0, 13.0, 16.0, 19.0]))
    np.testing.assert_array_equal(plan.lower, [0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_allclose(plan.fraction, [0, 0, 0.25, 0, 0.5, 1, 1])
    np.testing.assert_allclose(blend(np.array([0.0, 1.0, 3.0], np.float32), plan), [0, 0, 0.25, 1, 2, 3, 3])


def test_codes_at_acquired_positions_are_unchanged() -> None:
    x, _ = gaussians()
    codes = SliceCodes(x, torch.arange(6.0).view(3, 2), torch.arange(12.0).view(3, 1, 2, 2))
    positions = np.array([0.0, 8.0, 16.0])
    same = interpolate_codes(codes, Plan.between(positions, positions))
    for name in ("x_T", "z_sem", "z_mor"):
        torch.testing.assert_close(getattr(same, name), getattr(codes, name))
    between = interpolate_codes(codes, Plan.between(positions, np.array([4.0])))
    torch.testing.assert_close(between.z_sem, torch.tensor([[1.0, 2.0]]))


def test_acquired_positions_join_a_plan() -> None:
    plan = Plan.between(np.array([0.0, 10.0, 16.0]), np.array([-4.0, 2.5, 10.0, 13.0]))
    np.testing.assert_allclose(plan.gap_mm, [10, 10, 6, 6])
    np.testing.assert_allclose(plan.positions_mm, [0, 2.5, 10, 13])
    whole, where = plan.with_acquired()
    np.testing.assert_allclose(whole.positions_mm, [0, 2.5, 10, 13, 16])
    np.testing.assert_array_equal(where, [0, 2, 4, 0, 1, 2, 3])
