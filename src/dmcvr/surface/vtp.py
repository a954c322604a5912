"""VTK's PolyData as XML (.vtp), and a series of them over time (.pvd), as ParaView, PyVista and VTK read them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import NDArray

_KINDS = {"f": ("Float32", "<f4"), "u": ("UInt8", "u1"), "i": ("Int64", "<i8")}


def vtp_bytes(
    vertices: Float64[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    note: str,
    of_vertex: Mapping[str, NDArray[np.generic]] | None = None,
    of_face: Mapping[str, NDArray[np.generic]] | None = None,
) -> bytes:
    """A mesh with named values of vertices (V,) or (V, 3) and of faces (F,), as XML with base64 inside.

    Numbers are written as float32, uint8 or int64, by their kind.
    """
    ends = np.arange(1, len(faces) + 1) * 3
    parts = [
        "<?xml version='1.0'?>",
        f"<!-- {note} -->",
        '<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64"><PolyData>',
        f'<Piece NumberOfPoints="{len(vertices)}" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" '
        f'NumberOfPolys="{len(faces)}">',
        f"<Points>{_array('Points', vertices)}</Points>",
        f"<Polys>{_array('connectivity', faces.ravel().astype(np.int64))}{_array('offsets', ends)}</Polys>",
        _values("PointData", of_vertex or {}),
        _values("CellData", of_face or {}),
        "</Piece></PolyData></VTKFile>",
    ]
    return ("\n".join(parts) + "\n").encode()


def pvd_bytes(files: Sequence[str], times: Sequence[float]) -> bytes:
    """The list of files (relative paths) that are one mesh at these times."""
    sets = [
        f'<DataSet timestep="{time:g}" part="0" file={quoteattr(file)}/>'
        for file, time in zip(files, times, strict=True)
    ]
    lines = ["<?xml version='1.0'?>", '<VTKFile type="Collection" version="0.1"><Collection>', *sets]
    return ("\n".join([*lines, "</Collection></VTKFile>"]) + "\n").encode()


def _values(where: str, values: Mapping[str, NDArray[np.generic]]) -> str:
    return f"<{where}>{''.join(_array(name, array) for name, array in values.items())}</{where}>"


def _array(name: str, values: NDArray[np.generic]) -> str:
    kind, code = _KINDS[values.dtype.kind]
    data = np.ascontiguousarray(values, dtype=code).tobytes()
    width = f' NumberOfComponents="{values.shape[1]}"' if values.ndim > 1 else ""
    text = base64.b64encode(len(data).to_bytes(8, "little") + data).decode("ascii")
    return f"<DataArray type={quoteattr(kind)} Name={quoteattr(name)}{width} format='binary'>{text}</DataArray>"
