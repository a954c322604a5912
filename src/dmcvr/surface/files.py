"""Meshes as files: PLY, STL and VTP of every structure, and one GLB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trimesh
from trimesh.exchange.ply import export_ply
from trimesh.exchange.stl import export_stl

from dmcvr.options import MESH_FORMATS, chosen_formats
from dmcvr.surface.beating import beating_glb
from dmcvr.surface.borders import Borders
from dmcvr.surface.mesh import STRUCTURES, structure_mesh

#: Written into the header of every PLY and STL file, since the formats know neither frame nor unit. 3D Slicer reads
#: `SPACE=RAS` there; without it, it takes a mesh to be LPS.
FRAME_NOTE = "dmcvr; RAS+ world coordinates in mm; SPACE=RAS"


def write_meshes(
    folder: Path,
    borders: Sequence[Borders],
    phases: tuple[str, ...],
    *,
    formats: Sequence[str] = ("ply",),
    beat_s: float = 1.0,
) -> list[Path]:
    formats = chosen_formats("mesh", formats, MESH_FORMATS)
    written: list[Path] = []
    hearts: dict[str, dict[str, trimesh.Trimesh]] = {}
    for phase, of_phase in zip(phases, borders, strict=True):
        found = {name: structure_mesh(of_phase, name) for name in STRUCTURES}
        meshes = {name: mesh for name, mesh in found.items() if mesh is not None}
        phase_folder = folder / phase if len(phases) > 1 else folder
        for name, mesh in meshes.items():
            for kind, to_bytes in (("ply", _ply_bytes), ("stl", _stl_bytes)):
                if kind in formats:
                    phase_folder.mkdir(parents=True, exist_ok=True)
                    written.append(phase_folder / f"{name}.{kind}")
                    written[-1].write_bytes(to_bytes(mesh))
        if "glb" in formats:
            hearts[phase] = meshes
    if any(hearts.values()):
        folder.mkdir(parents=True, exist_ok=True)
        written.append(folder / "heart.glb")
        written[-1].write_bytes(beating_glb(hearts, beat_s))
    return written


def _ply_bytes(mesh: trimesh.Trimesh) -> bytes:
    """Binary PLY with our comment, which trimesh's exporter cannot write, after the two opening lines."""
    magic, encoding, rest = export_ply(mesh, vertex_normal=False).split(b"\n", 2)
    return b"\n".join([magic, encoding, f"comment {FRAME_NOTE}".encode(), rest])


def _stl_bytes(mesh: trimesh.Trimesh) -> bytes:
    """Binary STL; its header of 80 bytes is free for our note."""
    return FRAME_NOTE.encode().ljust(80) + export_stl(mesh)[80:]
