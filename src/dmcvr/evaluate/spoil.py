"""Exams made bad on purpose: what a check of quality has to find, each fault by itself and by name.

Labels move with their slices, so that what is found in a spoiled exam can still be compared with the truth. A fault is
a pure function of a stack and a random generator. `FAULTS` are those that an evaluation takes, `VARIANTS` weaker and
stronger ones that it does not, so that what is learnt from them can be judged by the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.exam.stack import SliceStack

Spoil = Callable[[SliceStack, np.random.Generator], SliceStack]

#: Slices in breath-holds of their own (mm, SD along each axis of the picture).
SHIFT_MM = 7.0

#: Noise (SD), as a share of the exam's range of grey values.
NOISE = 0.25

#: A picture that hardly resolves the wall (mm, SD).
BLUR_MM = 3.5

#: How bright the ghosts of a moving patient are.
GHOST = 0.6

#: A surface coil far away: brightness falls to this share across the picture.
DIM = 0.05

#: The grey (of black to white) that another sequence shows black.
NULLED = 0.45

#: What a wrong header makes of the pixels.
TIMES = 2.0


def shifted(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Every slice in another breath-hold."""
    by = rng.normal(0, SHIFT_MM, (len(stack.affines), 2)) / stack.pixel_mm
    return _each(stack, lambda n, picture, order: ndimage.shift(picture, (0, *by[n]), order=order, mode="nearest"))


def noisy(stack: SliceStack, rng: np.random.Generator, noise: float = NOISE) -> SliceStack:
    """Magnitudes with strong noise in both channels."""
    sd = noise * _range(stack)
    real, imaginary = rng.normal(0, sd, (2, *stack.images.shape))
    return _with(stack, np.hypot(stack.images + real, imaginary))


def blurred(stack: SliceStack, rng: np.random.Generator, blur_mm: float = BLUR_MM) -> SliceStack:
    """Hardly resolved."""
    return _with(stack, ndimage.gaussian_filter(stack.images, [0, 0, *(blur_mm / np.array(stack.pixel_mm))]))


def ghosts(stack: SliceStack, rng: np.random.Generator, ghost: float = GHOST) -> SliceStack:
    """The patient breathes: copies along the phase-encoding axis."""
    side = stack.images.shape[3]
    copies = sum(np.roll(stack.images, round(share * side), axis=3) for share in (0.18, -0.18))
    return _with(stack, stack.images + ghost * copies)


