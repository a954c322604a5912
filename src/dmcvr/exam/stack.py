"""A short-axis exam as acquired: slices of one or more phases, each with its place in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.source import Source

#: Labels inside the package: 0 background and these three.
LABEL_NAMES = {1: "lv_cavity", 2: "lv_myocardium", 3: "rv_cavity"}

#: The same, as people read them.
LABEL_TITLES = {1: "LV cavity", 2: "LV myocardium", 3: "RV cavity"}

#: Slices whose normals differ by more than this are not one short-axis stack.
MAX_TILT_DEG = 2.0


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What a dataset says of the person: no name, no identifier. `sex` is "F" or "M"."""

    height_cm: float | None = None
    weight_kg: float | None = None
    sex: str | None = None
    """"F" or "M"."""
    group: str | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """One acquired picture, as its file names it: what contours that were drawn on it refer to.

    ========  =======  ==============================================================
    uid                SOP Instance UID
    number             instance number; None if unknown
    affine    (4, 4)   pixel (column, row, 0, 1) of the picture as acquired to RAS+ mm
    ========  =======  ==============================================================
    """

    uid: str
    number: int | None
    affine: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True, kw_only=True)
class SliceStack:
    """Parallel short-axis slices, sorted by position along their common normal.

    ============  ================  ======================================================================
    images        (P, N, I, J)      float32, any intensity unit, P phases, N slices
    affines       (N, 4, 4)         float64, pixel (i, j, 0, 1) of slice n to RAS+ mm
    thickness_mm  scalar            how thick a slice is (a blur); not the distance between slices
    phases        P names           "ED", "ES" or the phase's number
    labels        (P, N, I, J)      uint8, 0 background, 1 LV cavity, 2 LV myocardium, 3 RV cavity; or None
    times_ms      P numbers         time of each phase after the R wave, in ms; or None
    warnings      sentences         what a reader had to assume
    source        what was read     which files or series, and what was left out; None for a stack made in memory
    pictures      P x N             the pictures that it was read from; None where they have no names
    ============  ================  ======================================================================

    Slices may come in any order: the constructor sorts them. It raises `InputError` for fewer than two
    slices, slices that are not parallel or share a place, and images that are empty or not finite.
    """

    images: Float32[np.ndarray, "P N I J"]
    affines: Float64[np.ndarray, "N 4 4"]
    thickness_mm: float
    phases: tuple[str, ...]
    labels: UInt8[np.ndarray, "P N I J"] | None = None
    patient: Patient = field(default_factory=Patient)
    times_ms: tuple[float, ...] | None = None
    warnings: tuple[str, ...] = ()
    source: Source | None = None
    pictures: tuple[tuple[Picture, ...], ...] | None = None

    def __post_init__(self) -> None:
        images = np.ascontiguousarray(self.images, dtype=np.float32)
        affines = np.asarray(self.affines, dtype=np.float64)
        _check_arrays(images, affines, self.phases, self.labels)
        if self.times_ms is not None and len(self.times_ms) != len(self.phases):
            raise InputError(f"Expected a time for each of {len(self.phases)} phases; got {len(self.times_ms)}.")
        _check_parallel(affines)
        order = np.argsort(affines[:, :3, 3] @ stack_normal(affines), kind="stable")
        _check_gaps(affines[order])
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "affines", affines)
        if self.labels is not None:
            object.__setattr__(self, "labels", np.asarray(self.labels, dtype=np.uint8))
        if (np.diff(order) > 0).all():  # as they are: the same arrays, not copies
            return
        object.__setattr__(self, "images", images[:, order])
        object.__setattr__(self, "affines", affines[order])
        if self.labels is not None:
            object.__setattr__(self, "labels", self.labels[:, order])
        if self.pictures is not None:
            object.__setattr__(self, "pictures", tuple(tuple(row[n] for n in order) for row in self.pictures))

    @property
    def normal(self) -> Float64[np.ndarray, " 3"]:
        """(3,) unit vector along which the slices are sorted; its largest component is positive."""
        return stack_normal(self.affines)

    @property
    def positions_mm(self) -> Float64[np.ndarray, " N"]:
        """(N,) ascending positions of the slice centres along `normal`, in mm."""
        centre = np.array([(self.images.shape[2] - 1) / 2, (self.images.shape[3] - 1) / 2, 0, 1])
        return np.asarray((self.affines @ centre)[:, :3] @ self.normal)

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Where the slabs that the slices stand for begin and end: half a gap beyond the outer centres."""
        positions = self.positions_mm
        gaps = np.diff(positions)
        return float(positions[0] - gaps[0] / 2), float(positions[-1] + gaps[-1] / 2)

    @property
    def spacing_mm(self) -> float:
        """Distance between neighbouring slices: the median over the stack."""
        return float(np.median(np.diff(self.positions_mm)))

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """In-plane size of a pixel along i and j."""
        size = np.linalg.norm(self.affines[0, :3, :2], axis=0)
        return float(size[0]), float(size[1])

    def phase_index(self, phase: str) -> int:
        """Index of a phase by its name or number; raises `InputError` where there is none."""
        if phase in self.phases:
            return self.phases.index(phase)
        if phase.isdecimal() and int(phase) < len(self.phases):
            return int(phase)
        raise InputError(f"Phase {phase!r} is not in this exam: choose one of {', '.join(self.phases)} or all.")

    def phase_indices(self, phases: Sequence[str]) -> list[int]:
        """Indices of phases by their names or numbers, each once, in the exam's order; raises `InputError`."""
        return sorted({self.phase_index(phase) for phase in phases})

    def select_phases(self, indices: list[int]) -> SliceStack:
        """The same exam with these phases only."""
        if indices == list(range(len(self.phases))):
            return self
        return replace(
            self,
            images=self.images[indices],
            labels=None if self.labels is None else self.labels[indices],
            phases=tuple(self.phases[i] for i in indices),
            times_ms=None if self.times_ms is None else tuple(self.times_ms[i] for i in indices),
            pictures=None if self.pictures is None else tuple(self.pictures[i] for i in indices),
        )

    @property
    def reflection(self) -> Float64[np.ndarray, "4 4"]:
        """(4, 4) world to mirrored world, at the plane in the middle of the stack."""
        normal, (start, *_, stop) = self.normal, self.positions_mm
        reflection = np.eye(4)
        reflection[:3, :3] -= 2 * np.outer(normal, normal)
        reflection[:3, 3] = (start + stop) * normal
        return reflection

    def reflected(self) -> SliceStack:
        """The same slices in a mirrored world: their order along `normal` is reversed, their place in plane is not."""
        return replace(self, affines=self.reflection @ self.affines)

    def without_labels(self) -> SliceStack:
        """The same exam, its labels unknown."""
        return replace(self, labels=None)

    def select_slices(self, indices: list[int]) -> SliceStack:
        """The same exam with these slices only (at least two)."""
        return replace(
            self,
            images=self.images[:, indices],
            affines=self.affines[indices],
            labels=None if self.labels is None else self.labels[:, indices],
            pictures=None if self.pictures is None else tuple(tuple(row[n] for n in indices) for row in self.pictures),
        )


