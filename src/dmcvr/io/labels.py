"""Labels that a user or a dataset gives: read, understood in our numbers, and laid on the exam's slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack, same_places, stack_normal
from dmcvr.exam.structures import LABEL_MAPS, Numbering, named, numbering_of, written
from dmcvr.exam.volume import slice_affines
from dmcvr.io.image import read_image
from dmcvr.labels.enclosure import ENCLOSED, enclosed_share, likely_meaning

#: A value this near to a whole number is that number: files are saved as floats and scaled.
NEAR_WHOLE = 0.01


def to_internal(labels: Shaped[np.ndarray, " *D"], convention: str | Numbering) -> UInt8[np.ndarray, " *D"]:
    """Labels of a named or written numbering (or a map of the file's values to ours) as ours, same shape, uint8.

    Values within .01 of a whole number are that number. Raises `InputError` for an unknown convention, for values
    between whole numbers, and for one that the convention does not have.
    """
    numbering = numbering_of(convention) if isinstance(convention, str) else convention
    values, where = np.unique(labels, return_inverse=True)
    whole = np.rint(values.astype(np.float64))
    apart = np.abs(values - whole) > NEAR_WHOLE
    if apart.any():
        raise InputError(
            f"The labels hold {np.count_nonzero(apart)} values between whole numbers ({_listed(values[apart])}): they "
            "were resampled as if they were grey values; resample them with nearest neighbours."
        )
    unknown = [value for value in whole if int(value) not in numbering]
    if unknown:
        name = f"{convention!r}" if convention in list(LABEL_MAPS) else "dataset's"
        raise InputError(
            f"The labels hold the value {_listed(np.array(unknown))}, which the {name} map does not have "
            f"(it has {', '.join(str(v) for v in sorted(numbering))}): choose the right map with --label-map, or "
            f"number the structures, as in {written(numbering)},{unknown[0]:.0f}=ignore."
        )
    ours = np.array([numbering[int(value)] for value in whole], dtype=np.uint8)
    return np.asarray(ours[where.reshape(labels.shape)])


def with_labels(
    stack: SliceStack, path: Path, convention: str | Numbering, *, phases: list[int] | None = None
) -> SliceStack:
    """The stack (of it, these phases) with labels from an image file of the same grid, numbered as said.

    The file holds just the phases that are taken, or all of the exam. Raises `InputError` where shape, place or values
    do not fit, where a phase is empty, and where the numbering exchanges structures: the myocardium encloses the LV
    cavity in every heart.
    """
    taken = list(range(len(stack.phases))) if phases is None else phases
    numbering = numbering_of(convention) if isinstance(convention, str) else convention
    values, affines = _read(path)
    if len(values) == len(stack.phases):
        values = values[taken]
    if values.shape != (len(taken), *stack.images.shape[1:]):
        raise InputError(
            f"The labels in {path.name} have {_shape(values.shape)}, the image has "
            f"{_shape((len(taken), *stack.images.shape[1:]))}: give labels for just the phases that are reconstructed "
            "(--phase), or for all."
        )
    if not same_places(affines, stack.affines):
        raise InputError(f"The labels in {path.name} lie elsewhere than the image: their headers differ.")
    labels = to_internal(values, convention)
    chosen = stack.select_phases(taken)
    empty = [chosen.phases[p] for p in np.flatnonzero(~labels.any(axis=(1, 2, 3)))]
    if empty:
        raise InputError(
            f"The labels in {path.name} hold no heart in phase {', '.join(empty[:5])}{' ...' if empty[5:] else ''}: "
            "every voxel is background; choose a labelled phase with --phase."
        )
    _check_meaning(labels, values, numbering, path.name)
    return replace(chosen, labels=labels)


def _read(path: Path) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """A file's values (P, N, I, J) and affines (N, 4, 4), the slices in the order of a `SliceStack`."""
    image = read_image(path, whole=True)
    affines = slice_affines(image.affine, image.data.shape[2])
    order = np.argsort(affines[:, :3, 3] @ stack_normal(affines), kind="stable")
    values = np.moveaxis(image.data, (3, 2), (0, 1))[:, order].astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            f"The labels in {path.name} hold values that are not finite (NaN or infinity): save them anew."
        )
    return values, affines[order]


def _check_meaning(labels: NDArray[np.uint8], values: NDArray[np.floating], numbering: Numbering, name: str) -> None:
    """Raise `InputError` where other structures than the numbering says are the wall and what it encloses."""
    meaning = likely_meaning(labels)
    if meaning is None or enclosed_share(labels, 1, 2) >= ENCLOSED:
        return
    wrong = [theirs for theirs, right in meaning.items() if theirs != right]
    if not wrong:
        return
    right = {value: meaning.get(ours, ours) for value, ours in numbering.items()}
    held = [int(value) for value in np.unique(np.rint(values))]
    cavity, wall = (next(ours for ours, is_ in meaning.items() if is_ == structure) for structure in (1, 2))
    share = 100 * enclosed_share(labels, cavity, wall)
    raise InputError(
        f"In {name}, numbered {written({v: numbering[v] for v in held})}, structures are exchanged: the value "
        f"{_value(numbering, held, wall)} encloses {share:.0f} % of the value {_value(numbering, held, cavity)}, as "
        f"the myocardium encloses the LV cavity and nothing else does; give --label-map {named(right, held)}."
    )


def _value(numbering: Numbering, held: list[int], ours: int) -> int:
    return next(value for value in held if numbering[value] == ours)


def _listed(values: NDArray[np.floating]) -> str:
    return ", ".join(f"{value:g}" for value in values[:5])


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} phase(s), {shape[1]} slices of {shape[2]} x {shape[3]} pixels"
