"""round-trip: acquired slices rendered again (the paper's 2D generation table), and as they lie in the final volume.

`from codes`: encode, invert, decode, on the 192 mm square around the heart. `in the volume`: the dense volume as it
is written (voxels of the in-plane pixel size), resampled back to the acquired planes: what a user finds there. PSNR
and SSIM with intensities in [0, 1]; a row is one slice. The inversion is nearly exact for any network: this says
little of the slices between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.evaluate.case import Bench, Case, Findings, Inputs, image_scores
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.volume import slice_affines
from dmcvr.geometry.locate import Region
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import output_grid, uncrop


def round_trip(case: Case, bench: Bench) -> Findings:
    """Two rows for each acquired slice and contender."""
    stack = case.stack
    region = bench.prepare(stack)
    affine, shape = output_grid(stack, region.located.frame, float(np.mean(stack.pixel_mm)))
    affines = slice_affines(affine, shape[2])
    heights = affines[:, :3, 3] @ stack.normal
    # Of the dense slices, only those beside an acquired one matter here.
    above = np.clip(np.searchsorted(heights, stack.positions_mm), 1, len(heights) - 1)
    needed = np.unique(np.concatenate([above - 1, above]))
    plan = Plan.between(stack.positions_mm, heights[needed])
    findings = Findings()
    inputs = Inputs(bench, stack, region)
    for p, phase in enumerate(stack.phases):
        truth = (region.images[p] + 1) / 2
        for contender in bench.contenders:
            dense = contender.method(inputs.of(contender, p), plan)
            grey = uncrop(dense.images, region.located.frame, affines[needed], shape[:2], stack.normal)
            in_volume = _at_acquired(grey, affines[needed], stack, region)
            for task, images in (("from codes", dense.round_trip), ("in the volume", in_volume)):
                for n, image in enumerate(images):
                    keys = {"phase": phase, "task": task, "slice": n, "method": contender.name}
                    findings.rows.append({**case.about, **keys, **image_scores((image + 1) / 2, truth[n])})
    return findings


def _at_acquired(
    grey: NDArray[np.float32], affines: NDArray[np.float64], stack: SliceStack, region: Region
) -> NDArray[np.floating[Any]]:
    """(K, I, J) slices of the dense grid to (N, S, S): linear between the two around each acquired plane."""
    frame, heights = region.located.frame, affines[:, :3, 3] @ stack.normal
    plan = Plan.between(heights, stack.positions_mm)
    result = np.empty((len(plan), frame.size, frame.size), dtype=np.float32)
    for n, position in enumerate(stack.positions_mm):
        to_pixel = np.linalg.inv(affines[plan.lower[n]]) @ frame.affine_at(position, stack.normal)
        f = np.float32(plan.fraction[n])
        image = (1 - f) * grey[plan.lower[n]] + f * grey[plan.upper[n]]
        result[n] = ndimage.affine_transform(
            image, to_pixel[:2, :2], to_pixel[:2, 3], output_shape=(frame.size, frame.size), order=3, mode="nearest"
        )
    return np.clip(result, -1, 1)
