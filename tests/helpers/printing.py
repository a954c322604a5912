"""What a printer asks of a mesh."""

from __future__ import annotations

import numpy as np
import trimesh
from manifold3d import Error, Manifold, Mesh
from numpy.typing import NDArray
from scipy.spatial import KDTree

from dmcvr.surface.triangles import Triangles

#: A triangle's plane is met, and its inside, where that is clearer than rounding.
ROUNDING = 1e-9


def solid(mesh: Triangles) -> trimesh.Trimesh:
    """The same as trimesh has it."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def complaints(mesh: trimesh.Trimesh) -> list[str]:
    """Why the mesh cannot be printed as one solid; nothing where it can."""
    found = []
    if not mesh.is_watertight:
        found.append("open")
    if not (mesh.is_winding_consistent and mesh.volume > 0):
        found.append("inside out")
    if mesh.body_count != 1:
        found.append(f"{mesh.body_count} pieces")
    solid = Manifold(Mesh(np.asarray(mesh.vertices, dtype=np.float32), np.asarray(mesh.faces, dtype=np.uint32)))
    if solid.status() != Error.NoError:
        found.append(f"no manifold: {solid.status().name}")
    if crossing := len(crossings(mesh)):
        found.append(f"{crossing} pairs of triangles cross")
    return found


def crossings(mesh: trimesh.Trimesh) -> NDArray[np.int64]:
    """(M, 2) pairs of triangles of which one has an edge that passes through the other (Moeller and Trumbore 1997).

    Edges that end in a corner of the other triangle meet it there, and do not count.
    """
    corners = np.asarray(mesh.triangles, dtype=np.float64)
    centres = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centres[:, None], axis=2).max()
    pairs = KDTree(centres).query_pairs(2 * radius, output_type="ndarray")
    low, high = corners.min(axis=1), corners.max(axis=1)
    overlap = ((low[pairs[:, 0]] <= high[pairs[:, 1]]) & (low[pairs[:, 1]] <= high[pairs[:, 0]])).all(axis=1)
    pairs = pairs[overlap]
    crossing = np.zeros(len(pairs), dtype=bool)
    for one, other in ((0, 1), (1, 0)):
        for start, end in ((0, 1), (1, 2), (2, 0)):
            edge = mesh.faces[pairs[:, one]][:, [start, end]]
            apart = ~(edge[:, :, None] == mesh.faces[pairs[:, other]][:, None]).any(axis=(1, 2))
            a, b = (corners[pairs[:, one], corner] for corner in (start, end))
            crossing |= apart & _passes(a, b, corners[pairs[:, other]])
    return np.asarray(pairs[crossing], dtype=np.int64)


def _passes(a: NDArray[np.float64], b: NDArray[np.float64], triangle: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M,) whether the line from a to b passes through the triangle's inside."""
    way, first, second = b - a, triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    across = np.cross(way, second)
    size = np.sum(first * across, axis=1)
    scale = np.where(np.abs(size) > ROUNDING, size, np.inf)
    from_corner = a - triangle[:, 0]
    turned = np.cross(from_corner, first)
    u, v, t = (np.sum(x * y, axis=1) / scale for x, y in ((from_corner, across), (way, turned), (second, turned)))
    inside = (u > ROUNDING) & (v > ROUNDING) & (u + v < 1 - ROUNDING) & (t > ROUNDING) & (t < 1 - ROUNDING)
    return np.asarray(inside & np.isfinite(scale))
