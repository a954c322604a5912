"""A dense image or label map: arrays and their place in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped

from dmcvr.errors import InputError

#: Written into every file whose frame shows the heart so.
MIRRORED = "MIRROR IMAGE of the heart"


@dataclass(frozen=True)
class Volume:
    """Voxels of one or more phases on one grid.

    ============  ================  ==========================================
    data          (P, I, J, K)      any dtype, P phases
    affine        (4, 4)            float64, voxel (i, j, k, 1) to RAS+ mm
    ============  ================  ==========================================
    """

    data: Shaped[np.ndarray, "P I J K"]
    affine: Float64[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        if self.data.ndim != 4:
            raise InputError(f"Expected a volume as (phases, i, j, k); got shape {self.data.shape}.")
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along i, j and k."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def slice_affines(affine: Float64[np.ndarray, "4 4"], count: int) -> Float64[np.ndarray, "K 4 4"]:
    """(K, 4, 4) pixel (i, j, 0, 1) to world for each slice k of a regular grid."""
    affines = np.repeat(affine[None], count, axis=0)
    affines[:, :3, 3] += np.arange(count)[:, None] * affine[:3, 2]
    return affines
