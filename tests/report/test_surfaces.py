"""Surfaces in the display's frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dmcvr.report.scene import Scene
from dmcvr.report.surfaces import surface


def test_surface_of_a_ball_points_outward(scene: Scene) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(40) - 20] * 3, indexing="ij"), axis=-1)
    labels = (np.linalg.norm(grid, axis=-1) < 12).astype(np.uint8)
    found = surface(labels, replace(scene, spacing_mm=1.5, origin_mm=np.array([5.0, 0, 0])), 1, 2.0)
    assert found is not None
    points, faces = found
    np.testing.assert_allclose(points.mean(axis=0), [35, 30, 30], atol=0.3)
    corners = points[faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 18**3, rel=0.08)
    assert surface(labels, scene, 3, 2.0) is None


def test_a_speck_beside_the_heart_is_left_out(scene: Scene) -> None:
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[5:25, 5:25, 5:25] = 1
    labels[33:37, 33:37, 33:37] = 1
    found = surface(labels, replace(scene, spacing_mm=1.5, origin_mm=np.zeros(3)), 1, 2.0)
    assert found is not None
    assert found[0].max() < 1.5 * 27
