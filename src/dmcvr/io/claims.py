"""What a header says of an image's place in the world, in each of its ways, and which of them a heart fits.

ACDC (and others) store a unit matrix as the affine and the true spacing in the zooms alone; elsewhere the zooms are
stale, the unit is wrong, or sform and qform disagree. The plausible one is taken, and said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.io.limits import check_axes, misfit

#: Relative difference of voxel sizes, and mm of a corner's place, from which two sources disagree.
SAME_SIZE, SAME_PLACE_MM = 1e-3, 1.0

#: Cosine between two axes of one picture, from which its pixels are sheared, and from which they are broken.
SHEARED, MAX_SHEAR = 0.02, 0.5

#: Cosine to a world axis, from which a plane lies as no scanner puts a short axis: a placeholder.
PLACEHOLDER = 0.999

#: Slices are further apart than this many pixels.
CLEARLY = 1.5

#: Length of a heartbeat, in ms.
BEAT_MS = (250.0, 2500.0)

_UNITS_MM = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 0.001}
_UNITS_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001}


@dataclass(frozen=True)
class Frame:
    """One affine of a header: its name there, voxel to RAS+ in the header's unit, and whether it is the scanner's."""

    name: str
    affine: Float64[np.ndarray, "4 4"]
    scanner: bool = False


@dataclass(frozen=True)
class Claims:
    """Where an image says that it lies, and when.

    ==========  ========================================================================================
    frames      the affines that the header gives, the preferred one first
    zooms       voxel sizes given apart from the affines, in the header's unit; None where there are none
    unit        "m", "cm", "mm", "um"; None where the header does not say: millimetres
    step        time between phases, in `time_unit`; None where the header does not say
    time_unit   "s", "ms", "us"; None where the header does not say
    ==========  ========================================================================================
    """

    frames: tuple[Frame, ...]
    zooms: tuple[float, float, float] | None = None
    unit: str | None = None
    step: float | None = None
    time_unit: str | None = None


@dataclass(frozen=True)
class Place:
    """What was made of the claims: voxel to RAS+ mm in the file's own axes, and what had to be said of it.

    `order` of the file's axes puts its slices last.
    """

    affine: Float64[np.ndarray, "4 4"]
    order: list[int]
    warnings: tuple[str, ...]


@np.errstate(all="ignore")
def settle(claims: Claims, shape: tuple[int, ...], name: str, *, whole: bool = True) -> Place:
    """The place that the claims agree on, or the plausible one of those that they give.

    `whole`: it is to be a stack of a heart, and refused where no heart fits it. Raises `InputError`, and always where
    no voxel has a proper size.
    """
    notes: list[str] = []
    frame = _frame(claims, shape, name, notes)
    sizes = np.linalg.norm(frame[:3, :3], axis=0)
    spacing = _spacing(claims, sizes, shape, name, notes, whole=whole)
    order = slices_last(shape, spacing)
    affine, unit = frame.copy(), _factor(claims, spacing, sizes)
    affine[:3, :3] *= unit if np.allclose(spacing, sizes * unit, rtol=SAME_SIZE) else spacing / sizes
    affine[:3, 3] *= unit
    return Place(affine, order, tuple(notes))


def slices_last(shape: tuple[int, ...], spacing: Float64[np.ndarray, " 3"]) -> list[int]:
    """The order of a file's three axes in which its slices come last: the axis of the largest steps and fewest voxels.

    Where no axis is clearly that one (as in a volume without slices), the order is the file's own.
    """
    axis = int(spacing.argmax())
    others = [n for n in range(3) if n != axis]
    clear = spacing[axis] > CLEARLY * spacing[others].max() and shape[axis] < min(shape[n] for n in others)
    return [*others, axis] if clear else [0, 1, 2]


def _misfit(shape: tuple[int, ...], spacing: Float64[np.ndarray, " 3"]) -> str:
    """Why no heart fits, its slices put last; "" where one may."""
    order = slices_last(shape, spacing)
    return misfit([shape[axis] for axis in order], spacing[order])


def phase_times(claims: Claims, phases: int) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """Times of the phases in ms from the first on, and what had to be said; None where no heart beats like that."""
    step, unit = claims.step, claims.time_unit
    if step is None or unit is None or phases < 2 or not np.isfinite(step) or step <= 0 or (step == 1 and unit == "s"):
        return None, ()  # a step of 1 s is what writers put where they know nothing
    order = [unit, *(other for other in _UNITS_MS if other != unit)]
    for named in order:
        step_ms = step * _UNITS_MS[named]
        if BEAT_MS[0] <= step_ms * phases <= BEAT_MS[1]:
            times = tuple(float(index * step_ms) for index in range(phases))
            if named == unit:
                return times, ()
            return times, (f"The header's time step of {step:g} {unit} is no heart's: {step:g} {named} was taken.",)
    return None, (f"The header's time step of {step:g} {unit} is no heart's ({phases} phases): times are not known.",)


def _frame(claims: Claims, shape: tuple[int, ...], name: str, notes: list[str]) -> NDArray[np.float64]:
    """The affine whose axes are taken; of several that disagree the sound one, then the one as a scanner puts it."""
    sound = [frame for frame in claims.frames if is_sound(frame.affine)]
    if not sound:
        if claims.zooms is None or not _are_sizes(np.asarray(claims.zooms, dtype=np.float64)):
            raise InputError(
                f"The geometry of {name} is broken (a voxel size is zero or not a number): export it again."
            )
        if claims.frames:
            notes.append(
                "The header's affine is broken (its axes fall together): only its voxel sizes were used, and "
                "how the heart lies is read from the picture."
            )
        return np.diag([-claims.zooms[0], -claims.zooms[1], claims.zooms[2], 1.0])
    best = max(
        sound, key=lambda frame: (shear(frame.affine) < SHEARED, not is_placeholder(frame.affine), frame.scanner)
    )
    for other in sound:
        if other is not best and not _agree(best.affine, other.affine, shape):
            notes.append(
                f"The header places the image in two ways that disagree: its {best.name} was taken, not its "
                f"{other.name}."
            )
    if len(sound) < len(claims.frames):
        broken = next(frame for frame in claims.frames if not is_sound(frame.affine))
        notes.append(f"The header's {broken.name} is broken: its {best.name} was taken.")
    return np.asarray(best.affine, dtype=np.float64)


def is_sound(affine: Float64[np.ndarray, "4 4"]) -> bool:
    """Whether an affine is finite, and its axes have a length and directions of their own."""
    if not np.isfinite(affine).all():
        return False
    axes = affine[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    if not _are_sizes(sizes):
        return False
    return bool(shear(affine) < MAX_SHEAR and abs(np.linalg.det(axes / sizes)) > 0.3)


def shear(affine: Float64[np.ndarray, "4 4"]) -> float:
    """Cosine of the angle between a picture's two axes: 0 where they are square to each other."""
    i, j = affine[:3, 0], affine[:3, 1]
    return float(abs(i @ j) / (np.linalg.norm(i) * np.linalg.norm(j)))


