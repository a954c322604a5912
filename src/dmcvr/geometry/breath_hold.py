"""One breath-hold: how far each slice's heart lies beside the others', how sure that is, and slices slid together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.exam.stack import SliceStack
from dmcvr.geometry.region import Frame
from dmcvr.geometry.smooth_axis import FREEDOM, Shifts, Track, shifts_of
from dmcvr.labels.distances import shares

Array = NDArray[np.float64]

#: Slices are moved where the model with shifts is this much the better one, in nats: about seven to one.
ENOUGH = 2.0

#: Labels that move by parts of a pixel are softened by this much (SD), or their borders would move by whole pixels.
SOFT_PX = 0.7

#: A view's own place along a line: nothing is known (mm).
ANYWHERE_MM = 30.0


@dataclass(frozen=True)
class Crossing:
    """What the long-axis view of that name says of M slices: how far along `direction` their hearts lie, to within a
    constant.

    =========  ====  ===============================================================
    slices     (M,)  which
    direction  (2,)  unit vector in the slices' plane, along the frame's u and v
    place_mm   (M,)
    sd_mm      (M,)
    =========  ====  ===============================================================
    """

    slices: Int[np.ndarray, " M"]
    direction: Float64[np.ndarray, " 2"]
    place_mm: Float64[np.ndarray, " M"]
    sd_mm: Float64[np.ndarray, " M"]
    view: str = ""


@dataclass(frozen=True)
class BreathHolds:
    """Where the heart lies in each of N slices, from where it lies in the reference; the same in all phases.

    =========  =======  ===========================================================================================
    found_mm   (N, 2)   along `axes`, as expected of what was seen
    sd_mm      (N, 2)   standard deviation of that, along each axis
    axes       (2, 3)   unit vectors to the right and downwards in the picture, RAS+
    evidence   scalar   nats by which shifted slices explain what was seen better than slices in place
    reference  words    the breath-hold that the others are moved to
    sources    words    what tells of shifts
    views      names    of the long-axis views among them
    =========  =======  ===========================================================================================
    """

    found_mm: Float64[np.ndarray, "N 2"]
    sd_mm: Float64[np.ndarray, "N 2"]
    axes: Float64[np.ndarray, "2 3"]
    evidence: float
    reference: str
    sources: tuple[str, ...]
    views: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        tracks: Sequence[Track],
        crossings: Sequence[Crossing],
        positions_mm: Float64[np.ndarray, " N"],
        frame: Frame,
    ) -> BreathHolds:
        """By structures' tracks through the slices, and by long-axis views."""
        shifts = shifts_of(tracks, positions_mm)
        mean, cov, more = _with_views(shifts, crossings)
        seen = np.zeros(len(positions_mm), dtype=bool)
        for slices in [*(track.slices for track in tracks), *(crossing.slices for crossing in crossings)]:
            seen[slices] = True
        mean, reference = _referred(mean, seen, shifts.jumps)
        views = f"{len(crossings)} long-axis view{'s' if len(crossings) > 1 else ''}"
        sources = (*(SOURCES[track.name] for track in tracks), *([views] if crossings else []))
        sd = np.sqrt(np.diag(cov)).reshape(2, -1).T
        return cls(
            mean,
            sd,
            np.stack([frame.u, frame.v]),
            shifts.evidence + more,
            reference,
            sources,
            tuple(crossing.view for crossing in crossings),
        )

    @property
    def moved(self) -> bool:
        """Whether there is evidence enough to move slices."""
        return self.evidence >= ENOUGH

    @property
    def shifts_mm(self) -> Float64[np.ndarray, "N 2"]:
        """(N, 2) by which the slices are moved back: nothing where nothing says that they were out of place."""
        return self.found_mm if self.moved else np.zeros_like(self.found_mm)

    @property
    def world_mm(self) -> Float64[np.ndarray, "N 3"]:
        """(N, 3) the same in RAS+ mm."""
        return self.shifts_mm @ self.axes

    @property
    def lengths_mm(self) -> Float64[np.ndarray, " N"]:
        return np.asarray(np.linalg.norm(self.shifts_mm, axis=1))

    def slide(self, stack: SliceStack) -> SliceStack:
        """The exam in one breath-hold: its pixels are untouched, each slice's place in the world is moved."""
        if not self.moved:
            return stack
        affines = stack.affines.copy()
        affines[:, :3, 3] -= self.world_mm
        return replace(stack, affines=affines)

    def slide_labels(self, labels: UInt8[np.ndarray, "N S S"], pixel_mm: float) -> UInt8[np.ndarray, "N S S"]:
        """One phase's labels on the frame's grid, moved with their slices: softened shares, the largest wins."""
        if not self.moved:
            return labels
        soft = ndimage.gaussian_filter(shares(labels), SOFT_PX, axes=(2, 3), mode="nearest")
        out_of_place = np.any(self.shifts_mm != 0, axis=(1,), keepdims=True)[..., None]
        return np.where(out_of_place, self.slide_shares(soft, pixel_mm).argmax(axis=1), labels).astype(np.uint8)

    def slide_shares(self, soft: Float32[np.ndarray, "N C S S"], pixel_mm: float) -> Float32[np.ndarray, "N C S S"]:
        """One phase's shares or probabilities of labels on the frame's grid, moved with their slices."""
        moved = [
            np.stack([ndimage.shift(part, -shift / pixel_mm, order=1, mode="nearest") for part in slice_])
            if shift.any()
            else slice_
            for slice_, shift in zip(soft, self.shifts_mm, strict=True)
        ]
        return np.stack(moved)

    def record(self) -> dict[str, Any]:
        """As run.json keeps it; slices in the order of the input's positions."""
        return {
            "moved": self.moved,
            "why": self.why,
            "evidence_nats": round(self.evidence, 2),
            "reference": self.reference,
            "sources": list(self.sources),
            "slices": [
                {
                    "right_mm": round(float(shift[0]), 2),
                    "down_mm": round(float(shift[1]), 2),
                    "ras_mm": np.round(world, 2).tolist(),
                    "length_mm": round(float(length), 2),
                    "sd_mm": round(float(np.sqrt(np.mean(np.square(sd)))), 2),
                }
                for shift, world, length, sd in zip(
                    self.shifts_mm, self.world_mm, self.lengths_mm, self.sd_mm, strict=True
                )
            ],
        }

    @property
    def why(self) -> str:
        """One sentence: what was done."""
        if not self.sources:
            return "No heart was found that could tell where the slices lie, so none was moved."
        if not self.moved:
            return "Nothing says that a slice lies in another breath-hold than the others, so none was moved."
        return (
            f"The heart lay up to {self.lengths_mm.max():.1f} mm (on average {self.lengths_mm.mean():.1f} mm) beside "
            f"the reference, {self.reference}; the slices were moved back into it."
        )


