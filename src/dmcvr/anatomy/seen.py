"""What long-axis views show of the ventricles, in the slices' breath-hold.

A network labels each picture, with what the short axis says of its plane beside it. A view's heart lies where its own
breath-hold has it, along the stack as well as across: the labels are moved to where they agree best with the acquired
slices that the plane cuts. A view that still shows no heart where the slices have one is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE
from dmcvr.exam.view import View
from dmcvr.geometry.long_axis import PIXEL_MM, Upright, normalised, sampled
from dmcvr.geometry.region import Frame
from dmcvr.labels.segment import SegmentViews

#: Labels of each structure.
LABELS_OF = {CAVITY: (1,), WHOLE: (1, 2), RIGHT: (3,)}

#: A view is moved at most so far (pixels) along each axis; usually (SD) so far (mm).
MOST_PX, USUAL_MM = 8, 3.0

#: Of a slice's line through a view, what lies within this distance (mm) of the heart tells, as much as so many
#: independent samples; a picture is never surer than this.
NEAR_MM, SAMPLES_A_LINE, LEAST_PROBABILITY = 12.0, 6.0, 0.03

#: Overlap (Dice, of everything that is heart) below which a view shows something else; less heart (mm2) is none.
LEAST_DICE, LEAST_MM2 = 0.6, 600.0

#: A ventricle may show in two pieces, each of which the short axis has by this share of its area.
LEAST_SHARED = 0.3

#: Of the pictures of a cine, each counts so much (phases, SD) for its neighbours. Fewer phases are left alone.
SMOOTH_PHASES, LEAST_PHASES = 0.6, 8

#: A structure's section in a view is at least so wide (mm) where it ends; one smaller than this (mm2) tells no tip; a
#: tip is so unsure (mm, SD).
LEAST_WIDTH_MM, LEAST_SECTION_MM2, TIP_SD_MM = 4.0, 400.0, 1.5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What the short axis alone says: scores (P, 4, S, S, K) of all phases, and the place of their voxels.

    ========  ======  ==========================================================
    affine    (4, 4)  index (a, b, k, 1) to RAS+ mm
    axis      (3,)    unit vector from base to apex
    middle    (3,)    of the heart, in the first phase
    to_right  (3,)    from the left to the right ventricle
    ========  ======  ==========================================================
    """

    scores: Float32[np.ndarray, "P 4 S S K"]
    affine: Float64[np.ndarray, "4 4"]
    axis: Float64[np.ndarray, " 3"]
    middle: Float64[np.ndarray, " 3"]
    to_right: Float64[np.ndarray, " 3"]

    @classmethod
    def of(cls, scores: Float32[np.ndarray, "P 4 S S K"], affine: Array, axis: Array) -> Prior | None:
        """None where the first phase has no left or no right ventricle."""
        labels = scores[0].argmax(axis=0)
        left, right = (np.argwhere(np.isin(labels, which)) for which in ((1, 2), (3,)))
        if len(left) == 0 or len(right) == 0:
            return None
        middle, one, other = (
            affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3] for voxels in (np.argwhere(labels > 0), left, right)
        )
        return cls(scores, affine, axis, middle, other - one)

    def labels_on(self, phase: int, upright: Upright) -> UInt8[np.ndarray, "C C"]:
        points = upright.points()
        return (
            np.stack([sampled(s, self.affine, points, mode="nearest") for s in self.scores[phase]])
            .argmax(axis=0)
            .astype(np.uint8)
        )


@dataclass(frozen=True)
class Slices:
    """The acquired slices: labels (P, N, S, S) at positions (N,) along the stack's normal (3,), on a frame's grid."""

    labels: UInt8[np.ndarray, "P N S S"]
    positions_mm: Float64[np.ndarray, " N"]
    frame: Frame
    normal: Float64[np.ndarray, " 3"]

    @property
    def affine(self) -> Float64[np.ndarray, "4 4"]:
        """Index (a, b, position in mm, 1) to RAS+ mm."""
        return self.frame.affine_at(0.0, self.normal)


