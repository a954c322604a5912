"""The heart's surfaces: closed, smooth meshes in world mm from the borders' signed distances."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.surface.borders import FAR_VOXELS, FIELDS, MARGIN, Borders
from dmcvr.surface.triangles import Triangles

#: Each surface we offer, and the labels it encloses; lv_epicardium is the outside of the whole LV.
STRUCTURES: dict[str, tuple[int, ...]] = {
    **{name: (label,) for label, name in LABEL_NAMES.items()},
    "lv_epicardium": FIELDS["lv_epicardium"],
}

#: Standard deviation, in voxels, of the smoothing that takes the voxels' stairs off a border.
SMOOTH_VOXELS = 1.0

#: No grid point lies nearer to a surface than this (voxels): triangles without area would come of it.
CLEARANCE_VOXELS = 0.02

#: How often the level is corrected by what the enclosed volume still lacks.
REFINEMENTS = 1

#: By so much at most, in voxels.
MOST_VOXELS = (-0.25, 0.25)

#: A hollow counts as the wall's inner surface from this share of its outer volume; a smaller one is filled.
HOLLOW = 0.02


def structure_mesh(borders: Borders, name: str, *, smooth_voxels: float = SMOOTH_VOXELS) -> Triangles | None:
    """The closed surface of one structure, in one piece, with normals pointing outward; None where it is absent.

    =============  =======  ========================================================================================
    borders                 the phase's signed distances
    name                    a key of `STRUCTURES`; another raises `KeyError`
    smooth_voxels           standard deviation of the smoothing; 0 leaves the borders as they are
    =============  =======  ========================================================================================

    The signed distance is smoothed and its level set taken that encloses as much as the label map's voxels, so
    smoothing neither shrinks nor swells. A level set cannot cut itself, and nothing is moved afterwards. The original
    marching cubes (Lorensen and Cline, 1987) as scikit-image has them treat voxels that touch diagonally the same way
    on both sides of a face, so the surface is closed; Lewiner's variant is not always.
    """
    inside = np.isin(borders.labels, STRUCTURES[name])
    count = int(inside.sum())
    if count == 0:
        return None
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    box = tuple(slice(part.start - MARGIN, part.stop + MARGIN) for part in found)
    field = _field(borders, name)[box]
    if smooth_voxels:
        field = ndimage.gaussian_filter(field, smooth_voxels, truncate=3.0, mode="nearest")
    field = np.pad(field[1:-1, 1:-1, 1:-1], 1, constant_values=FAR_VOXELS)  # nothing runs out of the box
    affine = borders.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    wanted_mm3 = count * abs(np.linalg.det(affine[:3, :3]))
    below, above = np.partition(field.ravel(), (count - 1, count))[count - 1 : count + 1]
    level = float(below + above) / 2
    mesh = _level_set(field, level, affine, hollow=name == "lv_myocardium")
    for _ in range(REFINEMENTS):
        lacking = float(wanted_mm3 - mesh.volume) / float(mesh.area) / borders.voxel_mm
        level = max(level + float(np.clip(lacking, *MOST_VOXELS)), float(field.min()) + 2 * CLEARANCE_VOXELS)
        mesh = _level_set(field, level, affine, hollow=name == "lv_myocardium")
    return mesh


def _level_set(
    field: Float32[np.ndarray, "A B C"], level: float, affine: Float64[np.ndarray, "4 4"], *, hollow: bool
) -> Triangles:
    """The closed surface where the field has this level, in mm."""
    right_handed = np.linalg.det(affine[:3, :3]) > 0
    voxels, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call, unused-ignore]
        _clear(field - np.float32(level)),
        level=0.0,
        method="lorensen",
        gradient_direction="descent" if right_handed else "ascent",
    )
    vertices = voxels.astype(np.float64) @ affine[:3, :3].T + affine[:3, 3]
    return _one_piece(vertices, faces, hollow=hollow)


def _field(borders: Borders, name: str) -> Float32[np.ndarray, "A B C"]:
    """Signed distance to a structure's border; the wall lies inside the epicardium and outside the cavity."""
    if name != "lv_myocardium":
        return borders.distance(name)
    return np.maximum(borders.distance("lv_epicardium"), -borders.distance("lv_cavity"))


def _clear(field: Float32[np.ndarray, "A B C"]) -> Float32[np.ndarray, "A B C"]:
    """The field with no value nearer to zero than `CLEARANCE_VOXELS`."""
    near = np.abs(field) < CLEARANCE_VOXELS
    return np.where(near, np.where(field < 0, -CLEARANCE_VOXELS, CLEARANCE_VOXELS), field).astype(np.float32)


def _one_piece(vertices: Float64[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], *, hollow: bool) -> Triangles:
    """The mesh of the largest piece; of the hollows in it, the largest one if asked for."""
    pieces, of_vertex = connected_components(
        coo_matrix((np.ones(len(faces)), (faces[:, 0], faces[:, 1])), shape=(len(vertices),) * 2), directed=False
    )
    a, b, c = np.moveaxis(vertices[faces] - vertices.mean(axis=0), 1, 0)
    of_face = of_vertex[faces[:, 0]]
    volumes = np.bincount(of_face, (np.cross(a, b) * c).sum(axis=1) / 6, minlength=pieces)
    kept = [int(volumes.argmax())]
    if hollow and volumes.min() < -HOLLOW * volumes.max():
        kept.append(int(volumes.argmin()))
    faces = faces[np.isin(of_face, kept)]
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    return Triangles(vertices[used], (np.cumsum(used) - 1)[faces])
