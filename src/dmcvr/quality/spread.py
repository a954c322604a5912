"""How far volumes may be off, and by what: draws of what the slices leave open, no network needed.

A volume is the area of a structure's sections, summed over the stack. What is not known of it comes from four sources,
each drawn by itself: where the segmenter would draw the border (its own probabilities, moved by an offset), what the
area does between two slices, where the structure ends beyond or between them, and where the slices lie beside each
other. The draws tell the shape of the uncertainty, its size in one exam against another, and what EDV and ESV share;
`dmcvr.quality.intervals` brings them to a level that holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy.typing import NDArray

from dmcvr.anatomy.complete import Ends
from dmcvr.anatomy.sections import CAVITY, RIGHT, WHOLE
from dmcvr.clinical.measures import slabs_mm

Array = NDArray[np.float64]

#: Draws come in pairs of opposite sign, so that their mean is no error of its own.
PAIRS = 100

#: What an offset of the border is shared by: all of an exam, its phases, its slices. A third of the variance each.
SHARES = (1 / 3, 1 / 3, 1 / 3)

#: What lies between the slices and beyond them is alike over the heartbeat: this share of the variance.
ALIKE = 0.5

#: The standard deviation of a border's offset, in logits.
OFFSET = 1.0

#: Pixels further than this from an even chance (logits) stay what they are.
FARTHEST = 6.0

#: How often the most basal section of a structure is taken for the atrium or the outflow tract, or one of those for it:
#: that many gaps of its area are lost or gained.
MISTAKEN = 0.05

#: Halving a gap divides the error between its slices by four: the area's curvature makes it.
CURVED = 4.0

SOURCES = ("segmentation", "between_slices", "base_and_apex", "shifts")


@dataclass(frozen=True)
class Opening:
    """What one phase leaves open.

    ======  ============  =============================================================
    labels  (N, S, S)     of its slices, in one breath-hold
    found   (N, 4, S, S)  the segmenter's probabilities; None where labels were given
    ends                  where its structures end
    ======  ============  =============================================================
    """

    labels: UInt8[np.ndarray, "N S S"]
    found: Float32[np.ndarray, "N 4 S S"] | None
    ends: Ends


@dataclass(frozen=True)
class Spread:
    """Draws of how far volumes are off, in mL.

    ======  ============  ================================================================================
    off_ml  (D, P, 3)     by source: D draws, P phases, LV cavity, whole LV (cavity and muscle), RV cavity
    ======  ============  ================================================================================
    """

    off_ml: dict[str, Float64[np.ndarray, "D P 3"]]

    @classmethod
    def of(
        cls,
        phases: list[Opening],
        positions_mm: Float64[np.ndarray, " N"],
        pixel_mm: float,
        sd_mm: Float64[np.ndarray, " N"] | None = None,
    ) -> Spread:
        """Of slices at these positions; `sd_mm` (N,) is how unsure their places in the plane are, along an axis."""
        rng = np.random.default_rng(0)
        slab_ml = slabs_mm(positions_mm) * pixel_mm**2 / 1000
        count = (PAIRS, len(phases), 3)

        def drawn(alike: float) -> Array:
            shared, own = rng.normal(size=(PAIRS, 1, 3)), rng.normal(size=count)
            return _opposites(np.sqrt(alike) * shared + np.sqrt(1 - alike) * own)

        ends = [p.ends for p in phases]
        gaps, tips, sheets = (np.stack([f(e) for e in ends]) for f in (_between_ml, _tip_ml, _sheet_ml))
        tip, sheet = drawn(ALIKE), drawn(ALIKE)
        for z in (tip, sheet):  # cavity and whole LV end together
            z[..., WHOLE] = z[..., CAVITY]
        return cls(
            {
                "segmentation": _borders_ml(phases, slab_ml, rng),
                "between_slices": drawn(ALIKE) * gaps,
                "base_and_apex": tip * tips + sheet * sheets,
                "shifts": drawn(ALIKE) * np.stack([_shifts_ml(e, sd_mm) for e in ends]),
            }
        )


def _opposites(draws: Array) -> Array:
    return np.concatenate([draws, -draws])


def _borders_ml(phases: list[Opening], slab_ml: Array, rng: np.random.Generator) -> Array:
    """(D, P, 3) by offsets of the probabilities' logits: of the exam, of each phase, of each slice."""
    slices = len(slab_ml)
    shape = [(PAIRS, 1, 1, 3), (PAIRS, len(phases), 1, 3), (PAIRS, len(phases), slices, 3)]
    offset = OFFSET * sum(np.sqrt(share) * rng.normal(size=s) for share, s in zip(SHARES, shape, strict=True))
    offset = _opposites(np.broadcast_to(offset, shape[2]))
    off = np.zeros((2 * PAIRS, len(phases), 3))
    for p, phase in enumerate(phases):
        if phase.found is None:
            continue
        for n, slice_ in enumerate(phase.found):
            inside = (slice_[1], slice_[1] + slice_[2], slice_[3])
            for structure, probability in zip((CAVITY, WHOLE, RIGHT), inside, strict=True):
                off[:, p, structure] += slab_ml[n] * _more_pixels(probability, offset[:, p, n, structure])
        off[:, p] += np.sqrt(2 * MISTAKEN) * _basal_ml(phase.ends) * _opposites(rng.normal(size=(PAIRS, 1)))
    return off


