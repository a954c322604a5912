"""Wall thickness of the left ventricle in the 17 segments of the American Heart Association.

Segments: Cerqueira et al., Circulation 2002, 105:539. The LV's long axis runs through the centroids of its cavity.
From the most basal slice with myocardium all around to the end of the cavity, three equal levels: base (segments 1-6),
mid (7-12), apex (13-16); what lies beyond the cavity is segment 17. Sectors of 60 degrees (90 at the apex) are counted
around the axis from the anterior insertion of the RV, the border of segments 1 and 2 (7 and 8).

Thickness: at a point in the middle of the wall, its distance to the endocardium plus its distance to the epicardium,
in 3D, so that a wall that is oblique to the slices does not look thick.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Real, UInt8
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from dmcvr.labels.base import base_is_first
from dmcvr.threads import each

Array = NDArray[np.float64]

#: Segments around the axis, from the anterior insertion away from the septum; and where the first begins, in degrees.
LEVELS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((1, 6, 5, 4, 3, 2), 0.0),
    ((7, 12, 11, 10, 9, 8), 0.0),
    ((13, 16, 15, 14), -15.0),
)

#: A slice counts from this share of its circumference with myocardium ("all 360 degrees", less a ragged voxel).
WHOLE_RING = 0.97

#: Myocardium this near to the RV cavity is septum.
SEPTUM_MM = 4.0

#: The anterior insertion, from the septum's middle, where RV and LV do not touch.
USUAL_INSERTION_DEG = 60.0

#: Standard deviation, in voxels, of the blur that takes the stairs off a surface.
BLUR_VOXELS = 0.8

#: The largest thickness is this percentile of the local ones: the maximum without its outliers.
LARGEST_PERCENTILE = 98

METHOD = (
    "Distance to the endocardium plus distance to the epicardium (3D, sub-voxel surfaces) at points in the middle of "
    "the wall of the dense label map, averaged over each AHA segment (Cerqueira 2002: three equal levels from the most "
    "basal slice with myocardium all around to the end of the cavity, sectors counted from the anterior RV insertion); "
    f"the maximum is the {LARGEST_PERCENTILE}th percentile of the local thickness above segment 17, which "
    "itself rests on how the gap to the first slice without heart was filled."
)


@dataclass(frozen=True)
class WallThickness:
    """Mean thickness in mm of each segment 1-17 (None: not in the picture), of the whole wall, and the largest."""

    segments_mm: dict[int, float | None]
    mean_mm: float
    max_mm: float


@dataclass(frozen=True)
class _Wall:
    """The labels between base and apex, and the LV's long axis.

    =========  =========  =====================================================================================
    labels     (I, J, K)  uint8, from the basal slice on, base first
    affine     (4, 4)     voxel to mm
    origin     (3,)       where the axis leaves the basal plane
    axis       (3,)       unit vector, base to apex
    length_mm             along the axis to the end of the cavity
    ends       bool       whether the LV ends inside the grid
    =========  =========  =====================================================================================
    """

    labels: UInt8[np.ndarray, "I J K"]
    affine: Array
    origin: Array
    axis: Array
    length_mm: float
    ends: bool

    def world(self, voxels: Real[np.ndarray, "M 3"]) -> Array:
        """(M, 3) voxel indices to mm."""
        return np.asarray(voxels @ self.affine[:3, :3].T + self.affine[:3, 3])

    @property
    def voxel_mm(self) -> float:
        return float(np.linalg.norm(self.affine[:3, :3], axis=0).mean())


def wall_thickness(
    labels: UInt8[np.ndarray, "I J K"],
    affine: Float64[np.ndarray, "4 4"],
    anterior: Float64[np.ndarray, " 3"] | None = None,
) -> WallThickness | None:
    """Measure one phase; None where no slice has a whole ring of myocardium.

    ========  =========  ==================================================================================
    labels    (I, J, K)  uint8, the package's labels, near isotropic; slices along the last axis
    affine    (4, 4)     voxel (i, j, k, 1) to mm
    anterior  (3,)       roughly where the anterior wall lies from the septum's middle: tells a mirrored
                         world; default: the world is a patient's
    ========  =========  ==================================================================================

    Without an RV there are no segments: they are None.
    """
    wall = _find_wall(labels, affine)
    if wall is None:
        return None
    points, thickness = _mid_wall(wall)
    if len(points) == 0:
        return None
    local = thickness[_depth(wall, points) <= wall.length_mm]
    return WallThickness(
        _by_segment(wall, points, thickness, anterior),
        float(thickness.mean()),
        float(np.percentile(local if len(local) else thickness, LARGEST_PERCENTILE)),
    )


def _find_wall(labels: NDArray[np.uint8], affine: Array) -> _Wall | None:
    if not base_is_first(np.moveaxis(labels, 2, 0)[None]):
        labels = labels[:, :, ::-1]
        affine = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, labels.shape[2] - 1], [0, 0, 0, 1.0]])
    whole = [k for k in range(labels.shape[2]) if _ring(labels[:, :, k]) >= WHOLE_RING]
    if not whole:
        return None
    affine = affine.copy()
    affine[:3, 3] += affine[:3, 2] * whole[0]
    labels = labels[:, :, whole[0] :]
    areas = (labels == 1).sum(axis=(0, 1))
    inside = np.flatnonzero(areas)
    centres = np.array([np.argwhere(labels[:, :, k] == 1).mean(axis=0) for k in inside])
    degree = 1 if len(inside) > 1 else 0
    lines = [np.polynomial.Polynomial.fit(inside, c, degree, w=np.sqrt(areas[inside])) for c in centres.T]
    top, bottom = (
        np.array([*(line(k) for line in lines), k]) @ affine[:3, :3].T + affine[:3, 3] for k in (-0.5, inside[-1] + 0.5)
    )
    length_mm = float(np.linalg.norm(bottom - top))
    ends = not np.isin(labels[:, :, -1], (1, 2)).any()
    return _Wall(labels, affine, top, (bottom - top) / length_mm, length_mm, ends)


def _ring(labels: NDArray[np.uint8]) -> float:
    """The share of the directions from the cavity's centroid, ten degrees each, that meet myocardium."""
    cavity, muscle = np.argwhere(labels == 1), np.argwhere(labels == 2)
    if len(cavity) == 0 or len(muscle) == 0:
        return 0.0
    a, b = (muscle - cavity.mean(axis=0)).T
    return len(np.unique(np.degrees(np.arctan2(b, a)) // 10)) / 36


def _mid_wall(wall: _Wall) -> tuple[Array, Array]:
    """Points (M, 3) in mm in a layer, one voxel thin, in the middle of the wall; and the thickness there (M,)."""
    pad = int(np.ceil(30 / wall.voxel_mm))  # the cut at the base is no surface: the wall goes on above it
    where = np.argwhere(np.isin(wall.labels, (1, 2)).any(axis=2))
    (i, j), (last_i, last_j) = where.min(axis=0), where.max(axis=0)
    heart = wall.labels[i : last_i + 1, j : last_j + 1]
    padded = np.pad(np.pad(heart, ((0, 0), (0, 0), (pad, 0 if wall.ends else pad)), mode="edge"), 3)
    shift = np.array([3 - i, 3 - j, pad + 3])
    near_muscle = ndimage.distance_transform_edt(padded != 2)
    points = wall.world(np.argwhere(wall.labels == 2))

    def away(inside: tuple[int, ...]) -> Array | None:
        """(M,) how far each point is from the surface of what has these labels; None without one beside muscle."""
        surface = _surface(np.isin(padded, inside))
        keep = ndimage.map_coordinates(near_muscle, surface.T, order=1) <= 1.2
        tree = KDTree(wall.world(surface[keep] - shift))
        return np.asarray(tree.query(points)[0]) if tree.n and len(points) else None

    inner, outer = each(away, ((1,), (1, 2)))
    if inner is None or outer is None:
        return np.empty((0, 3)), np.empty(0)
    middle = np.abs(inner - outer) <= wall.voxel_mm
    return points[middle], (inner + outer)[middle]


def _surface(mask: NDArray[np.bool_]) -> Array:
    """(V, 3) voxel coordinates of points on a mask's surface, no further apart than a voxel."""
    from skimage.measure import marching_cubes

    if not mask.any():
        return np.empty((0, 3))
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), BLUR_VOXELS)
    if smooth.max() <= 0.5:
        return np.empty((0, 3))
    vertices, faces, _, _ = marching_cubes(smooth, 0.5)  # type: ignore[no-untyped-call, unused-ignore]
    return np.concatenate([vertices, vertices[faces].mean(axis=1)]).astype(np.float64)


