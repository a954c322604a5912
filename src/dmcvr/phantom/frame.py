"""Where the heart frame lies in the world, and the regular grids on which it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.phantom.solid import Array

#: A part of an array's three axes, and mm before and behind something along one of them.
Box = tuple[slice, slice, slice]
Margin = tuple[float, float]


@dataclass(frozen=True)
class HeartFrame:
    """The pose of the heart frame: world = origin + x u + y v + z axis, RAS+ mm.

    ======  ====  ==========================================================================
    origin  (3,)  where the centre line meets the height of the base at end-diastole, but for the bend
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

    def affine(
        self, start_mm: tuple[float, float, float] = (0, 0, 0), step_mm: tuple[float, float, float] = (1, 1, 1)
    ) -> NDArray[np.float64]:
        """(4, 4) grid index (i, j, k, 1) to world for a grid that starts here (heart frame) with these steps.

        Without either: the heart frame itself to the world.
        """
        turn = np.stack([self.u, self.v, self.axis], axis=1)
        out = np.eye(4)
        out[:3, :3] = turn * np.array(step_mm)
        out[:3, 3] = self.origin + turn @ np.array(start_mm)
        return out

    def to_world(self, point_mm: Sequence[float]) -> NDArray[np.float64]:
        """(3,) a point of the heart frame in the world, RAS+ mm."""
        return self.origin + self.turned(point_mm)

    def turned(self, direction: Sequence[float]) -> NDArray[np.float64]:
        """(3,) a direction of the heart frame in the world."""
        return np.asarray(np.stack([self.u, self.v, self.axis], axis=1) @ np.asarray(direction, dtype=np.float64))


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

    def around(self, other: Grid, margin_mm: tuple[Margin, Margin, Margin] = ((0, 0),) * 3) -> Box:
        """Where the other grid lies in this one, with a margin before and behind it along each axis."""
        axes = zip((self.x, self.y, self.z), (other.x, other.y, other.z), margin_mm, strict=True)
        x, y, z = (
            slice(*(int(n) for n in np.searchsorted(own, (float(its[0]) - before, float(its[-1]) + behind))))
            for own, its, (before, behind) in axes
        )
        return x, y, z

    def within(self, box: Box) -> Grid:
        """The part in a box of samples."""
        return Grid(self.x[box[0]], self.y[box[1]], self.z[box[2]])

    def mesh(self) -> tuple[Array, Array, Array]:
        """x (I, 1, 1), y (1, J, 1) and z (1, 1, K): they broadcast to the grid's shape."""
        return self.x[:, None, None], self.y[None, :, None], self.z[None, None, :]


def axis_samples(centre_mm: float, count: int, step_mm: float) -> Array:
    """(count,) positions spaced `step_mm` around a centre."""
    return (centre_mm + (np.arange(count) - (count - 1) / 2) * step_mm).astype(np.float32)