#: What tracks are called.
SOURCES = {
    "cavity": "centre of the LV cavity",
    "whole": "centre of the LV's outer contour",
    "right": "centre of the RV cavity",
    "grey": "grey values of neighbouring slices",
}


def _with_views(shifts: Shifts, crossings: Sequence[Crossing]) -> tuple[Array, Array, float]:
    """(N, 2) mean, (2 N, 2 N) covariance, u before v, and the nats that views add to the evidence for shifts."""
    count = len(shifts.mean_mm)
    prior, cov = shifts.mean_mm.T.ravel(), np.kron(np.eye(2), shifts.cov_mm2)
    if not crossings:
        return shifts.mean_mm, cov, 0.0
    rows = np.concatenate(
        [np.eye(2 * count)[c.slices] * c.direction[0] + np.eye(2 * count)[count + c.slices] * c.direction[1]
         for c in crossings]
    )  # fmt: skip
    view = np.repeat(np.arange(len(crossings)), [len(c.slices) for c in crossings])
    place, variance = (np.concatenate([getattr(c, key) for c in crossings]) for key in ("place_mm", "sd_mm"))
    variance, weight = variance**2, np.ones(len(view))
    for _ in range(6):  # Student's t: a line that shows something else does not count
        noise = np.diag(variance / weight) + ANYWHERE_MM**2 * (view[:, None] == view)
        gain = cov @ rows.T @ np.linalg.inv(rows @ cov @ rows.T + noise)
        mean, after = prior + gain @ (place - rows @ prior), cov - gain @ rows @ cov
        left = place - rows @ mean
        for v in range(len(crossings)):
            left[view == v] -= np.average(left[view == v], weights=(weight / variance)[view == v])
        spread = np.einsum("ri,ij,rj->r", rows, after, rows)
        weight = (FREEDOM + 1) / (FREEDOM + (left**2 + spread) / variance)
    more = _log_normal(place - rows @ prior, rows @ cov @ rows.T + noise) - _log_normal(place, noise)
    return mean.reshape(2, count).T, after, more


def _log_normal(values: Array, cov: Array) -> float:
    """Logarithm of a normal density with mean 0, but for a constant."""
    return float(-(values @ np.linalg.solve(cov, values) + np.linalg.slogdet(cov)[1]) / 2)


def _referred(mean: Array, seen: Bool[np.ndarray, " N"], jumps: tuple[int, ...]) -> tuple[Array, str]:
    """Shifts from the mean place of the largest block of slices between jumps."""
    if not jumps:
        return mean, "the mean place of all slices"
    edges = [0, *(n + 1 for n in sorted(jumps)), len(mean)]
    blocks = list(zip(edges[:-1], edges[1:], strict=True))
    start, stop = max(blocks, key=lambda block: seen[slice(*block)].sum())
    inside = np.flatnonzero(seen[start:stop]) + start
    return mean - mean[inside].mean(axis=0), f"the mean place of slices {start + 1} to {stop}"
