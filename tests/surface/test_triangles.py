"""What is measured of a surface, beside what trimesh measures, and on shapes of known size."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.printing import solid
from hypothesis import given, settings
from hypothesis import strategies as st

from dmcvr.surface.triangles import Triangles

#: A box of 2 x 3 x 4 mm.
CORNERS = np.array([[x, y, z] for x in (0.0, 2.0) for y in (0.0, 3.0) for z in (0.0, 4.0)])
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


def test_a_box() -> None:
    box = Triangles(CORNERS, FACES)
    assert box.volume == pytest.approx(24)
    assert box.area == pytest.approx(2 * (6 + 8 + 12))
    np.testing.assert_array_equal(box.bounds, [[0, 0, 0], [2, 3, 4]])
    np.testing.assert_allclose(box.vertex_normals, np.sign(CORNERS - [1, 1.5, 2]) / np.sqrt(3), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_any_surface_is_measured_as_trimesh_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mesh = Triangles(CORNERS + rng.normal(scale=0.3, size=CORNERS.shape) + rng.normal(scale=100, size=3), FACES)
    other = solid(mesh)
    assert mesh.volume == pytest.approx(other.volume, rel=1e-9)
    assert mesh.area == pytest.approx(other.area)
    np.testing.assert_allclose(mesh.face_normals, other.face_normals, atol=1e-9)
    np.testing.assert_allclose(mesh.vertex_normals, other.vertex_normals, atol=1e-9)


def test_a_triangle_that_is_a_line_points_nowhere() -> None:
    flat = Triangles(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]]))
    assert (flat.face_normals == 0).all()
    assert (flat.vertex_normals == 0).all()