def _depth(wall: _Wall, points: Array) -> Array:
    """(M,) mm along the axis from the base."""
    return np.asarray((points - wall.origin) @ wall.axis)


def _by_segment(
    wall: _Wall, points: Array, thickness: Array, anterior: NDArray[np.float64] | None
) -> dict[int, float | None]:
    segments: dict[int, float | None] = dict.fromkeys(range(1, 18))
    right = wall.world(np.argwhere(wall.labels == 3))
    if len(right) == 0:
        return segments
    septal = _across(wall, right).mean(axis=0)
    septal /= np.linalg.norm(septal)
    up = np.cross(septal, wall.axis)  # seen from the apex with the RV on the left, the anterior wall is up
    if anterior is not None and up @ anterior < 0:
        up = -up
    axes = np.stack([septal, up], axis=1)

    depth = _depth(wall, points)
    level = np.clip(depth / wall.length_mm * 3, 0, None).astype(int)
    insertions = _insertions_deg(wall, axes)
    angle = _angles_deg(wall, points, axes)
    for n, ((numbers, first_deg), insertion_deg) in enumerate(zip(LEVELS, insertions, strict=True)):
        sector = ((angle - insertion_deg - first_deg) % 360 * len(numbers) / 360).astype(int)
        for place, number in enumerate(numbers):
            found = thickness[(level == n) & (sector == place)]
            segments[number] = float(found.mean()) if len(found) else None
    cap = thickness[depth > wall.length_mm]
    segments[17] = float(cap.mean()) if wall.ends and len(cap) else None
    return segments


