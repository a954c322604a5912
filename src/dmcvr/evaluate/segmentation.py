"""segmentation: the segmenter's labels on the acquired slices against the manual ones.

On the file's own pixels. Dice counts the voxels of all slices of a level together (`all`: the whole stack); HD95 is
the mean over slices, in the plane. A structure that neither has does not count; one that only one of them has gets
an HD95 of 40 mm in that slice.
"""

from __future__ import annotations

import numpy as np

from dmcvr.evaluate.case import Bench, Case, Findings, levels
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.geometry.region import uncrop_labels
from dmcvr.labels.components import keep_one_heart
from dmcvr.quality.metrics import dice, hd95_mm


def segmentation(case: Case, bench: Bench) -> Findings:
    """A row for each phase and level."""
    stack = case.stack
    region = bench.prepare(stack)
    shape = stack.images.shape[2:]
    findings = Findings()
    for p, phase in enumerate(stack.phases):
        scores = bench.engine.segment(region.images[p])
        found = keep_one_heart(
            uncrop_labels(scores, region.located.frame, stack.affines, (shape[0], shape[1]), stack.normal)
        )
        truth = case.manual[p]
        of_slice = np.array(levels(truth))
        for level in ("all", "base", "mid", "apex", "beyond"):
            chosen = np.flatnonzero((of_slice == level) | (level == "all"))
            if len(chosen) == 0:
                continue
            row = {**case.about, "phase": phase, "level": level, "method": "segmenter"}
            for c, name in LABEL_NAMES.items():
                a, b = found[chosen] == c, truth[chosen] == c
                distances = np.array([hd95_mm(x, y, stack.pixel_mm) for x, y in zip(a, b, strict=True)])
                row[f"dice_{name}"] = dice(a, b)
                row[f"hd95_{name}_mm"] = float(np.nanmean(distances)) if np.isfinite(distances).any() else np.nan
            findings.rows.append(row)
    return findings
