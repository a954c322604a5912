"""Volumes inside the page: bytes of grey, gzipped NIfTI, base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.exam.volume import Volume
from dmcvr.io.nifti import nifti_bytes
from dmcvr.io.pack import packed
from dmcvr.report.scene import MAX_VOXELS, Scene
from dmcvr.threads import each

#: All phases of a cine together have no more voxels than this.
MAX_CINE_VOXELS = 9_000_000

#: A label this likely to be another is shown as unsure, in steps of so much (percent); more than the last is one step.
UNSURE_PERCENT = (10, 20, 30, 40)

#: What was completed is hatched: bands so wide, in mm, in each cut at 45 degrees.
BAND_MM = 2.5


def viewer_sets(scene: Scene, phases: Sequence[str], ed_es: list[str]) -> list[dict[str, Any]]:
    """What the viewer loads: up to two phases whole; of more, ED and ES whole and a coarser cine of all.

    Each set is ``{"name", "phases", "spacing_mm", "image", "labels", "acquired", "between",
    "completed", "unsure"}``, volumes as base64;
    "acquired", "completed" and "unsure" are None where there is nothing of the kind; a cine has no "unsure".
    """
    if len(phases) <= 2:
        return [_set("full", scene.within(MAX_VOXELS), phases)]
    chosen = [phase for phase in phases if phase in ed_es]
    full = scene.phases([phases.index(phase) for phase in chosen]).within(MAX_VOXELS)
    cine = replace(scene, uncertainty=None).within(MAX_CINE_VOXELS // len(phases))
    if cine.image is scene.image:  # small enough to be shown whole
        return [_set("full", scene, phases)]
    return [_set("full", full, chosen), _set("cine", cine, phases)]


def _set(name: str, scene: Scene, phases: Sequence[str]) -> dict[str, Any]:
    unsure = None
    if scene.uncertainty is not None:
        unsure = np.digitize(np.arange(256), UNSURE_PERCENT).astype(np.uint8)[scene.uncertainty]
    between = np.zeros(scene.labels.shape[1:], dtype=np.uint8)
    between[:, :, ~scene.measured] = 1
    slices = None if scene.acquired is None else _spacious(scene, scene.acquired)
    volumes = {
        "image": _spacious(scene, scene.image),
        "labels": scene.labels,
        "acquired": None if slices is None else np.moveaxis(slices[:, scene.nearest], 1, 3),
        "between": between[None],
        "completed": hatched(scene) if scene.completed.any() else None,
        "unsure": unsure,
    }
    texts = each(lambda data: None if data is None else embedded(scene, data), volumes.values())
    about = {"name": name, "phases": phases, "spacing_mm": scene.spacing_mm, "shape": list(scene.image.shape[1:])}
    return about | dict(zip(volumes, texts, strict=True))


def _spacious(scene: Scene, images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(P, ...) as bytes, a phase at a time."""
    return np.stack(each(scene.window.spacious, images))


def hatched(scene: Scene) -> NDArray[np.uint8]:
    """(P, X, Y, Z) 1 in every other band of what was completed."""
    band = max(1, round(BAND_MM / scene.spacing_mm))
    diagonal = np.indices(scene.completed.shape[1:]).sum(axis=0) // band % 2 == 0
    return (scene.completed & diagonal).astype(np.uint8)


def embedded(scene: Scene, data: NDArray[np.uint8]) -> str:
    """(P, X, Y, Z) bytes on the scene's grid as base64 of a gzipped NIfTI file.

    z is stored fastest (the affine says so): slabs that repeat along z then compress to almost nothing.
    """
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[0, 1] = affine[1, 2] = scene.spacing_mm
    affine[:3, 3], affine[3, 3] = scene.origin_mm, 1
    return encoded(nifti_bytes(Volume(data.transpose(0, 3, 1, 2), affine)))


def encoded(data: bytes) -> str:
    """Gzipped base64; the same bytes give the same text."""
    return base64.b64encode(packed(data)).decode("ascii")