def _across(wall: _Wall, points: Array) -> Array:
    """(M, 3) vectors from the axis to the points, square to it."""
    offset = points - wall.origin
    return np.asarray(offset - np.outer(offset @ wall.axis, wall.axis))


def _angles_deg(wall: _Wall, points: Array, axes: Array) -> Array:
    """(M,) angle around the axis: 0 at the septum's middle, 90 anterior, in (-180, 180]."""
    a, b = (_across(wall, points) @ axes).T
    return np.asarray(np.degrees(np.arctan2(b, a)))


def _insertions_deg(wall: _Wall, axes: Array) -> list[float]:
    """The angle of the anterior RV insertion at each level; a level without RV takes its neighbour's."""
    spacing = np.linalg.norm(wall.affine[:3, :3], axis=0)
    box = ndimage.find_objects(np.minimum(wall.labels, 1))[0]
    to_right = np.full(wall.labels.shape, np.inf)
    to_right[box] = ndimage.distance_transform_edt(wall.labels[box] != 3, sampling=spacing)
    near = (wall.labels == 2) & (to_right <= max(SEPTUM_MM, 1.8 * wall.voxel_mm))
    of_level: list[list[float]] = [[], [], []]
    for k in np.flatnonzero(near.any(axis=(0, 1))):
        septum = wall.world(np.argwhere(near[:, :, k : k + 1]) + np.array([0, 0, k]))
        angles = _angles_deg(wall, septum, axes)
        level = int(_depth(wall, septum).mean() / wall.length_mm * 3)
        if np.ptp(angles) > 45 and 0 <= level < 3:
            of_level[level].append(float(np.percentile(angles, 98)))
    found = {n: float(np.median(values)) for n, values in enumerate(of_level) if values} or {0: USUAL_INSERTION_DEG}
    return [found[min(found, key=lambda known: abs(known - n))] for n in range(3)]