@dataclass(frozen=True)
class SeenPlane:
    """One long-axis plane, and what it shows in the phases that it has.

    =============  ============  =================================================================================
    name
    upright        grid          its pixels, in the slices' breath-hold
    probabilities  {p: (4, C, C)}  float32, of the labels
    pictured       (C, C)        bool, which pixels the picture has
    moved_mm       (2,)          by which its heart lay from the slices': to its picture's right, and to the apex
    agreement      scalar        Dice with what the short axis says, of everything that is heart
    =============  ============  =================================================================================
    """

    name: str
    upright: Upright
    probabilities: dict[int, Float32[np.ndarray, "4 C C"]]
    pictured: Bool[np.ndarray, "C C"]
    moved_mm: Float64[np.ndarray, " 2"]
    agreement: float

    def inside(self, phase: int, structure: int) -> NDArray[np.bool_]:
        """(C, C) the pixels of a structure."""
        return np.isin(self.probabilities[phase].argmax(axis=0), LABELS_OF[structure])

    def depths_mm(self, phase: int, structure: int, axis: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, " M"]:
        """Along the axis, those of its pixels of a structure."""
        return np.asarray(np.tensordot(axis, self.upright.points(), 1)[self.inside(phase, structure)])


@dataclass(frozen=True)
class Seen:
    """All long-axis planes of an exam that were used, and why the others were not."""

    planes: tuple[SeenPlane, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def tip_mm(self, phase: int, structure: int, axis: Float64[np.ndarray, " 3"]) -> tuple[float, float] | None:
        """How deep along the axis a structure reaches, and how unsure (SD) that is; None where no view cuts it.

        A plane beside the tip shows a section that ends before it, so the deepest count.
        """
        sections = [p.depths_mm(phase, structure, axis) for p in self.planes if phase in p.probabilities]
        count = round(LEAST_WIDTH_MM / PIXEL_MM)
        deepest = sorted(
            (float(np.sort(d)[-count]) + PIXEL_MM / 2 for d in sections if len(d) * PIXEL_MM**2 > LEAST_SECTION_MM2),
            reverse=True,
        )
        if not deepest:
            return None
        two = deepest[:2] if deepest[0] - deepest[min(1, len(deepest) - 1)] < TIP_SD_MM * 2 else deepest[:1]
        return float(np.mean(two)), TIP_SD_MM

    def tops(
        self, phase: int, axis: Float64[np.ndarray, " 3"]
    ) -> tuple[Float64[np.ndarray, "3 M"], Float64[np.ndarray, " M"]] | None:
        """Where views show the left ventricle's cavity end at its base: points (3, M) in RAS+ mm, and their depths."""
        points = []
        for plane in self.planes:
            if phase in plane.probabilities:
                labels = plane.probabilities[phase].argmax(axis=0)
                columns = np.flatnonzero((labels == 1).sum(axis=1) * PIXEL_MM > LEAST_WIDTH_MM)
                first = (labels[columns] == 1).argmax(axis=1)
                open_ = (first > 0) & (labels[columns, first - 1] == 0)  # below muscle it is not the valve
                if open_.any():
                    pixels = np.stack([columns[open_], first[open_] - 0.5]).astype(np.float64)
                    points.append(plane.upright.place(pixels))
        if not points:
            return None
        every = np.concatenate(points, axis=1)
        return every, np.asarray(axis @ every)

    @property
    def reach(self) -> Float64[np.ndarray, "3 M"]:
        """RAS+ mm (3, M) of all heart in all planes and phases."""
        every = [p.upright.points()[:, p.inside(n, s)] for p in self.planes for n in p.probabilities for s in LABELS_OF]
        return np.concatenate(every, axis=1) if every else np.empty((3, 0))

    def record(self) -> dict[str, Any]:
        """As run.json keeps it."""
        return {
            "used": [
                {
                    "name": plane.name,
                    "phases": len(plane.probabilities),
                    "right_mm": round(float(plane.moved_mm[0]), 2),
                    "to_apex_mm": round(float(plane.moved_mm[1]), 2),
                    "agreement_dice": round(plane.agreement, 3),
                }
                for plane in self.planes
            ],
            "left_out": [{"name": name, "why": why} for name, why in self.left_out],
        }


def see(
    views: Sequence[View], phases: Sequence[str], slices: Slices, prior: Prior | None, segment: SegmentViews
) -> Seen:
    """Label the views' pictures of these phases, and find where they belong."""
    used: list[SeenPlane] = []
    left_out: list[tuple[str, str]] = []
    for name, pictures in _planes(views, phases):
        found = (
            "the slices show no right ventricle to turn it by"
            if prior is None
            else _seen(name, pictures, slices, prior, segment)
        )
        if isinstance(found, str):
            left_out.append((name, found))
        else:
            used.append(found)
    return Seen(tuple(used), tuple(left_out))


def _planes(views: Sequence[View], phases: Sequence[str]) -> Iterator[tuple[str, dict[int, View]]]:
    """The views' pictures by phase, those of one plane together."""
    planes: dict[tuple[str, bytes], dict[int, View]] = {}
    for view in views:
        if view.phase in phases:
            key = view.name, np.round(view.affine, 3).tobytes()
            planes.setdefault(key, {})[list(phases).index(view.phase)] = view
    for (name, _), pictures in planes.items():
        yield name, pictures


def _seen(name: str, pictures: dict[int, View], slices: Slices, prior: Prior, segment: SegmentViews) -> SeenPlane | str:
    """A plane in the slices' breath-hold; or why it says nothing."""
    one = next(iter(pictures.values()))
    upright = Upright.of(np.asarray(one.affine), prior.axis, prior.middle, prior.to_right)
    if upright is None:
        return "it is no long-axis view of this heart"
    points = upright.points()
    images = np.stack([sampled(view.image, view.affine, points, mode="nearest") for view in pictures.values()])
    images, numbers = normalised(images), list(pictures)
    moved = np.zeros(2)
    for _ in range(2):
        placed = upright.moved(-moved)
        priors = np.stack([prior.labels_on(p, placed) for p in numbers])
        found = segment(images, priors)
        step = _breath_hold(found, numbers, placed, slices)
        moved = np.clip(moved + step, -MOST_PX * PIXEL_MM, MOST_PX * PIXEL_MM)
    placed = upright.moved(-moved)
    priors = np.stack([prior.labels_on(p, placed) for p in numbers])
    found = _steady(segment(images, priors))
    found = np.stack([_without_strays(one, ours) for one, ours in zip(found, priors, strict=True)])
    agreement = _agreement(found, priors, placed, slices)
    if agreement is None:
        return "it hardly cuts the heart"
    if np.abs(moved).max() > (MOST_PX - 1) * PIXEL_MM:
        return f"its heart lies {np.abs(moved).max():.0f} mm or more from that of the slices"
    if agreement < LEAST_DICE:
        return f"its heart is not where the slices have theirs (Dice {agreement:.2f})"
    pictured = sampled(np.ones(one.image.shape, np.float32), one.affine, points) > 0.99
    return SeenPlane(name, placed, dict(zip(numbers, found, strict=True)), pictured, moved, agreement)


def _without_strays(found: Float32[np.ndarray, "4 C C"], prior: UInt8[np.ndarray, "C C"]) -> NDArray[np.float32]:
    """A ventricle's largest piece stays, and others where the short axis has it too; the rest is background."""
    labels, out = found.argmax(axis=0), found.copy()
    for structure in (WHOLE, RIGHT):
        pieces, _ = ndimage.label(np.isin(labels, LABELS_OF[structure]))
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        kept = np.bincount(pieces[np.isin(prior, LABELS_OF[structure])], minlength=len(sizes)) > sizes * LEAST_SHARED
        kept[0] = kept[int(sizes.argmax())] = True
        out[:, ~kept[pieces]] = np.array([[1.0], [0.0], [0.0], [0.0]])
    return out


def _steady(found: Float32[np.ndarray, "P 4 C C"]) -> Float32[np.ndarray, "P 4 C C"]:
    """Over a whole heartbeat, each picture with a part of its neighbours'."""
    if len(found) < LEAST_PHASES:
        return found
    return np.asarray(ndimage.gaussian_filter1d(found, SMOOTH_PHASES, axis=0, mode="wrap"), dtype=np.float32)


def _breath_hold(found: Float32[np.ndarray, "Q 4 C C"], numbers: list[int], upright: Upright, slices: Slices) -> Array:
    """(2,) mm along the picture's axes by which its heart lies from the slices', by their labels on the lines that both
    share."""
    side = upright.side
    height = slices.normal @ upright.affine[:3]  # position of pixel (a, b, c, 1)
    a = np.arange(side)
    b = (slices.positions_mm[:, None] - height[3] - height[0] * a) / height[1]
    to_frame = np.linalg.inv(slices.affine)
    world = upright.place(np.stack([np.broadcast_to(a, b.shape), b]))
    place = np.tensordot(to_frame[:2, :3], world, 1) + to_frame[:2, 3, None, None]
    lines = np.stack(
        [
            [
                ndimage.map_coordinates(s, at, order=0, mode="constant")
                for s, at in zip(slices.labels[p], place.swapaxes(0, 1), strict=True)
            ]
            for p in numbers
        ]
    )  # (Q, N, C)
    heart = np.asarray((lines > 0).any(axis=0))
    within = (b > MOST_PX) & (b < side - 2 - MOST_PX)
    near = within & np.stack(
        [ndimage.distance_transform_edt(~line) * PIXEL_MM < NEAR_MM if line.any() else line for line in heart]
    )
    near[:, : MOST_PX + 1] = near[:, -MOST_PX - 1 :] = False
    n, at = np.nonzero(near)
    if len(n) == 0:
        return np.zeros(2)
    surprise = -np.log(np.clip(found, LEAST_PROBABILITY, 1))
    rows, labels = np.floor(b[n, at]).astype(int), lines[:, n, at]
    share, q = b[n, at] - rows, np.arange(len(numbers))[:, None]
    steps = np.arange(-MOST_PX, MOST_PX + 1)
    longer = np.arange(-MOST_PX, MOST_PX + 2)
    sums = np.array([[surprise[q, labels, at + i, rows + j].mean(axis=0) for j in longer] for i in steps])
    cost = ((1 - share) * sums[:, :-1] + share * sums[:, 1:]).mean(axis=2)
    cost = cost * SAMPLES_A_LINE * len(np.unique(n))
    cost += np.add.outer(steps**2, steps**2) * (PIXEL_MM / USUAL_MM) ** 2 / 2
    i, j = np.unravel_index(int(cost.argmin()), cost.shape)
    return np.array([steps[i] + _offset(cost[:, j], int(i)), steps[j] + _offset(cost[i], int(j))]) * PIXEL_MM


def _offset(curve: Array, k: int) -> float:
    """How far beside its lowest sample a curve is lowest, in samples."""
    if not 0 < k < len(curve) - 1:
        return 0.0
    low, middle, high = curve[k - 1 : k + 2]
    bend = low - 2 * middle + high
    return float(np.clip((low - high) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0


def _agreement(
    found: Float32[np.ndarray, "Q 4 C C"], priors: UInt8[np.ndarray, "Q C C"], upright: Upright, slices: Slices
) -> float | None:
    """Dice of all heart between the first and the last slice; None for too little."""
    height = np.tensordot(slices.normal, upright.points(), 1)
    between = (height > slices.positions_mm[0]) & (height < slices.positions_mm[-1])
    theirs, ours = (found.argmax(axis=1) > 0) & between, (priors > 0) & between
    sizes = theirs.sum() + ours.sum()
    if sizes * PIXEL_MM**2 / 2 / len(found) < LEAST_MM2:
        return None
    return float(2 * (theirs & ours).sum() / sizes)
