"""Long-axis pictures of the heart: pixels, their place in the world, and which of them belong to a stack's phases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8

from dmcvr.exam.stack import SliceStack

#: A phase has a picture of another cine where that lies within this share of the heartbeat.
NEAR_ENOUGH = 0.1

#: A plane that meets the short axis at a smaller angle is no long-axis view of it.
LEAST_ANGLE_DEG = 45.0

#: Pixels of a plane are looked at so far apart (mm), to see whether it comes near a stack.
COARSE_MM = 5.0

#: What a plane is called of which nothing tells which view it is.
UNKNOWN_VIEW = "long-axis"


@dataclass(frozen=True)
class View:
    """One long-axis picture in the exam's world frame.

    ============  ======  ==================================================================
    name                  "4-chamber", "4-chamber-2", ...: the same for all pictures of a plane
    phase                 the stack's phase that it belongs to
    image         (I, J)  float32, any intensity unit
    affine        (4, 4)  pixel (i, j, 0, 1) to RAS+ mm
    labels        (I, J)  uint8, the package's labels; None if unknown
    thickness_mm  scalar  how thick the slice is; None if unknown
    series                what `dmcvr inspect` calls its series; "" where there is none
    ============  ======  ==================================================================
    """

    name: str
    phase: str
    image: Float32[np.ndarray, "I J"]
    affine: Float64[np.ndarray, "4 4"]
    labels: UInt8[np.ndarray, "I J"] | None = None
    thickness_mm: float | None = None
    series: str = ""

    @property
    def normal(self) -> Float64[np.ndarray, " 3"]:
        """(3,) unit normal of the plane."""
        normal = np.cross(self.affine[:3, 0], self.affine[:3, 1])
        return np.asarray(normal / np.linalg.norm(normal))

    def carried(self, world: Float64[np.ndarray, "4 4"]) -> View:
        """The same picture in another world, by (4, 4) world to world."""
        return replace(self, affine=world @ self.affine)

    def negative(self) -> View:
        """The same picture with dark and bright exchanged."""
        return replace(self, image=self.image.max() - self.image)


def planes_of(views: Iterable[View]) -> dict[str, tuple[View, ...]]:
    """The pictures of each plane, in their order, by a name that may be a file's: each once, of plain letters."""
    planes: dict[tuple[str, bytes], list[View]] = {}
    for view in views:
        planes.setdefault((view.name, np.round(view.affine, 3).tobytes()), []).append(view)
    plain = [re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or UNKNOWN_VIEW for name, _ in planes]
    return dict(zip(numbered(plain), map(tuple, planes.values()), strict=True))


def numbered(names: Sequence[str]) -> list[str]:
    """The names, each once: "4-chamber", "4-chamber-2", ..."""
    found: list[str] = []
    for name in names:
        tries = (name if count == 1 else f"{name}-{count}" for count in range(1, len(names) + 1))
        found.append(next(text for text in tries if text not in found))
    return found


def nearest_in_beat(wanted: Float64[np.ndarray, " P"], own: Float64[np.ndarray, " Q"]) -> Int[np.ndarray, " P"]:
    """(P,) for each fraction of the heartbeat, which of the own ones is nearest, round the beat; -1 where none is near.

    Hearts beat at another rate in each breath-hold: fractions of the beat are what pictures have in common.
    """
    away = beats_apart(own, wanted)
    return np.where(away.min(axis=1) <= NEAR_ENOUGH + 1e-3, away.argmin(axis=1), -1)


def beats_apart(own: Float64[np.ndarray, " Q"], wanted: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, "P Q"]:
    """(P, Q) shares of a heartbeat between moments that are given as such, the shorter way round."""
    return np.abs((own[None] - wanted[:, None] + 0.5) % 1 - 0.5)


def angle_to_short_axis_deg(view: View, stack: SliceStack) -> float:
    """Between the view's plane and the slices': 90 for a proper long axis."""
    return float(np.degrees(np.arccos(np.clip(abs(view.normal @ stack.normal), 0, 1))))


def misplaced(
    affine: Float64[np.ndarray, "4 4"],
    shape: tuple[int, int],
    affines: Float64[np.ndarray, "N 4 4"],
    size: tuple[int, int],
) -> str:
    """Why a picture of this place and shape is no view of the stack with these affines and size; "" where it is one.

    It is none where it lies along the slices, or wholly beside the block that they stand for and a gap around it.
    """
    normal, across = (np.cross(a[:3, 0], a[:3, 1]) for a in (affines[0], affine))
    normal, across = normal / np.linalg.norm(normal), across / np.linalg.norm(across)
    if abs(normal @ across) > np.cos(np.radians(LEAST_ANGLE_DEG)):
        angle = np.degrees(np.arccos(min(1.0, abs(float(normal @ across)))))
        return f"its plane lies {angle:.0f} degrees to the short axis"
    steps = (max(1, int(COARSE_MM / np.linalg.norm(affine[:3, k]))) for k in (0, 1))
    i, j = np.meshgrid(*(np.arange(0, count, step) for count, step in zip(shape, steps, strict=True)), indexing="ij")
    world = affine[:3, :2] @ np.stack([i.ravel(), j.ravel()]) + affine[:3, 3:]
    heights, places = normal @ world, affines[:, :3, 3] @ normal
    margin = np.ptp(places) / (len(places) - 1)
    near = (heights > places.min() - margin) & (heights < places.max() + margin)
    flat = affines[0].copy()
    flat[:3, 2] = normal
    pixels = (np.linalg.inv(flat)[:2] @ np.vstack([world, np.ones_like(heights)]))[:, near]
    inside = (pixels > -0.5) & (pixels < np.array(size)[:, None] - 0.5)
    return "" if inside.all(axis=0).any() else "it lies wholly beside the short-axis stack"
