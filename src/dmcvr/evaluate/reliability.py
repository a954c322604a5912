"""reliability: whether a label's probability is what it says, on slices that were left out of the stack.

Every other slice is kept, as in `held-out`: what is left out of stacks of 5 mm lies 5 mm from the nearest kept slice,
of other stacks 6.5 to 10 mm. A label comes with the largest of four probabilities. `as drawn` is that number; `as
shown` is what `uncertainty.nii.gz` has (`dmcvr.quality.doubt`): brought to what was found true that far from a slice.
`acquired` are the kept slices themselves, as the segmenter sees them.

Compared are pixels within 10 mm of the heart, drawn or manual, in 15 bins of equal width of the foretold probability;
in each, the share of pixels whose label is the manual one. The expected calibration error is the mean distance of that
share from the mean foretold probability, each bin counting by its pixels (Naeini et al., AAAI 2015; Guo et al., ICML
2017, eq. 3); of one structure, over the pixels with that label (top-label calibration: Gupta & Ramdas, ICLR 2022);
`heart and around`: over all. Intervals: percentile bootstrap over patients. A row is one bin of one patient's phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, UInt8
from scipy import ndimage

from dmcvr.evaluate.case import Bench, Case, Findings, Inputs, Row
from dmcvr.evaluate.contenders import Contender
from dmcvr.evaluate.held_out import FINE_MM, kept_and_left
from dmcvr.evaluate.statistics import CONFIDENCE
from dmcvr.evaluate.tables import Table
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import crop_labels
from dmcvr.quality.doubt import doubt

#: Bins of the foretold probability.
BINS = 15

#: Pixels further than this from the heart are background, and every method is sure of that.
AROUND_MM = 10.0

#: Patients drawn again so often.
RESAMPLES = 2000

DRAWN, SHOWN = "as drawn", "as shown"

#: All pixels, whatever their label.
EVERY = "heart and around"


def reliability(case: Case, bench: Bench) -> Findings:
    """Of both phases' left-out and kept slices; nothing where fewer than two slices would be kept."""
    stack = case.stack
    kept, left = kept_and_left(len(stack.affines), bench.keep_every)
    if len(kept) < 2:
        return Findings()
    seen = stack.select_slices(kept)
    region = bench.prepare(seen)
    pixel_mm = region.located.frame.pixel_mm
    manual = crop_labels(stack, case.manual, region.located.frame)
    plan = Plan.between(stack.positions_mm[kept], stack.positions_mm[left])
    away = np.abs(stack.positions_mm[left][:, None] - stack.positions_mm[kept]).min(axis=1)
    task = "5 mm away" if stack.spacing_mm < FINE_MM else "6.5 to 10 mm away"
    inputs, (contender,) = Inputs(bench, seen, region), bench.contenders
    rows: list[Row] = []
    for p in range(len(stack.phases)):
        acquired = inputs.of(contender, p)
        for name, scores, truth, away_mm in (
            ("acquired", acquired.probabilities, manual[p, kept], np.zeros(len(kept))),
            (task, contender.method(acquired, plan).scores, manual[p, left], away),
        ):
            rows += [{**case.about, "task": name, **row} for row in _bins(scores, truth, away_mm, pixel_mm)]
    return Findings(rows)


def _bins(
    scores: Float32[np.ndarray, "M 4 S S"],
    truth: UInt8[np.ndarray, "M S S"],
    away_mm: Float64[np.ndarray, " M"],
    pixel_mm: float,
) -> list[Row]:
    """The pixels around the heart of M slices, by structure, by kind of probability and by bin."""
    labels = scores.argmax(axis=1)
    near = _around((labels > 0) | (truth > 0), pixel_mm)
    right = labels == truth
    rows = []
    for kind, foretold in ((DRAWN, scores.max(axis=1)), (SHOWN, 1 - doubt(scores, away_mm, pixel_mm))):
        which = np.minimum((foretold * BINS).astype(int), BINS - 1)
        for name, mask in {EVERY: near, **{name: near & (labels == c) for c, name in LABEL_NAMES.items()}}.items():
            pixels, said, true = (
                np.bincount(which[mask], weights=weights, minlength=BINS)
                for weights in (None, foretold[mask], right[mask].astype(float))
            )
            rows += [
                {
                    **{"structure": name, "kind": kind, "bin": int(b), "pixels": int(pixels[b])},
                    **{"foretold": float(said[b]), "right": float(true[b])},
                }
                for b in np.flatnonzero(pixels)
            ]
    return rows


def _around(heart: Bool[np.ndarray, "M S S"], pixel_mm: float) -> Bool[np.ndarray, "M S S"]:
    return np.stack(
        [
            ndimage.distance_transform_edt(~slice_) * pixel_mm <= AROUND_MM if slice_.any() else slice_
            for slice_ in heart
        ]
    )


def reliability_tables(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """The calibration error by distance and structure; further, the curves."""
    del contenders
    lines, curves = [], []
    for (task, structure), members in rows.groupby(["task", "structure"], sort=False):
        line: dict[str, Any] = {"task": task, "structure": structure, "patients": members["patient"].nunique()}
        for kind, key in ((DRAWN, "drawn"), (SHOWN, "shown")):
            binned = by_patient(members[members["kind"] == kind])
            low, high = _interval(binned)
            whole = binned.sum(axis=0)
            line |= {"pixels": int(whole[:, 0].sum()), "right": float(whole[:, 2].sum() / whole[:, 0].sum())}
            line |= {f"{key}_error": calibration_error(whole), f"{key}_low": low, f"{key}_high": high}
            curves += [
                {
                    "task": task,
                    "structure": structure,
                    "kind": kind,
                    "pixels": int(n),
                    "foretold": said / n,
                    "right": true / n,
                }
                for n, said, true in whole
                if n
            ]
        lines.append(line)
    return [
        Table("Calibration error", "calibration", pd.DataFrame(lines)),
        Table("Reliability curves", "figures", pd.DataFrame(curves), further=True),
    ]


def by_patient(rows: pd.DataFrame) -> Float64[np.ndarray, "P B 3"]:
    """(P, BINS, 3) pixels, and the sums of their foretold probability and of those that are right, of each patient."""
    found = np.zeros((rows["patient"].nunique(), BINS, 3))
    np.add.at(found, (pd.factorize(rows["patient"])[0], rows["bin"]), rows[["pixels", "foretold", "right"]].to_numpy())
    return found


def calibration_error(binned: Float64[np.ndarray, "*_ B 3"]) -> Any:
    """The expected calibration error of bins (..., B, 3) of pixels, foretold and right; nan where there is no pixel."""
    pixels = binned[..., 0].sum(axis=-1)
    gaps = np.abs(binned[..., 1] - binned[..., 2]).sum(axis=-1)
    return np.where(pixels > 0, gaps / np.maximum(pixels, 1), np.nan)[()]


def _interval(binned: Float64[np.ndarray, "P B 3"]) -> tuple[float, float]:
    """Of the error, over patients drawn again; nan of one patient."""
    count = len(binned)
    if count < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    errors = calibration_error(np.tensordot(drawn.astype(float), binned, axes=1))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(errors, (tail, 100 - tail))
    return float(low), float(high)
