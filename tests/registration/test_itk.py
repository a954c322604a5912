"""SimpleITK's demons points from fixed to moving, and says the same every time."""

from __future__ import annotations

import numpy as np
from helpers.exams import disc

from dmcvr.geometry.plan import Plan
from dmcvr.registration.itk import itk_demons, paths_by_grey


def test_displacement_points_from_fixed_to_moving() -> None:
    field = itk_demons(disc((30, 30)), disc((34, 27)))
    rim = np.abs(disc((30, 30))) < 0.5
    assert field.shape == (2, 64, 64)
    np.testing.assert_allclose(field[:, rim].mean(axis=1), (4, -3), atol=0.8)


def test_every_gap_is_registered_once_and_always_the_same() -> None:
    images = np.stack([disc((28, 30)), disc((32, 32)), disc((32, 32))])
    plan = Plan.between(np.array([0.0, 8.0, 16.0]), np.array([0.0, 4.0, 12.0, 16.0]))
    found, again = (paths_by_grey(images, plan) for _ in range(2))
    np.testing.assert_array_equal(found.below, again.below)
    np.testing.assert_array_equal(found.below[0], np.indices((64, 64)))
    np.testing.assert_allclose(found.below[2], np.indices((64, 64)), atol=1e-6)  # equal slices
