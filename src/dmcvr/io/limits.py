"""What a file may claim: what is larger is refused before memory is taken for it, what no heart fits before work."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from dmcvr.errors import InputError

#: More voxels than any cine exam has (512 x 512 pixels, 20 slices, 50 phases are 262 million).
MAX_VOXELS = 300_000_000

#: Bytes of one image in memory as its file stores it.
MAX_BYTES = 2**31

#: Files looked at in one folder.
MAX_FILES = 100_000

#: In-plane size of a pixel, in mm; and how oblong it may be.
PIXEL_MM = (0.3, 5.0)
MAX_OBLONG = 2.5

#: Distance between neighbouring slices, in mm.
STEP_MM = (0.3, 30.0)

#: A picture's sides, and a stack's length, in mm: a newborn's heart is 20 to 30 mm wide, a field of view 300 to 500.
PICTURE_MM = (20.0, 800.0)
STACK_MM = (10.0, 500.0)

#: Time or slices stand first where the first axis has no more than FEW, the second and third no fewer than MANY.
FEW, MANY = 60, 64


def check_size(shape: Sequence[int], name: str, *, bytes_a_voxel: int = 4) -> None:
    """Raise `InputError` if an image of this shape is larger than any exam."""
    voxels = math.prod(shape)
    if voxels > MAX_VOXELS or voxels * bytes_a_voxel > MAX_BYTES:
        size = " x ".join(map(str, shape))
        raise InputError(
            f"{name} claims {size} voxels ({voxels * bytes_a_voxel / 2**30:,.1f} GiB), more than any cine exam has: "
            "the header is damaged, or this is another kind of file."
        )


def check_axes(shape: Sequence[int], name: str) -> None:
    """Raise `InputError` where the slices, or time, are not where a stack has them: (i, j, slice, phase)."""
    i, j, k = shape[:3]
    if i <= FEW and j >= MANY and k >= MANY:
        raise InputError(
            f"{name} has the shape {' x '.join(map(str, shape))}, with slices or time as its first axis; expected "
            "pixels first, then slices, then phases: move the first axis to the end (numpy.moveaxis) and save again."
        )


def misfit(shape: Sequence[int], sizes_mm: Float64[np.ndarray, " 3"]) -> str:
    """Why no stack of a human heart has this shape and these voxel sizes, in words; "" where one may."""
    spacing_mm = [float(size) for size in sizes_mm]
    for what, sizes, (low, high) in (
        ("pixels", spacing_mm[:2], PIXEL_MM),
        ("slices", spacing_mm[2:3] if shape[2] > 1 else (), STEP_MM),
    ):
        for size in sizes:
            if not low <= size <= high:
                apart = "apart" if what == "slices" else "wide"
                return f"{what} {size:.4g} mm {apart}, expected {low:g} to {high:g} mm"
    if max(spacing_mm[:2]) > MAX_OBLONG * min(spacing_mm[:2]):
        return f"pixels of {spacing_mm[0]:.4g} x {spacing_mm[1]:.4g} mm, expected them nearly square"
    sides = [count * size for count, size in zip(shape[:2], spacing_mm[:2], strict=True)]
    if min(sides) < PICTURE_MM[0] or max(sides) > PICTURE_MM[1]:
        low, high = PICTURE_MM
        return f"a picture of {sides[0]:.0f} x {sides[1]:.0f} mm, expected {low:g} to {high:g} mm"
    length = shape[2] * spacing_mm[2]
    if shape[2] > 1 and not STACK_MM[0] <= length <= STACK_MM[1]:
        return f"{shape[2]} slices over {length:.3g} mm, expected {STACK_MM[0]:g} to {STACK_MM[1]:g} mm"
    return ""
