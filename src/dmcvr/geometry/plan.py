"""Which acquired slices lie around each wanted position, and how far it is between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int


@dataclass(frozen=True)
class Plan:
    """For each of M dense positions: its acquired neighbours, and how far it lies between them.

    ===========  ====  ===========================================================
    acquired_mm  (N,)  where the acquired slices are, ascending
    lower        (M,)  index of the acquired slice at or before the position
    upper        (M,)  index of the next one
    fraction     (M,)  0 at `lower`, 1 at `upper`; clamped outside the stack
    ===========  ====  ===========================================================
    """

    acquired_mm: Float64[np.ndarray, " N"]
    lower: Int[np.ndarray, " M"]
    upper: Int[np.ndarray, " M"]
    fraction: Float64[np.ndarray, " M"]

    @classmethod
    def between(cls, acquired_mm: Float64[np.ndarray, " N"], wanted_mm: Float64[np.ndarray, " M"]) -> Plan:
        """Positions along the stack's normal, in mm; `acquired_mm` ascending, at least two."""
        lower = np.clip(np.searchsorted(acquired_mm, wanted_mm, side="right") - 1, 0, len(acquired_mm) - 2)
        gap = acquired_mm[lower + 1] - acquired_mm[lower]
        fraction = np.clip((wanted_mm - acquired_mm[lower]) / gap, 0, 1)
        return cls(np.asarray(acquired_mm, dtype=np.float64), lower, lower + 1, fraction)

    @property
    def gap_mm(self) -> Float64[np.ndarray, " M"]:
        """(M,) distance between the two neighbours."""
        return self.acquired_mm[self.upper] - self.acquired_mm[self.lower]

    @property
    def positions_mm(self) -> Float64[np.ndarray, " M"]:
        """(M,) the positions, those outside the stack moved to its ends."""
        return self.acquired_mm[self.lower] + self.fraction * self.gap_mm

    def with_acquired(self) -> tuple[Plan, Int[np.ndarray, " _"]]:
        """A plan of all distinct positions, the acquired ones too; and where they, then this plan's, are in it."""
        wanted = np.concatenate([self.acquired_mm, self.positions_mm])
        distinct, where = np.unique(np.round(wanted, 6), return_inverse=True)
        return Plan.between(self.acquired_mm, distinct), where

    def __getitem__(self, index: slice) -> Plan:
        """Of these positions."""
        return Plan(self.acquired_mm, self.lower[index], self.upper[index], self.fraction[index])

    def __len__(self) -> int:
        return len(self.fraction)


def blend(values: Float32[np.ndarray, " N *D"], plan: Plan) -> Float32[np.ndarray, " M *D"]:
    """Linear interpolation of (N, ...) along the stack: (M, ...)."""
    return mixed(values[plan.lower], values[plan.upper], plan)


def mixed(
    below: Float32[np.ndarray, " M *D"], above: Float32[np.ndarray, " M *D"], plan: Plan
) -> Float32[np.ndarray, " M *D"]:
    """Two arrays (M, ...) at the plan's fractions: their weighted mean."""
    f = plan.fraction.reshape(-1, *[1] * (below.ndim - 1)).astype(np.float32)
    return (1 - f) * below + f * above
