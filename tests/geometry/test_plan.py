"""The plan of positions, and what lies linearly between."""

from __future__ import annotations

import numpy as np

from dmcvr.geometry.plan import Plan, blend, mixed


def test_plan_by_hand() -> None:
    plan = Plan.between(np.array([0.0, 10.0, 16.0]), np.array([-4.0, 0.0, 2.5, 10.0, 13.0, 16.0, 19.0]))
    np.testing.assert_array_equal(plan.lower, [0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(plan.upper, [1, 1, 1, 2, 2, 2, 2])
    np.testing.assert_allclose(plan.fraction, [0, 0, 0.25, 0, 0.5, 1, 1])
    np.testing.assert_allclose(plan.gap_mm, [10, 10, 10, 6, 6, 6, 6])
    np.testing.assert_allclose(plan.positions_mm, [0, 0, 2.5, 10, 13, 16, 16])
    assert len(plan) == 7


def test_a_ramp_is_blended_into_a_ramp() -> None:
    positions = np.array([0.0, 4.0, 10.0, 11.0])
    wanted = np.linspace(0, 11, 23)
    ramp = (3 * positions[:, None] - np.arange(2)).astype(np.float32)
    np.testing.assert_allclose(
        blend(ramp, Plan.between(positions, wanted)), 3 * wanted[:, None] - np.arange(2), atol=1e-5
    )


def test_each_place_is_mixed_by_its_own_fraction() -> None:
    plan = Plan.between(np.array([0.0, 10.0]), np.array([0.0, 2.5, 10.0]))
    below, above = np.ones((3, 2, 2), np.float32), np.full((3, 2, 2), 5, np.float32)
    np.testing.assert_array_equal(mixed(below, above, plan)[:, 0, 0], [1, 2, 5])


def test_acquired_positions_join_a_plan() -> None:
    plan = Plan.between(np.array([0.0, 10.0, 16.0]), np.array([-4.0, 2.5, 10.0, 13.0]))
    whole, where = plan.with_acquired()
    np.testing.assert_allclose(whole.positions_mm, [0, 2.5, 10, 13, 16])
    np.testing.assert_array_equal(where, [0, 2, 4, 0, 1, 2, 3])
