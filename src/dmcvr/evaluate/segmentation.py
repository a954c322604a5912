"""segmentation: the segmenter's labels on the acquired slices against the manual ones.

On the file's own pixels. Dice counts the voxels of all slices of a level together (`all`: the whole stack); HD95 is
the mean over slices, in the plane. A structure that neither has does not count; one that only one of them has gets
an HD95 of 40 mm in that slice. Where the folder holds one scan under two names, labelled twice, the one annotator's
labels are judged by the other's in the same way: what two people agree in. (That scan may have been trained on, so the
segmenter is not judged by it.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dmcvr.evaluate.case import Bench, Case, Findings, levels
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.geometry.region import uncrop_labels
from dmcvr.labels.tidy import tidy_labels
from dmcvr.quality.metrics import dice, hd95_mm


def segmentation(case: Case, bench: Bench) -> Findings:
    """A row for each phase and level: the segmenter's, or a second annotator's."""
    stack = case.stack
    findings = Findings()
    method, labels = ("segmenter", _segmented(stack, bench)) if case.second is None else ("annotators", case.second)
    for p, phase in enumerate(stack.phases):
        found, truth = labels[p], case.manual[p]
        of_slice = np.array(levels(truth))
        for level in ("all", "base", "mid", "apex", "beyond"):
            chosen = np.flatnonzero((of_slice == level) | (level == "all"))
            if len(chosen) == 0:
                continue
            row = {**case.about, "phase": phase, "level": level, "method": method}
            for c, name in LABEL_NAMES.items():
                a, b = found[chosen] == c, truth[chosen] == c
                distances = np.array([hd95_mm(x, y, stack.pixel_mm) for x, y in zip(a, b, strict=True)])
                row[f"dice_{name}"] = dice(a, b)
                row[f"hd95_{name}_mm"] = float(np.nanmean(distances)) if np.isfinite(distances).any() else np.nan
            findings.rows.append(row)
    return findings


def _segmented(stack: SliceStack, bench: Bench) -> NDArray[np.uint8]:
    """(P, N, I, J) the segmenter's labels on the file's own pixels."""
    region, (rows, columns) = bench.prepare(stack), stack.images.shape[2:]
    return np.stack(
        [
            tidy_labels(
                uncrop_labels(
                    bench.engine.segment(images), region.located.frame, stack.affines, (rows, columns), stack.normal
                ),
                float(np.sqrt(np.prod(stack.pixel_mm))),
            )
            for images in region.images
        ]
    )
