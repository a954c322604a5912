"""Labels that a user or a dataset gives: read, understood in our numbers, and laid on the exam's slices.

Three kinds: an image on the exam's own grid; a segmentation of 3D Slicer, laid by its place; and the labels of an
earlier result, corrected, which lie in that result's world.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped, UInt8
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack, same_places, stack_normal
from dmcvr.exam.structures import LABEL_MAPS, Numbering, named, numbering_of, written
from dmcvr.exam.volume import slice_affines
from dmcvr.io.image import GridImage, is_image, read_image
from dmcvr.io.placement import Placement, beside
from dmcvr.io.slicer import ENDING, is_segmentation, read_segmentation, segmentation_files
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


@dataclass(frozen=True)
class _Placed:
    """One phase's labels in our numbers, their affine to RAS+, and where that lies in the exam's world."""

    labels: UInt8[np.ndarray, "I J K"]
    affine: Float64[np.ndarray, "4 4"]
    placement: Placement | None
    name: str

    def on(self, stack: SliceStack) -> tuple[UInt8[np.ndarray, "N A B"], bool]:
        """The labels of the stack's slices, and whether they are on those already; raises `InputError`."""
        placement = self.placement or Placement.none(stack)
        return placement.labels_on(stack, self.labels, self.affine, self.name)


def is_placed(path: Path) -> bool:
    """Whether labels are laid on the exam by their place: a segmentation of 3D Slicer, a folder of those, or an image
    on the grid of an earlier result, whose run.json is beside it."""
    if path.is_dir():
        return bool(segmentation_files(path))
    if is_segmentation(path):
        return True
    return is_image(path) and beside(path) is not None and _result_of(path, read_image(path)) is not None


def with_placed_labels(
    stack: SliceStack, path: Path, label_map: str | None, *, phases: list[int] | None = None
) -> SliceStack:
    """The stack (of it, these phases) with labels that have a place of their own: see `is_placed`.

    A segmentation has one phase, a folder of them one for each phase, by its name. Labels of a result's dense grid are
    taken where the acquired slices lie in it, and a warning says so. Raises `InputError` where they are not this
    exam's, miss a phase, hold no heart, or exchange structures.
    """
    chosen = stack.select_phases(list(range(len(stack.phases))) if phases is None else phases)
    found, all_on_slices = [], True
    for phase, given in zip(chosen.phases, _placed(path, chosen.phases, label_map), strict=True):
        laid, on_slices = given.on(stack)
        if not laid.any():
            raise InputError(
                f"The labels in {given.name} hold no heart at the slices of phase {phase}: they are empty there, or of "
                "another exam."
            )
        all_on_slices = all_on_slices and on_slices
        found.append(laid)
    labels = np.stack(found)
    _check_meaning(labels, labels.astype(np.float32), LABEL_MAPS["dmcvr"], path.name)
    said = (
        "The given labels are those of a dense grid: they were taken where the acquired slices lie in it, and what was "
        "changed between slices is not used."
    )
    return replace(chosen, labels=labels, warnings=(*chosen.warnings, *(() if all_on_slices else (said,))))


def _placed(path: Path, phases: tuple[str, ...], label_map: str | None) -> list[_Placed]:
    """Labels of each phase; raises `InputError` where one is missing."""
    if path.is_dir():
        files = segmentation_files(path)
        missing = [phase for phase in phases if phase not in files]
        if missing:
            raise InputError(
                f"The folder {path.name} has no labels of phase {', '.join(missing[:5])}"
                f"{' ...' if missing[5:] else ''} ({missing[0]}{ENDING}): add them, or choose a phase with --phase."
            )
        return [_of_segments(files[phase], label_map) for phase in phases]
    found = [_of_segments(path, label_map)] if is_segmentation(path) else _of_image(path, label_map)
    if len(found) != len(phases):
        raise InputError(
            f"The labels in {path.name} are those of {len(found)} phase(s), and {len(phases)} are reconstructed: "
            "choose its phase with --phase, or give a folder with a segmentation of each."
        )
    return found


def _of_segments(path: Path, label_map: str | None) -> _Placed:
    found = read_segmentation(path, label_map)
    run = None if found.placement is not None else beside(path)
    return _Placed(found.labels, found.affine, found.placement or (Placement.of(run) if run else None), path.name)


def _of_image(path: Path, label_map: str | None) -> list[_Placed]:
    """The phases of a result's own NIfTI."""
    image = read_image(path)
    run = _result_of(path, image)
    labels = to_internal(image.data, label_map or "dmcvr")
    placement = None if run is None else Placement.of(run)
    return [_Placed(labels[..., n], image.affine, placement, path.name) for n in range(labels.shape[3])]


def _result_of(path: Path, image: GridImage) -> dict[str, Any] | None:
    """The record beside an image, where it is of a result with this very grid: dense, or of the acquired slices."""
    run = beside(path) or {}
    try:
        output, given = run["output"], run["input"]
        grids = [(output["shape"], output["affine_ras_mm"])]
        if given["affine_ras_mm"] is not None:
            grids.append(([*given["pixels"], given["slices"]], given["affine_ras_mm"]))
        same = [
            list(image.data.shape[:3]) == list(shape) and np.allclose(image.affine, affine, atol=1e-2)
            for shape, affine in grids
        ]
    except (KeyError, TypeError, ValueError):
        return None
    return run if any(same) else None


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
