"""segmentation: the segmenter's labels on the acquired slices against the manual ones.

On the file's own pixels. Dice counts the voxels of all slices of a level together (`all`: the whole stack); HD95 is
the mean over slices, in the plane. A structure that neither has does not count; one that only one of them has gets
an HD95 of 40 mm in that slice. Where the folder holds one scan under two names, labelled twice, the one annotator's
labels are judged by the other's in the same way: what two people agree in. (That scan may have been trained on, so the
segmenter is not judged by it.) Base, mid and apex are thirds of the slices with left ventricle; `most basal` and `most
apical` are the last of those at either end. Of partly labelled slices, only the structures that were looked for count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dmcvr.evaluate.case import Bench, Case, Findings, levels
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.geometry.region import uncrop_labels
from dmcvr.labels.cap import with_cap
from dmcvr.labels.tidy import tidy_labels
from dmcvr.quality.metrics import dice, hd95_mm


def segmentation(case: Case, bench: Bench) -> Findings:
    """A row for each phase and level: the segmenter's, or a second annotator's."""
    stack = case.stack
    findings = Findings()
    method, labels = ("segmenter", _segmented(stack, bench)) if case.second is None else ("annotators", case.second)
    for p, phase in enumerate(stack.phases):
        found, truth = labels[p], case.manual[p]
        for level, chosen in _levels(truth).items():
            row = {**case.about, "phase": phase, "level": level, "method": method}
            for c, name in LABEL_NAMES.items():
                if c not in case.judged:
                    row |= {f"dice_{name}": np.nan, f"hd95_{name}_mm": np.nan}
                    continue
                a, b = found[chosen] == c, truth[chosen] == c
                distances = np.array([hd95_mm(x, y, stack.pixel_mm) for x, y in zip(a, b, strict=True)])
                row[f"dice_{name}"] = dice(a, b)
                row[f"hd95_{name}_mm"] = float(np.nanmean(distances)) if np.isfinite(distances).any() else np.nan
            findings.rows.append(row)
    return findings


def _levels(truth: NDArray[np.uint8]) -> dict[str, NDArray[np.intp]]:
    """Indices of the slices of each level that there is, of a phase (N, I, J)."""
    of_slice = np.array(levels(truth))
    found = {level: np.flatnonzero(of_slice == level) for level in ("base", "mid", "apex", "beyond")}
    inside = np.flatnonzero(of_slice != "beyond")
    if len(inside):
        ends = inside[[0, -1]] if of_slice[inside[0]] == "base" else inside[[-1, 0]]
        found |= {"most basal": ends[:1], "most apical": ends[1:]}
    every = {"all": np.arange(len(truth))} | found
    return {level: chosen for level, chosen in every.items() if len(chosen)}


def _segmented(stack: SliceStack, bench: Bench) -> NDArray[np.uint8]:
    """(P, N, I, J) the segmenter's labels on the file's own pixels."""
    region, (rows, columns) = bench.prepare(stack), stack.images.shape[2:]
    frame, segment = region.located.frame, bench.engine.segment_stack
    found = (
        uncrop_labels(segment(images, stack.positions_mm), frame, stack.affines, (rows, columns), stack.normal)
        for images in region.images
    )
    pixel_mm = float(np.sqrt(np.prod(stack.pixel_mm)))
    tidied = [tidy_labels(labels, pixel_mm) for labels in found]
    images = (region.scale.normalise(phase) for phase in stack.images)
    return np.stack([with_cap(*pair) for pair in zip(tidied, images, strict=True)])
