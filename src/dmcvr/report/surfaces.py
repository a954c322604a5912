"""Surfaces inside the page: smooth, light, and in the display's frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.report.scene import Scene
from dmcvr.report.volumes import encoded

#: Edge of a triangle, about: of one or two phases, and of each of many.
FINE_MM, COARSE_MM = 1.8, 3.0

#: The label maps are blurred by this before the surface is taken: for looks, never for measures.
BLUR_MM = 1.2


def surfaces(scene: Scene) -> list[dict[str, Any]]:
    """For each phase, its structures: ``{"label": {"points", "faces", "low_mm", "step_mm"}}``.

    Points are 16-bit counts of `step_mm` from `low_mm`, faces 16- or 32-bit indices, both gzipped base64.
    """
    edge_mm = FINE_MM if len(scene.labels) <= 2 else COARSE_MM
    found = []
    for labels in scene.labels:
        meshes = {label: surface(labels, scene, label, edge_mm) for label in LABEL_NAMES}
        found.append({str(label): _packed_mesh(*mesh) for label, mesh in meshes.items() if mesh is not None})
    return found


def surface(
    labels: NDArray[np.uint8], scene: Scene, label: int, edge_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]] | None:
    """Points (V, 3) in display mm and faces (F, 3) of one structure in (X, Y, Z) labels, seen from outside.

    None where the structure is absent.
    """
    box = ndimage.find_objects((labels == label).astype(np.uint8))
    if not box:
        return None
    step = max(1.0, edge_mm / scene.spacing_mm)
    pad = int(np.ceil(3 * step))
    soft = np.pad(labels[box[0]] == label, pad).astype(np.float32)
    soft = ndimage.gaussian_filter(soft, max(BLUR_MM / scene.spacing_mm, 0.45 * step))
    size = tuple(int((n - 1) / step) + 1 for n in soft.shape)
    soft = ndimage.affine_transform(soft, np.full(3, step), 0.0, size, order=1)
    if soft.max() <= 0.5:
        return None
    pieces, count = ndimage.label(soft > 0.5)
    if count > 1:  # specks
        largest = np.bincount(pieces.ravel())[1:].argmax() + 1
        soft = np.where((pieces == 0) | (pieces == largest), soft, 0)
    points, faces, _, _ = marching_cubes(soft, 0.5, gradient_direction="ascent")  # type: ignore[no-untyped-call, unused-ignore]
    voxels = points * step - pad + [part.start for part in box[0]]
    return voxels * scene.spacing_mm + scene.origin_mm, faces


def _packed_mesh(points: NDArray[np.float64], faces: NDArray[np.intp]) -> dict[str, Any]:
    low = points.min(axis=0)
    step_mm = float(np.ptp(points, axis=0).max()) / 65535
    counts = np.round((points - low) / step_mm).astype("<u2")
    indices = faces.astype("<u2" if len(points) < 65536 else "<u4")
    return {
        "points": encoded(counts.tobytes()),
        "faces": encoded(indices.tobytes()),
        "face_bytes": indices.itemsize,
        "low_mm": np.round(low, 4).tolist(),
        "step_mm": step_mm,
    }
