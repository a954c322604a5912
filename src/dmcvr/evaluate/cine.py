"""cine: does the drawn part of a beating heart tremble more than the acquired one?

Every phase of a 4D exam is filled on its own, half way between neighbouring slices. Judged is what should stand still:
pixels of the 192 mm square further than 10 mm from any heart that was seen or drawn there in any phase. Flicker is the
root mean square of the second difference in time (periodic), over root 6: the standard deviation of independent noise,
with intensities in [0, 1].

A row is one gap: `flicker_between` of the drawn slice, `flicker_acquired` of both its neighbours (root mean square) at
the same pixels, and their ratio: at most 1 is right, and the mean of two noisy slices has about 0.7.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.clinical.cycle import MIN_PHASES
from dmcvr.evaluate.case import Bench, Case, Findings, Inputs, labels_of
from dmcvr.geometry.plan import Plan
from dmcvr.quality.metrics import flicker

#: What is nearer to the heart than this moves with it.
MARGIN_MM = 10.0


def cine(case: Case, bench: Bench) -> Findings:
    """A row for each gap and contender; nothing for exams of fewer than three phases."""
    stack = case.stack
    findings = Findings()
    if len(stack.phases) < MIN_PHASES:
        return findings
    region = bench.prepare(stack)
    pixel_mm = region.located.frame.pixel_mm
    positions = stack.positions_mm
    plan = Plan.between(positions, (positions[:-1] + positions[1:]) / 2)
    acquired = (region.images + 1) / 2
    inputs = Inputs(bench, stack, region)
    phases = range(len(stack.phases))
    for contender in bench.contenders:
        seen = np.stack([inputs.of(contender, p).labels > 0 for p in phases])
        filled = [contender.method(inputs.of(contender, p), plan) for p in phases]
        drawn = (np.stack([dense.images for dense in filled]) + 1) / 2
        hearts = np.stack([labels_of(dense) > 0 for dense in filled])
        for n in range(len(plan)):
            still = ~_near(np.concatenate([seen[:, n : n + 2].reshape(-1, *seen.shape[2:]), hearts[:, n]]), pixel_mm)
            between = flicker(drawn[:, n][:, still])
            around = flicker(acquired[:, n : n + 2][:, :, still])
            scores = {"flicker_between": between, "flicker_acquired": around}
            keys = {"phase": "all", "slice": n, "method": contender.name}
            findings.rows.append({**case.about, **keys, **scores, "flicker_ratio": between / max(around, 1e-9)})
    return findings


def _near(hearts: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.bool_]:
    """(S, S) what lies within the margin of any of the hearts (K, S, S)."""
    heart = hearts.any(axis=0)
    return np.asarray(ndimage.distance_transform_edt(~heart, sampling=pixel_mm) <= MARGIN_MM) & heart.any()
