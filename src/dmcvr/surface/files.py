"""Meshes as files: surfaces and the fitted template as PLY, STL and VTP, and one GLB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dmcvr.exam.volume import MIRRORED
from dmcvr.options import MESH_FORMATS, chosen_formats
from dmcvr.surface.beating import beating_glb, morphing_glb
from dmcvr.surface.borders import Borders
from dmcvr.surface.fit import Fitted
from dmcvr.surface.mesh import STRUCTURES, structure_mesh
from dmcvr.surface.ply import ply_bytes, stl_bytes
from dmcvr.surface.template import template
from dmcvr.surface.triangles import Triangles
from dmcvr.surface.vtp import pvd_bytes, vtp_bytes
from dmcvr.threads import each

#: Written into the header of every PLY, STL and VTP file, since the formats know neither frame nor unit. 3D Slicer
#: reads `SPACE=RAS` there; without it, it takes a mesh to be LPS.
FRAME_NOTE = "dmcvr; RAS+ world coordinates in mm; SPACE=RAS"

#: The fitted template's file, beside those of the structures.
TEMPLATE = "template"


def write_meshes(
    folder: Path,
    borders: Sequence[Borders],
    phases: tuple[str, ...],
    *,
    fitted: Fitted | None = None,
    formats: Sequence[str] = ("ply",),
    beat_s: float = 1.0,
    mirrored: bool = False,
) -> list[Path]:
    """Write every structure that is present, and the template where it could be fitted; returns the paths written.

    One phase gives `folder/<structure>.ply` (and `.stl`, `.vtp`), several give `folder/<phase>/<structure>.ply`; the
    template is `template.ply` and `template.vtp` beside them, with its values at vertices and faces, and for several
    phases `folder/template.pvd` lists its VTP files over `beat_s` seconds. "glb" gives one file, `folder/heart.glb`:
    several phases beat in it, as the template where there is one. All in RAS+ mm (the GLB says how it is turned).
    `borders` holds one entry for each of the `phases`; another number raises `ValueError`, an unknown format
    `InputError`. Every file says of a `mirrored` heart that it is one.
    """
    note = f"{FRAME_NOTE}; {MIRRORED}" if mirrored else FRAME_NOTE
    formats = chosen_formats("mesh", formats, MESH_FORMATS)
    writer = _Writer(folder)
    hearts: dict[str, dict[str, Triangles]] = {}
    morphs = fitted is not None and len(phases) > 1
    for n, (phase, of_phase) in enumerate(zip(phases, borders, strict=True)):
        where = folder / phase if len(phases) > 1 else folder
        meshes = _meshes(of_phase) if set(formats) - {"glb"} or ("glb" in formats and not morphs) else {}
        hearts[phase] = meshes
        for name, mesh in meshes.items():
            for kind, to_bytes in _OF_SURFACE.items():
                if kind in formats:
                    writer.write(where / f"{name}.{kind}", to_bytes(mesh, note))
        if fitted is not None:
            for kind, to_file in _OF_TEMPLATE.items():
                if kind in formats:
                    writer.write(where / f"{TEMPLATE}.{kind}", to_file(fitted, n, note))
    if morphs and "vtp" in formats:
        times = [n * beat_s / len(phases) for n in range(len(phases))]
        writer.write(folder / f"{TEMPLATE}.pvd", pvd_bytes([f"{phase}/{TEMPLATE}.vtp" for phase in phases], times))
    if "glb" in formats:
        if fitted is not None and morphs:
            writer.write(folder / "heart.glb", morphing_glb(fitted, beat_s, MIRRORED if mirrored else ""))
        elif any(hearts.values()):
            writer.write(folder / "heart.glb", beating_glb(hearts, beat_s, MIRRORED if mirrored else ""))
    return writer.written


class _Writer:
    """Writes files into folders that appear with their first one, and keeps the list."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.written = folder, list[Path]()

    def write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.written.append(path)


def _meshes(borders: Borders) -> dict[str, Triangles]:
    """Of the structures that are there."""
    found = zip(STRUCTURES, each(lambda name: structure_mesh(borders, name), STRUCTURES), strict=True)
    return {name: mesh for name, mesh in found if mesh is not None}


def _vtp_bytes(mesh: Triangles, note: str) -> bytes:
    return vtp_bytes(mesh.vertices, mesh.faces, note)


def _of_vertex(fitted: Fitted, phase: int) -> dict[str, NDArray[np.generic]]:
    """The template's values at its vertices: thickness, AHA segment, displacement, and who is in which set (1 or 0)."""
    common = template()
    members = {name: np.zeros(common.count, np.uint8) for name in common.sets}
    for name, index in common.sets.items():
        members[name][index] = 1
    return {
        "thickness_mm": fitted.thickness_mm[phase],
        "aha_segment": common.aha,
        "displacement_mm": fitted.displacement_mm[phase],
        **members,
    }


def _template_vtp(fitted: Fitted, phase: int, note: str) -> bytes:
    values, part = _of_vertex(fitted, phase), {"part": template().part}
    return vtp_bytes(fitted.vertices_mm[phase], fitted.faces, note, values, part)


def _template_ply(fitted: Fitted, phase: int, note: str) -> bytes:
    columns: dict[str, NDArray[np.generic]] = {}
    for name, values in _of_vertex(fitted, phase).items():
        if values.ndim > 1:
            columns |= zip((f"{name[:-3]}_{axis}_mm" for axis in "xyz"), values.T, strict=True)
        else:
            columns[name] = values
    return ply_bytes(Triangles(fitted.vertices_mm[phase], fitted.faces), note, columns, {"part": template().part})


#: How each format writes a surface, and the fitted template at a phase. STL has no room for the template's parts.
_OF_SURFACE: dict[str, Callable[[Triangles, str], bytes]] = {
    "ply": ply_bytes,
    "stl": stl_bytes,
    "vtp": _vtp_bytes,
}
_OF_TEMPLATE: dict[str, Callable[[Fitted, int, str], bytes]] = {"ply": _template_ply, "vtp": _template_vtp}
