"""The acquired slices as sections of a heart: signed distances in mm, base first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy.typing import NDArray

from dmcvr.labels.distances import signed_distances

#: Places of the structures in `Sections.fields`.
CAVITY, WHOLE, RIGHT = 0, 1, 2

#: A section with less than this is a crumb, or a slice that barely touched the structure.
LEAST_MM2 = 12.0


@dataclass(frozen=True)
class Sections:
    """One phase's labels, from base to apex.

    ========  ============  =========================================================================================
    depth_mm  (N,)          ascending, base first: the position along the stack's normal, or its negative
    fields    (N, 3, S, S)  signed distances in mm, negative inside: LV cavity, whole LV, RV cavity
    area_mm2  (N, 3)        of each; 0 for crumbs
    pixel_mm
    ========  ============  =========================================================================================
    """

    depth_mm: Float64[np.ndarray, " N"]
    fields: Float32[np.ndarray, "N 3 S S"]
    area_mm2: Float64[np.ndarray, "N 3"]
    pixel_mm: float

    @classmethod
    def of(cls, labels: UInt8[np.ndarray, "N S S"], depth_mm: Float64[np.ndarray, " N"], pixel_mm: float) -> Sections:
        """Labels (N, S, S) of slices at these depths, in any order."""
        order = np.argsort(depth_mm)
        fields = signed_distances(labels[order]) * np.float32(pixel_mm)
        area = np.count_nonzero(fields < 0, axis=(2, 3)) * pixel_mm**2
        return cls(depth_mm[order], fields, np.where(area < LEAST_MM2, 0.0, area), pixel_mm)

    def seen(self, structure: int) -> NDArray[np.intp]:
        """The slices that show a structure."""
        return np.flatnonzero(self.area_mm2[:, structure])

    def mask(self, n: int, structure: int) -> Bool[np.ndarray, "S S"]:
        return np.asarray(self.fields[n, structure] < 0)

    def centre(self, n: int, structure: int) -> Float64[np.ndarray, " 2"]:
        """Centroid in pixels."""
        return np.argwhere(self.mask(n, structure)).mean(axis=0)

    def gap_mm(self, n: int) -> float:
        """From slice n to the next towards the apex; after the last, as before it."""
        n = min(n, len(self.depth_mm) - 2)
        return float(self.depth_mm[n + 1] - self.depth_mm[n])
