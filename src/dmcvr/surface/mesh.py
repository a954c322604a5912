"""The heart's surfaces: from a dense label map to closed meshes in world mm, and to PLY, STL and GLB files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float64, UInt8
from numpy.typing import NDArray
from skimage.measure import marching_cubes
from trimesh.exchange.ply import export_ply
from trimesh.exchange.stl import export_stl
from trimesh.smoothing import filter_taubin

from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.exam.volume import MIRRORED, Volume
from dmcvr.options import MESH_FORMATS, chosen_formats
from dmcvr.surface.beating import beating_glb

#: Each surface we offer, and the labels it encloses; lv_epicardium is the outside of the whole LV.
STRUCTURES: dict[str, tuple[int, ...]] = {
    **{name: (label,) for label, name in LABEL_NAMES.items()},
    "lv_epicardium": (1, 2),
}

#: Written into the header of every PLY and STL file, since the formats know neither frame nor unit. 3D Slicer reads
#: `SPACE=RAS` there; without it, it takes a mesh to be LPS.
FRAME_NOTE = "dmcvr; RAS+ world coordinates in mm; SPACE=RAS"


def structure_mesh(
    labels: UInt8[np.ndarray, "I J K"],
    affine: Float64[np.ndarray, "4 4"],
    name: str,
    *,
    smooth_iterations: int = 10,
) -> trimesh.Trimesh | None:
    """The closed surface of one structure, with normals pointing outward; None where it is absent.

    =================  =========  ==========================================================================
    labels             (I, J, K)  uint8, the package's labels
    affine             (4, 4)     voxel (i, j, k, 1) to RAS+ mm; may be oblique, of either handedness
    name                          a key of `STRUCTURES`; another raises `KeyError`
    smooth_iterations             passes of Taubin's filter; 0 leaves the surface of the voxels as it is
    =================  =========  ==========================================================================

    Smoothing is for looks: it moves the surface, so volumes are never measured from a smoothed mesh
    (`dmcvr.clinical.measures` counts voxels). A structure that reaches the grid's border is closed half a voxel
    beyond the outermost voxel centres.

    The original marching cubes (Lorensen and Cline, 1987) cuts every edge of a binary mask half way and
    treats voxels that touch diagonally the same way on both sides of a face, so the surface is watertight.
    Lewiner's variant, scikit-image's default, is not: on a binary mask its ambiguity tests are ties.
    Smoothing is Taubin's (1995), whose alternate shrinking and growing nearly keeps the volume.
    """
    mask = np.isin(labels, STRUCTURES[name])
    if not mask.any():
        return None
    right_handed = np.linalg.det(affine[:3, :3]) > 0
    voxels, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call, unused-ignore]
        np.pad(mask, 1).astype(np.float32),
        level=0.5,
        method="lorensen",
        gradient_direction="ascent" if right_handed else "descent",
    )
    vertices = (voxels.astype(np.float64) - 1) @ affine[:3, :3].T + affine[:3, 3]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if smooth_iterations:
        filter_taubin(  # type: ignore[no-untyped-call, unused-ignore]
            mesh, lamb=0.5, nu=0.52, iterations=smooth_iterations
        )
    return mesh


def write_meshes(
    folder: Path,
    labels: Volume,
    phases: tuple[str, ...],
    *,
    formats: Sequence[str] = ("ply",),
    beat_s: float = 1.0,
    smooth_iterations: int = 10,
    mirrored: bool = False,
) -> list[Path]:
    """Write every structure that is present, in each of the formats; returns the paths written.

    One phase gives `folder/<structure>.ply` (and `.stl`), several give `folder/<phase>/<structure>.ply`, both binary,
    in RAS+ mm. "glb" gives one file, `folder/heart.glb`, with all structures; several phases play in it as one
    heartbeat of `beat_s` seconds. `labels` is (P, I, J, K) and `phases` has its P names; another number raises
    `ValueError`, an unknown format `InputError`. Every file says of a `mirrored` heart that it is one.
    """
    formats = chosen_formats("mesh", formats, MESH_FORMATS)
    note = f"{FRAME_NOTE}; {MIRRORED}" if mirrored else FRAME_NOTE
    written: list[Path] = []
    hearts: dict[str, dict[str, trimesh.Trimesh]] = {}
    for phase, phase_labels in zip(phases, labels.data, strict=True):
        meshes = dict(_meshes(phase_labels, labels.affine, smooth_iterations))
        phase_folder = folder / phase if len(phases) > 1 else folder
        for name, mesh in meshes.items():
            for kind, to_bytes in (("ply", _ply_bytes), ("stl", _stl_bytes)):
                if kind in formats:
                    phase_folder.mkdir(parents=True, exist_ok=True)
                    written.append(phase_folder / f"{name}.{kind}")
                    written[-1].write_bytes(to_bytes(mesh, note))
        if "glb" in formats:
            hearts[phase] = meshes
    if any(hearts.values()):
        folder.mkdir(parents=True, exist_ok=True)
        written.append(folder / "heart.glb")
        written[-1].write_bytes(beating_glb(hearts, beat_s, MIRRORED if mirrored else ""))
    return written


def _meshes(
    labels: NDArray[np.uint8], affine: NDArray[np.float64], smooth_iterations: int
) -> Iterator[tuple[str, trimesh.Trimesh]]:
    for name in STRUCTURES:
        mesh = structure_mesh(labels, affine, name, smooth_iterations=smooth_iterations)
        if mesh is not None:
            yield name, mesh


def _ply_bytes(mesh: trimesh.Trimesh, note: str) -> bytes:
    """Binary PLY with our comment, which trimesh's exporter cannot write, after the two opening lines."""
    magic, encoding, rest = export_ply(mesh, vertex_normal=False).split(b"\n", 2)
    return b"\n".join([magic, encoding, f"comment {note}".encode(), rest])


def _stl_bytes(mesh: trimesh.Trimesh, note: str) -> bytes:
    """Binary STL; its header of 80 bytes is free for our note."""
    return note.encode().ljust(80) + export_stl(mesh)[80:]