def dim(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Bright on one side, dark on the other."""
    fall = np.exp(np.log(DIM) * np.linspace(0, 1, stack.images.shape[2]))
    return _with(stack, stack.images * fall[:, None])


def other_contrast(stack: SliceStack, rng: np.random.Generator, nulled: float = NULLED) -> SliceStack:
    """Another sequence: blood and muscle alike, their border bright."""
    low, high = np.percentile(stack.images, (1, 99))
    unit = np.clip((stack.images - low) / (high - low), 0, 1)
    return _with(stack, np.abs(unit - nulled) * 2)


def negative(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Black for white."""
    return _with(stack, stack.images.max() - stack.images)


def without_middle(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Every other slice was not taken."""
    return stack.select_slices(list(range(0, len(stack.affines), 2)))


def without_base(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """The stack begins in the middle of the ventricle."""
    inside = _inside(stack)
    return stack.select_slices(list(range(inside[0] + max(2, round(0.4 * len(inside))), len(stack.affines))))


def without_apex(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """The stack ends in the middle of the ventricle."""
    inside = _inside(stack)
    return stack.select_slices(list(range(inside[-1] - max(2, round(0.4 * len(inside))) + 1)))


def mirrored(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Left for right in every picture: no heart lies so."""
    labels = None if stack.labels is None else stack.labels[:, :, ::-1]
    return replace(stack, images=stack.images[:, :, ::-1], labels=labels, pictures=None)


def shuffled(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Slices in a wrong order."""
    return _ordered(stack, rng.permutation(len(stack.affines)))


def exchanged(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Two halves of the stack, one after the other, in the wrong order."""
    return _ordered(stack, np.roll(np.arange(len(stack.affines)), len(stack.affines) // 2))


def _ordered(stack: SliceStack, order: NDArray[np.intp]) -> SliceStack:
    labels = None if stack.labels is None else stack.labels[:, order]
    return replace(stack, images=stack.images[:, order], labels=labels, pictures=None)


def cut(stack: SliceStack, rng: np.random.Generator, percent: float = 0) -> SliceStack:
    """The field of view ends in the middle of the heart, or beyond so many percent of its other half."""
    assert stack.labels is not None
    rows = np.argwhere(stack.labels > 0)[:, 2]
    end = int(rows.mean() + percent / 100 * (rows.max() - rows.mean()))
    return replace(stack, images=stack.images[:, :, :end], labels=stack.labels[:, :, :end], pictures=None)


def wrong_pixels(stack: SliceStack, rng: np.random.Generator, times: float = TIMES) -> SliceStack:
    """A header that says twice the size of the pixels."""
    affines = stack.affines.copy()
    affines[:, :3, :2] *= times
    return replace(stack, affines=affines, pictures=None)


def empty(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """No heart: the same grey values and textures, cut into tiles that lie anywhere."""
    images = stack.images.copy()
    tile = max(8, round(20 / stack.pixel_mm[0]))
    rows, columns = (side // tile for side in images.shape[2:])
    for picture in images.reshape(-1, *images.shape[2:]):
        tiles = picture[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile).swapaxes(1, 2)
        mixed = rng.permutation(tiles.reshape(-1, tile, tile)).reshape(rows, columns, tile, tile)
        picture[: rows * tile, : columns * tile] = mixed.swapaxes(1, 2).reshape(rows * tile, columns * tile)
    labels = None if stack.labels is None else np.zeros_like(stack.labels)
    return replace(stack, images=ndimage.gaussian_filter(images, (0, 0, 1, 1)), labels=labels, pictures=None)


def knee(stack: SliceStack, rng: np.random.Generator) -> SliceStack:
    """Another part of the body, schematically: bone with marrow in a leg, a vessel behind it."""
    rows, columns = (np.linspace(-1, 1, side) for side in stack.images.shape[2:])
    a, b = np.meshgrid(rows * stack.images.shape[2] * stack.pixel_mm[0] / 2,
                       columns * stack.images.shape[3] * stack.pixel_mm[1] / 2, indexing="ij")  # fmt: skip
    images = np.zeros_like(stack.images)
    for n in range(len(stack.affines)):
        wide = 38 - 10 * abs(n / len(stack.affines) - 0.5)
        parts = ((75, 0, 0, 0.35), (68, 0, 0, 0.75), (62, 0, 0, 0.3), (wide, -14, -4, 0.1), (wide - 4, -14, -4, 0.8),
                 (7, 34, 8, 0.95), (5, 40, -12, 0.9))  # fmt: skip
        for radius, x, y, grey in parts:
            images[:, n][:, np.hypot(a - x, (b - y) * 1.1) < radius] = grey
    images = ndimage.gaussian_filter(images, (0, 0, 1, 1)) + rng.normal(0, 0.03, images.shape)
    labels = None if stack.labels is None else np.zeros_like(stack.labels)
    return replace(stack, images=np.abs(images).astype(np.float32), labels=labels, pictures=None)


#: By name; what each does to the result is another thing: some are mended on the way, some must be found.
FAULTS: dict[str, Spoil] = {
    f.__name__.replace("_", " "): f
    for f in (
        shifted, noisy, blurred, ghosts, dim, other_contrast, negative, without_middle, without_base, without_apex,
        mirrored, shuffled, cut, wrong_pixels, empty, knee,
    )
}  # fmt: skip

#: Other strengths, by name.
VARIANTS: dict[str, Spoil] = {
    "less noisy": partial(noisy, noise=0.15),
    "noisy still": partial(noisy, noise=0.2),
    "more blurred": partial(blurred, blur_mm=6.0),
    "weak ghosts": partial(ghosts, ghost=0.4),
    "strong ghosts": partial(ghosts, ghost=0.8),
    "darker contrast": partial(other_contrast, nulled=0.55),
    "brighter contrast": partial(other_contrast, nulled=0.35),
    "pixels half as large again": partial(wrong_pixels, times=1.5),
    "pixels too small": partial(wrong_pixels, times=0.67),
    "less cut": partial(cut, percent=40),
    "exchanged": exchanged,
}


def _with(stack: SliceStack, images: NDArray[np.floating]) -> SliceStack:
    return replace(stack, images=images.astype(np.float32))


def _each(stack: SliceStack, change: Callable[[int, NDArray, int], NDArray]) -> SliceStack:  # type: ignore[type-arg]
    """Every slice (P, I, J), and its labels, changed in the plane."""
    images = np.stack([change(n, stack.images[:, n], 1) for n in range(len(stack.affines))], axis=1)
    labels = None
    if stack.labels is not None:
        labels = np.stack([change(n, stack.labels[:, n], 0) for n in range(len(stack.affines))], axis=1)
    return replace(stack, images=images.astype(np.float32), labels=labels, pictures=None)


def _range(stack: SliceStack) -> float:
    low, high = np.percentile(stack.images, (1, 99))
    return float(high - low)


def _inside(stack: SliceStack) -> NDArray[np.intp]:
    """Slices with left ventricle by the labels, base first where the file has it first."""
    assert stack.labels is not None
    return np.flatnonzero(np.isin(stack.labels, (1, 2)).any(axis=(0, 2, 3)))
