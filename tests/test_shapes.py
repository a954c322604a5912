"""`pytest --shapes` checks arrays against signatures; without it they are words."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.geometry.plan import Plan
from dmcvr.labels.distances import scores_of
from dmcvr.registration.paths import Paths


@pytest.fixture(autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("shapes"):
        pytest.skip("shapes are not checked: run with pytest --shapes")


def test_a_wrong_shape_and_a_wrong_type_are_refused() -> None:
    from jaxtyping import TypeCheckError

    scores_of(np.zeros((2, 3, 8, 8), np.float32))
    for wrong in (np.zeros((2, 4, 8, 8), np.float32), np.zeros((2, 3, 8, 8))):
        with pytest.raises(TypeCheckError, match="distances"):
            scores_of(wrong)


def test_fields_of_a_value_fit_each_other() -> None:
    from jaxtyping import TypeCheckError

    plan = Plan.between(np.array([0.0, 8.0]), np.array([4.0]))
    points = np.zeros((1, 2, 8, 8))
    Paths(plan, points, points)
    with pytest.raises(TypeCheckError, match="above"):
        Paths(plan, points, points[:, :, 1:])
