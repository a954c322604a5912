"""Binary PLY (Turk 1994) and STL: a surface in a file, with a note in its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.surface.triangles import Triangles

#: numpy's kinds of numbers, as PLY calls them.
_KINDS = {"<f4": "float", "u1": "uchar", "<i4": "int"}


def ply_bytes(
    mesh: Triangles,
    note: str,
    of_vertex: Mapping[str, NDArray[np.generic]] | None = None,
    of_face: Mapping[str, NDArray[np.generic]] | None = None,
) -> bytes:
    """A mesh with named values of vertices (V,) and of faces (F,); `note` is its comment, right after the format."""
    vertices = _rows(len(mesh.vertices), {"xyz": ("<f4", 3)}, of_vertex or {})
    vertices["xyz"] = mesh.vertices
    faces = _rows(len(mesh.faces), {"count": ("u1", 1), "corners": ("<i4", 3)}, of_face or {})
    faces["count"], faces["corners"] = 3, mesh.faces
    header = [
        *("ply", "format binary_little_endian 1.0", f"comment {note}", f"element vertex {len(vertices)}"),
        *(f"property float {axis}" for axis in "xyz"),
        *_properties(of_vertex or {}),
        *(f"element face {len(faces)}", "property list uchar int vertex_indices"),
        *_properties(of_face or {}),
        "end_header\n",
    ]
    return "\n".join(header).encode() + vertices.tobytes() + faces.tobytes()


def stl_bytes(mesh: Triangles, note: str) -> bytes:
    """A mesh; `note` stands in the header's 80 bytes."""
    faces = np.zeros(len(mesh.faces), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    faces["normal"], faces["corners"] = mesh.face_normals, mesh.corners
    return note.encode().ljust(80)[:80] + np.uint32(len(faces)).astype("<u4").tobytes() + faces.tobytes()


def _rows(count: int, first: Mapping[str, tuple[str, int]], values: Mapping[str, NDArray[np.generic]]) -> NDArray[Any]:
    """So many rows with room for what comes first, and the values behind it."""
    fields = [(name, kind, (width,) if width > 1 else ()) for name, (kind, width) in first.items()]
    rows = np.zeros(count, [*fields, *((name, _stored(array), ()) for name, array in values.items())])
    for name, array in values.items():
        rows[name] = array
    return rows


def _properties(values: Mapping[str, NDArray[np.generic]]) -> list[str]:
    return [f"property {_KINDS[_stored(array)]} {name}" for name, array in values.items()]


def _stored(array: NDArray[np.generic]) -> str:
    """Numbers with a point are float32, bytes are bytes, and other whole numbers int32."""
    return {"f": "<f4", "u": "u1", "i": "<i4"}[array.dtype.kind]