def stack_normal(affines: Float64[np.ndarray, "N 4 4"]) -> Float64[np.ndarray, " 3"]:
    """(3,) unit normal of parallel slices; its sign depends on the world alone, not on the storage order."""
    normal = np.cross(affines[0, :3, 0], affines[0, :3, 1])
    normal = normal / np.linalg.norm(normal)
    return np.asarray(normal * np.sign(normal[np.argmax(np.abs(normal))]))


def same_grid(a: SliceStack, b: SliceStack, *, within_mm: float = 0.1) -> bool:
    """Whether both have the same pixels at the same places; their phases, and thickness, may differ."""
    return a.images.shape[1:] == b.images.shape[1:] and same_places(a.affines, b.affines, within_mm=within_mm)


def same_places(a: Float64[np.ndarray, "N 4 4"], b: Float64[np.ndarray, "M 4 4"], *, within_mm: float = 0.1) -> bool:
    """Whether slices of these affines have their pixels at the same places."""
    corners = slice(0, 3), [0, 1, 3]  # the third axis of a slice is a direction alone, of any length
    return len(a) == len(b) and bool(np.allclose(a[:, *corners], b[:, *corners], rtol=0, atol=within_mm))


def _check_arrays(
    images: NDArray[np.float32],
    affines: NDArray[np.float64],
    phases: tuple[str, ...],
    labels: NDArray[np.uint8] | None,
) -> None:
    if images.ndim != 4:
        raise InputError(f"Expected images as (phases, slices, i, j); got an array of shape {images.shape}.")
    if images.shape[1] < 2:
        raise InputError("A 3D heart needs at least two slices; this exam has one. Give the whole short-axis stack.")
    if min(images.shape) < 1 or min(images.shape[2:]) < 16:
        raise InputError(f"The slices are too small to hold a heart: {images.shape[2]} x {images.shape[3]} pixels.")
    if affines.shape != (images.shape[1], 4, 4):
        raise InputError(f"Expected one 4 x 4 affine a slice ({images.shape[1]}); got shape {affines.shape}.")
    if not np.isfinite(affines).all() or np.any(np.linalg.norm(affines[:, :3, :2], axis=1) < 1e-6):
        raise InputError("The image geometry is broken: a pixel size is zero or not a number.")
    if len(phases) != images.shape[0]:
        raise InputError(f"Expected a name for each of {images.shape[0]} phases; got {len(phases)}.")
    if labels is not None and labels.shape != images.shape:
        raise InputError(f"Labels of shape {labels.shape} do not fit images of shape {images.shape}.")
    if not np.isfinite(images).all():
        raise InputError("The image holds values that are not finite (NaN or infinity): export it again.")
    for phase, image in zip(phases, images, strict=True):
        if image.min() == image.max():
            raise InputError(f"The image of phase {phase} is empty: every voxel has the value {image.min():g}.")


def _check_parallel(affines: NDArray[np.float64]) -> None:
    normals = np.cross(affines[:, :3, 0], affines[:, :3, 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    tilt = np.degrees(np.arccos(np.clip(np.abs(normals @ normals[0]), 0, 1)).max())
    if tilt > MAX_TILT_DEG:
        raise InputError(
            f"The slices are not parallel (up to {tilt:.1f} degrees apart): give one short-axis stack, "
            "without long-axis views or scouts."
        )


def _check_gaps(affines: NDArray[np.float64]) -> None:
    gaps = np.diff(affines[:, :3, 3] @ stack_normal(affines))
    if gaps.min() < 0.1:
        raise InputError(
            "Two slices lie at the same place: give each position once (phases go into a fourth dimension)."
        )