def is_placeholder(affine: Float64[np.ndarray, "4 4"]) -> bool:
    """Whether the axes are the world's own, as no scanner's short axis lies."""
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool((np.abs(unit).max(axis=0) > PLACEHOLDER).all())


def _agree(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Whether two affines, their voxels made equally large, put the image's corners in the same places."""
    ends = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])], dtype=float)
    sizes = np.linalg.norm(a[:3, :3], axis=0)
    same = b.copy()
    same[:3, :3] *= sizes / np.linalg.norm(b[:3, :3], axis=0)
    return bool(np.abs((ends @ (a - same).T)[:, :3]).max() < SAME_PLACE_MM)


def _spacing(
    claims: Claims, sizes: NDArray[np.float64], shape: tuple[int, ...], name: str, notes: list[str], *, whole: bool
) -> NDArray[np.float64]:
    """Voxel sizes in mm: the zooms' or the affine's, in the unit that is given or in millimetres."""
    options = list(_options(claims, sizes))
    fits = [option for option in options if not _misfit(shape, option[0])]
    if whole and all(slices_last(shape, option[0]) == [0, 1, 2] for option in fits):
        check_axes(shape, name)
    if not fits and whole:
        raise InputError(_nothing_fits(options, shape, name))
    spacing, source, unit = fits[0] if fits else options[0]
    zooms = None if claims.zooms is None else np.asarray(claims.zooms, dtype=np.float64)
    if zooms is not None and not np.allclose(zooms, sizes, rtol=SAME_SIZE):
        said = "the zooms were" if source == "zooms" else "the affine was"
        notes.append(
            f"The header's affine has voxels of {_by(sizes)} mm but its zooms say {_by(zooms)} mm: {said} used for "
            "the spacing."
        )
    if claims.unit not in (None, unit):
        notes.append(f"The header says that its lengths are in {claims.unit}, which no heart fits: {unit} was taken.")
    return spacing


def _options(claims: Claims, sizes: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], str, str]]:
    """Spacing in mm, where it is from, and its unit: what is given before what may be meant."""
    sources = {"affine": sizes}
    if claims.zooms is not None and _are_sizes(np.asarray(claims.zooms, dtype=np.float64)):
        sources["zooms"] = np.asarray(claims.zooms, dtype=np.float64)
        if _placeholders(sizes, sources["zooms"]) >= _placeholders(sources["zooms"], sizes):
            sources = {"zooms": sources["zooms"], "affine": sizes}
    for unit in dict.fromkeys((claims.unit or "mm", "mm")):
        for source, values in sources.items():
            yield values * _UNITS_MM[unit], source, unit


def _placeholders(values: NDArray[np.float64], others: NDArray[np.float64]) -> int:
    """How many sizes are exactly 1 where the other source says otherwise: what is written where nothing is known."""
    return int(np.sum((values == 1) & ~np.isclose(others, 1, rtol=SAME_SIZE)))


def _factor(claims: Claims, spacing: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """From the unit of the affine's offset to mm: that of its voxels, where those are the affine's or the zooms'."""
    unit = _UNITS_MM[claims.unit or "mm"]
    zooms = sizes if claims.zooms is None else np.asarray(claims.zooms, dtype=np.float64)
    scaled = any(np.allclose(spacing, values * unit, rtol=SAME_SIZE) for values in (sizes, zooms))
    return unit if scaled else 1.0


def _are_sizes(values: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).all() and (values > 1e-9).all())


def _nothing_fits(options: list[tuple[NDArray[np.float64], str, str]], shape: tuple[int, ...], name: str) -> str:
    spacing, _, unit = options[0]
    hint = "check the file, or export it again with its true voxel sizes"
    for other, factor in _UNITS_MM.items():
        if not _misfit(shape, spacing / _UNITS_MM[unit] * factor):
            hint = f"if they are in {other}, multiply them by {factor / _UNITS_MM[unit]:g} and save again"
    return (
        f"No heart fits the geometry of {name}, {' x '.join(map(str, shape[:3]))} voxels of {_by(spacing)} mm "
        f"({_misfit(shape, spacing)}): {hint}."
    )


def _by(sizes: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.6g}" for size in sizes)
