"""How a result's world differs from its exam's, and labels that were made there laid back on the exam's slices.

A result slides slices into one breath-hold and may mirror a mirrored world: its dense labels lie there, and are
corrected there. The labels of the acquired slices lie where those do, but for the mirror.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack

#: Slices of a result are known again within this distance along the normal.
SAME_PLACE_MM = 0.1

#: A voxel of a grid is a pixel's where their centres are this near to each other, in voxels.
SAME_VOXEL = 0.05


@dataclass(frozen=True)
class Placement:
    """What a result did to its exam's world.

    ============  ======  ===================================================================================
    positions_mm  (N,)    of the acquired slices along their normal
    moved_mm      (N, 3)  by which each slice lay out of place, RAS+: it was moved back by so much
    unmirrored    bool    whether that world is the exam's mirror image
    ============  ======  ===================================================================================
    """

    positions_mm: Float64[np.ndarray, " N"]
    moved_mm: Float64[np.ndarray, "N 3"]
    unmirrored: bool

    @classmethod
    def of(cls, run: dict[str, Any]) -> Placement:
        """Of the dense grid, as a run's record tells; raises `InputError` where it is damaged."""
        try:
            positions = np.array(run["input"]["positions_mm"], dtype=np.float64)
            holds = run.get("breath_holds") or {}
            moved = np.array([slice_["ras_mm"] for slice_ in holds.get("slices", ())], dtype=np.float64)
            if moved.size == 0:
                moved = np.zeros((len(positions), 3))
            if positions.ndim != 1 or moved.shape != (len(positions), 3):
                raise ValueError
            return cls(positions, moved, bool(run.get("heart", {}).get("unmirrored")))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("The record run.json beside the labels is damaged: reconstruct the exam again.") from error

    @classmethod
    def none(cls, stack: SliceStack) -> Placement:
        """Of labels that lie in the exam's own world."""
        return cls(stack.positions_mm, np.zeros((len(stack.positions_mm), 3)), False)

    @classmethod
    def read(cls, text: str) -> Placement:
        """As `text` wrote it; raises `InputError`."""
        number = r"-?\d+(?:\.\d+)?"
        if not re.fullmatch(rf"[01](?:;{number}(?:,{number}){{3}})+", text):
            raise InputError("The segmentation's tag of where its slices lie is damaged: save it anew.")
        flag, *rows = text.split(";")
        values = np.array([row.split(",") for row in rows], dtype=np.float64)
        return cls(values[:, 0], values[:, 1:], flag == "1")

    def text(self) -> str:
        """As a segment's tag keeps it: without a colon or a bar."""
        rows = np.column_stack([self.positions_mm, self.moved_mm])
        return ";".join([str(int(self.unmirrored)), *(",".join(f"{value:.3f}" for value in row) for row in rows)])

    def labels_on(
        self, stack: SliceStack, labels: UInt8[np.ndarray, "I J K"], affine: Float64[np.ndarray, "4 4"], name: str
    ) -> tuple[UInt8[np.ndarray, "N A B"], bool]:
        """(N, A, B) labels of the stack's slices, from a label map of the result's world; and whether its voxels are
        the slices' pixels.

        Raises `InputError` where that is not a result of this exam.
        """
        world = stack.reflected() if self.unmirrored else stack
        away = np.abs(world.positions_mm[:, None] - self.positions_mm)
        if away.min(axis=1).max() > SAME_PLACE_MM:
            raise InputError(
                f"The labels in {name} were made of slices at other places than this exam's: give labels of this exam."
            )
        on = on_slices(world, affine)
        moved = np.zeros_like(self.moved_mm) if on else self.moved_mm
        affines = world.affines.copy()
        affines[:, :3, 3] -= moved[away.argmin(axis=1)]
        found = sample(labels, affine, affines, world.images.shape[2:])
        return (found[::-1] if self.unmirrored else found), on


def beside(path: Path) -> dict[str, Any] | None:
    """The record of the result that a file lies in: in its folder, or the one above; None where there is none."""
    for folder in path.absolute().parents[:2]:
        try:
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(run, dict):
            return run
    return None


def on_slices(stack: SliceStack, affine: Float64[np.ndarray, "4 4"]) -> bool:
    """Whether a grid's voxels are the stack's pixels, as far as it reaches: labels of the acquired slices."""
    to_voxel = np.linalg.inv(affine) @ stack.affines
    corner, far = (to_voxel @ [i, j, 0, 1] for i, j in ((0, 0), np.array(stack.images.shape[2:]) - 1))
    steps = np.concatenate([to_voxel[:, :3, :2].transpose(0, 2, 1).reshape(-1, 3), np.diff(corner[:, :3], axis=0)])
    whole = [np.abs(values - np.rint(values)).max() < SAME_VOXEL for values in (corner, far, steps)]
    return all(whole) and bool((np.abs(np.rint(steps)).sum(axis=1) == 1).all())


def sample(
    labels: UInt8[np.ndarray, "I J K"],
    affine: Float64[np.ndarray, "4 4"],
    affines: Float64[np.ndarray, "N 4 4"],
    shape: tuple[int, ...],
) -> UInt8[np.ndarray, "N A B"]:
    """(N, A, B) labels at the pixels of slices (N, 4, 4): each structure's share, linear; the largest wins.

    Background outside the grid; where pixels are voxels, those themselves.
    """
    pixels = np.stack([*np.indices(shape), np.zeros(shape), np.ones(shape)]).reshape(4, -1)
    out = np.empty((len(affines), *shape), dtype=np.uint8)
    for n, pixel_affine in enumerate(affines):
        where = _snapped((np.linalg.inv(affine) @ pixel_affine @ pixels)[:3])
        parts = [ndimage.map_coordinates((labels == c).astype(np.float32), where, order=1) for c in (1, 2, 3)]
        out[n] = np.stack([1 - sum(parts), *parts]).argmax(axis=0).reshape(shape)
    return out


def _snapped(where: NDArray[np.float64]) -> NDArray[np.float64]:
    near = np.rint(where)
    return np.where(np.abs(where - near) < SAME_VOXEL, near, where)
