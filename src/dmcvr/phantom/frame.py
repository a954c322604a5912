"""Where the heart frame lies in the world, and the regular grids on which it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.phantom.shape import Array


@dataclass(frozen=True)
class HeartFrame:
    """The pose of the heart frame: world = origin + x u + y v + z axis, RAS+ mm.

    ======  ====  ==========================================================================
    origin  (3,)  middle of the mitral plane at end-diastole
    u       (3,)  unit vector to the picture's right: left and posterior
    v       (3,)  unit vector downwards in the picture: inferior, a little right and posterior
    axis    (3,)  unit vector from base to apex, -(u x v): left, anterior, inferior
    ======  ====  ==========================================================================
    """

    origin: NDArray[np.float64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    axis: NDArray[np.float64]

    @classmethod
    def random(cls, rng: np.random.Generator) -> HeartFrame:
        """A pose within a few degrees of the usual one.

        The axis' largest component is the anterior one: a `SliceStack` then runs from base to apex.
        """
        axis = np.array([-0.52, 0.66, -0.54]) + rng.uniform(-0.04, 0.04, 3)
        axis /= np.linalg.norm(axis)
        u = np.array([-0.72, -0.66, -0.2]) + rng.uniform(-0.05, 0.05, 3)
        u -= (u @ axis) * axis
        u /= np.linalg.norm(u)
        return cls(np.array([-15.0, 10.0, 5.0]) + rng.uniform(-10, 10, 3), u, np.cross(u, axis), axis)

    def affine(self, start_mm: tuple[float, float, float], step_mm: tuple[float, float, float]) -> NDArray[np.float64]:
        """(4, 4) grid index (i, j, k, 1) to world for a grid that starts here (heart frame) with these steps."""
        turn = np.stack([self.u, self.v, self.axis], axis=1)
        out = np.eye(4)
        out[:3, :3] = turn * np.array(step_mm)
        out[:3, 3] = self.origin + turn @ np.array(start_mm)
        return out


@dataclass(frozen=True)
class Grid:
    """Sample positions in the heart frame, in mm: x (I,), y (J,), z (K,), each equally spaced."""

    x: Array
    y: Array
    z: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(I, J, K)."""
        return len(self.x), len(self.y), len(self.z)

    @property
    def step_mm(self) -> float:
        """Distance between neighbouring samples in the plane."""
        return float(self.x[1] - self.x[0])

    def mesh(self) -> tuple[Array, Array, Array]:
        """x (I, 1, 1), y (1, J, 1) and z (1, 1, K): they broadcast to the grid's shape."""
        return self.x[:, None, None], self.y[None, :, None], self.z[None, None, :]


def axis_samples(centre_mm: float, count: int, step_mm: float) -> Array:
    """(count,) positions spaced `step_mm` around a centre."""
    return (centre_mm + (np.arange(count) - (count - 1) / 2) * step_mm).astype(np.float32)
