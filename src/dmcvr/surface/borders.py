"""Where the structures' borders run, finer than voxels: signed distances on the part of the grid that holds the heart.

A label map says on which side of a border each voxel lies; the scores that it was chosen from say how far. Both make
one field for each of LV cavity, whole LV and RV cavity: never further than half a voxel from what the labels say, and
light enough (a byte a voxel and structure) to be kept for every phase of a cine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8, UInt8
from scipy import ndimage

from dmcvr.labels.distances import margins
from dmcvr.threads import each

#: Labels inside each field's border, in the order of `dmcvr.labels.distances.signed_distances`.
FIELDS = {"lv_cavity": (1,), "lv_epicardium": (1, 2), "rv_cavity": (3,)}

#: Steps of the bytes, one voxel; and the distance, in voxels, that they do not exceed.
STEPS, FAR_VOXELS = 32, 3.5

#: Squared distances of so much and more tell no more: scores do not move such a border to within `FAR_VOXELS`.
BEYOND = 25

#: Voxels around the heart: beyond them nothing is smoothed or sampled.
MARGIN = 4

#: How far, in voxels, scores may move a border from where the label map has it.
TRUST_VOXELS = 0.5


@dataclass(frozen=True)
class Borders:
    """Signed distances of one phase's heart.

    ========  ============  ==============================================================================
    steps     (3, A, B, C)  distance in voxels times `STEPS`, negative inside, in the order of `FIELDS`
    labels    (A, B, C)     the labels there
    affine    (4, 4)        voxel (a, b, c, 1) to RAS+ mm
    ========  ============  ==============================================================================

    Beyond the grid lies nothing: a structure that reaches its border ends half a voxel outside the last voxel.
    """

    steps: Int8[np.ndarray, "3 A B C"]
    labels: UInt8[np.ndarray, "A B C"]
    affine: Float64[np.ndarray, "4 4"]

    @classmethod
    def of(
        cls,
        labels: UInt8[np.ndarray, "I J K"],
        affine: Float64[np.ndarray, "4 4"],
        scores: Float32[np.ndarray, "4 I J K"] | None = None,
    ) -> Borders:
        """From a label map (I, J, K) and, if there are any, the scores (4, I, J, K) that it was chosen from.

        Labels win: where something else was decided after the scores (a stray piece was removed, an apex closed), the
        border runs half way between voxels.
        """
        found = ndimage.find_objects((labels > 0).astype(np.uint8))
        box = found[0] if found else (slice(0, 1),) * 3
        inner = np.pad(labels[box], MARGIN)
        moved = affine.copy()
        moved[:3, 3] += affine[:3, :3] @ [part.start - MARGIN for part in box]
        fields = np.stack(each(lambda inside: _by_labels(np.isin(inner, inside)), FIELDS.values()))
        if scores is not None:
            wide = tuple(slice(max(0, p.start - MARGIN), p.stop + MARGIN) for p in box)
            inside_grid = tuple(
                slice(w.start - p.start + MARGIN, w.start - p.start + MARGIN + n)
                for w, p, n in zip(wide, box, labels[wide].shape, strict=True)
            )
            part = (slice(None), *inside_grid)
            fields[part] = _refined(fields[part], margins(scores[(slice(None), *wide)]))
        steps = np.rint(np.clip(fields, -FAR_VOXELS, FAR_VOXELS) * STEPS).astype(np.int8)
        return cls(steps, inner, moved)

    def distance(self, name: str) -> Float32[np.ndarray, "A B C"]:
        """(A, B, C) of one of `FIELDS`, in voxels; `KeyError` for another."""
        number = {field: n for n, field in enumerate(FIELDS)}[name]
        return self.steps[number].astype(np.float32) / STEPS

    @property
    def voxel_mm(self) -> float:
        """The mean size of a voxel."""
        return float(np.linalg.norm(self.affine[:3, :3], axis=0).mean())


def _by_labels(mask: Bool[np.ndarray, "A B C"]) -> Float32[np.ndarray, "A B C"]:
    """Distance in voxels to the border that runs half way between voxels inside and outside, as far as it tells."""
    if not mask.any():
        return np.full(mask.shape, FAR_VOXELS, dtype=np.float32)
    away = np.sqrt(np.arange(BEYOND + 1))
    inside, outside = (0.5 - away).astype(np.float32), (away - 0.5).astype(np.float32)
    return np.where(mask, inside[_squared(mask)], outside[_squared(~mask)])


def _squared(mask: Bool[np.ndarray, "A B C"]) -> UInt8[np.ndarray, "A B C"]:
    """The squared distance in voxels to the nearest one that is not in the mask; `BEYOND` from there on.

    One axis after the other (Felzenszwalb & Huttenlocher 2012, Sect. 2), which for so short a way is exact and quick.
    """
    squared = np.where(mask, np.uint8(BEYOND), np.uint8(0))
    for axis in range(mask.ndim):
        here = np.moveaxis(squared, axis, 0)
        least = here.copy()
        for step in range(1, round(BEYOND**0.5)):
            farther = here + np.uint8(step**2)
            np.minimum(least[step:], farther[:-step], out=least[step:])
            np.minimum(least[:-step], farther[step:], out=least[:-step])
        squared = np.moveaxis(least, 0, axis)
    return squared


def _refined(
    by_labels: Float32[np.ndarray, "F A B C"], by_scores: Float32[np.ndarray, "F A B C"]
) -> Float32[np.ndarray, "F A B C"]:
    """Distances of F fields by labels, moved to where the scores cross; scores become distances by their slope."""
    out = by_labels.copy()
    for field, margin in zip(out, by_scores, strict=True):
        if min(field.shape) < 2:
            continue
        slope = np.sqrt(sum(np.square(part) for part in np.gradient(margin)))
        distance = margin / np.maximum(slope, 1e-6)
        agree = ndimage.binary_erosion((distance < 0) == (field < 0))  # at the grid's end, scores see no border
        near = np.clip(distance, field - TRUST_VOXELS, field + TRUST_VOXELS)
        field[agree] = near[agree]
    return out