def _basal_ml(ends: Ends) -> Array:
    """(3,) of the most basal section of each structure, as far as the next."""
    out = np.zeros(3)
    for structure in (CAVITY, WHOLE, RIGHT):
        seen = ends.sections.seen(structure)
        if len(seen):
            first = int(seen[0])
            out[structure] = ends.sections.area_mm2[first, structure] * ends.sections.gap_mm(first) / 1000
    return out


def _more_pixels(probability: Float32[np.ndarray, "S S"], offset: Array) -> Array:
    """(D,) pixels that come in (or, negative, go out) where the logits are raised by `offset` (D,)."""
    p = np.clip(probability.ravel().astype(np.float64), 1e-6, 1 - 1e-6)
    logits = np.log(p) - np.log1p(-p)
    near = np.sort(logits[np.abs(logits) < FARTHEST])
    here = np.searchsorted(near, 0.0)
    return np.asarray(here - np.searchsorted(near, -offset), dtype=np.float64)


def _between_ml(ends: Ends) -> Array:
    """(3,) by how far each section's area lies from the line between its neighbours', a gap of twice the length."""
    depth, area = ends.sections.depth_mm, ends.sections.area_mm2
    out = np.zeros(3)
    for structure in (CAVITY, WHOLE, RIGHT):
        seen = ends.sections.seen(structure)
        if len(seen) < 3:
            out[structure] = float((area[:, structure] * ends.sections.gap_mm(0)).sum()) / 1000 / CURVED
            continue
        a, b, c = seen[:-2], seen[1:-1], seen[2:]
        share = (depth[b] - depth[a]) / (depth[c] - depth[a])
        away = area[b, structure] - (1 - share) * area[a, structure] - share * area[c, structure]
        gaps = np.diff(depth[seen])
        out[structure] = np.sqrt(np.mean(away**2)) / CURVED * np.sqrt((gaps**2).sum()) / 1000
    return out


def _tip_ml(ends: Ends) -> Array:
    """(3,) by the depth of each structure's tip: the last section's area, half of it on the way."""
    out = np.zeros(3)
    for structure, (tip, _) in ends.tips.items():
        out[structure] = ends.sections.area_mm2[tip.last, structure] * tip.sd_mm / 2000
    return out


def _sheet_ml(ends: Ends) -> Array:
    """(3,) by the height of the sheets at the base: the first section's area on the way."""
    out = np.zeros(3)
    for structure, of in ((CAVITY, WHOLE), (WHOLE, WHOLE), (RIGHT, RIGHT)):
        if of in ends.sheets:
            sheet, _ = ends.sheets[of]
            out[structure] = ends.sections.area_mm2[sheet.first, structure] * sheet.sd_mm / 1000
    return out


def _shifts_ml(ends: Ends, sd_mm: Float64[np.ndarray, " N"] | None) -> Array:
    """(3,) of sections beside each other: half way between two discs, a distance d apart, the mean of their signed
    distances is an ellipse with those centres as foci: smaller by d^2 / 8 r^2."""
    if sd_mm is None:
        return np.zeros(3)
    apart2 = 2 * float(np.mean(np.square(sd_mm))) * 2  # two slices, two axes
    gap = np.diff(ends.sections.depth_mm).mean()
    seen = (ends.sections.area_mm2 > 0).sum(axis=0)
    return np.asarray(seen * gap * np.pi * apart2 / 8 * 2 / 3 / 1000)
