"""What is measured. Each protocol yields rows (one a patient, phase and method) of plain numbers.

Nothing here sees a manual label before it compares: the heart is found by the segmenter, from the slices that a
method is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.baselines import BASELINES
from dmcvr.engine import Engine
from dmcvr.interpolate import Plan
from dmcvr.locate import prepare
from dmcvr.measures import slice_summation
from dmcvr.methods import Acquired, Method
from dmcvr.metrics import dice, psnr_db, sharpness, ssim
from dmcvr.postprocess import keep_one_heart
from dmcvr.preprocess import IntensityScale, crop_images, crop_labels, uncrop_labels
from dmcvr.reconstruction import METHODS, reconstruct
from dmcvr.stack import LABEL_NAMES, SliceStack

Row = dict[str, Any]

#: Stacks with slices closer than this leave a clinical gap when every other slice is taken out.
FINE_MM = 6.0

#: Through-plane sampling of the dense volumes of the clinical protocol.
CLINICAL_SPACING_MM = 2.5


def segmentation(name: str, stack: SliceStack, engine: Engine) -> Iterator[Row]:
    """Dice of each structure on the acquired slices, on the file's own pixels, over a phase's whole stack."""
    manual = _manual(stack)
    region = prepare(stack.without_labels(), engine.segment, engine.model.preset.size)
    for p, phase in enumerate(stack.phases):
        scores = engine.segment(region.images[p])
        shape = stack.images.shape[2:]
        found = uncrop_labels(scores, region.located.frame, stack.affines, (shape[0], shape[1]), stack.normal)
        yield {"patient": name, "phase": phase, **_dice(keep_one_heart(found), manual[p])}


def round_trip(name: str, stack: SliceStack, engine: Engine) -> Iterator[Row]:
    """Acquired slices to codes and back: PSNR and SSIM on the ROI, intensities in [0, 1], mean over slices."""
    region = prepare(stack.without_labels(), engine.segment, engine.model.preset.size)
    for p, phase in enumerate(stack.phases):
        images = region.images[p]
        back = engine.decode(engine.encode(images))
        yield {"patient": name, "phase": phase, "method": "dmcvr", **_similarity((back + 1) / 2, (images + 1) / 2)}


def held_out(name: str, stack: SliceStack, engine: Engine) -> Iterator[Row]:
    """Every other slice is left out and drawn from the rest.

    Image scores on the ROI (intensities in [0, 1]), mean over the slices left out; Dice against the manual
    labels over all of them. `sharpness` is the mean gradient magnitude over the true slice's. The heart is
    found and the intensities are scaled by the kept slices alone.
    """
    count = stack.images.shape[1]
    kept, left = list(range(0, count, 2)), list(range(1, count - 1, 2))
    if len(kept) < 2:
        return
    region = prepare(stack.select_slices(kept).without_labels(), engine.segment, engine.model.preset.size)
    frame = region.located.frame
    truth = _unit(region.scale, crop_images(stack, frame)[:, left])
    labels = crop_labels(stack, _manual(stack), frame)[:, left]
    plan = Plan.between(stack.positions_mm[kept], stack.positions_mm[left])
    task = f"{stack.spacing_mm:.1f} mm stack" if stack.spacing_mm < FINE_MM else "coarse stack"
    for p, phase in enumerate(stack.phases):
        images = region.images[p]
        acquired = Acquired.segmented(images, engine.segment)
        for method in METHODS:
            fill: Method = engine if method == "dmcvr" else BASELINES[method](engine.segment)
            dense = fill(acquired, plan)
            found = dense.scores.argmax(axis=1).astype(np.uint8)
            yield {
                "patient": name,
                "phase": phase,
                "task": task,
                "method": method,
                **_similarity((dense.images + 1) / 2, truth[p]),
                **_dice(found, labels[p]),
            }


def clinical(name: str, stack: SliceStack, engine: Engine) -> Iterator[Row]:
    """Ejection fractions and volumes against those of the manual labels, summed over the slices.

    Methods: the segmenter's labels summed the same way, and the dense volume of each way of filling the gaps.
    """
    manual = slice_summation(_manual(stack), stack.positions_mm, stack.pixel_mm)
    rows: dict[str, tuple[Any, ...]] = {}
    for method in ("dmcvr", "shape"):
        heart = reconstruct(
            stack.without_labels(),
            method=method,
            spacing_mm=CLINICAL_SPACING_MM,
            engine=engine,
        )
        rows[method] = tuple(heart.measures["dense_volume"]["phases"][p] for p in stack.phases)
        rows["slice summation"] = tuple(heart.measures["slice_summation"]["phases"][p] for p in stack.phases)
    if stack.phases != ("ED", "ES"):
        return
    for method, (ed, es) in rows.items():
        row: Row = {"patient": name, "method": method}
        for side in ("lv_cavity", "rv_cavity"):
            true_ed, true_es = (getattr(volumes, f"{side}_ml") for volumes in manual)
            row[f"{side[:2]}_edv_error_ml"] = ed[f"{side}_ml"] - true_ed
            ejected, truly = 1 - es[f"{side}_ml"] / ed[f"{side}_ml"], 1 - true_es / true_ed
            row[f"{side[:2]}_ef_error_percent"] = 100 * (ejected - truly)
        row["lv_mass_error_g"] = ed["lv_mass_g"] - manual[0].lv_mass_g
        yield row


Protocol = Callable[[str, SliceStack, Engine], Iterator[Row]]
PROTOCOLS: dict[str, Protocol] = {
    "segmentation": segmentation,
    "round-trip": round_trip,
    "held-out": held_out,
    "clinical": clinical,
}


def _manual(stack: SliceStack) -> NDArray[np.uint8]:
    assert stack.labels is not None
    return stack.labels


def _unit(scale: IntensityScale, grey: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    return (scale.normalise(grey) + 1) / 2


def _dice(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Row:
    return {f"dice_{name}": dice(found == c, truth == c) for c, name in LABEL_NAMES.items()}


def _similarity(images: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> Row:
    pairs = list(zip(images, truth, strict=True))
    return {
        "psnr_db": float(np.mean([psnr_db(a, b) for a, b in pairs])),
        "ssim": float(np.mean([ssim(a, b) for a, b in pairs])),
        "sharpness": float(np.mean([sharpness(a) / max(sharpness(b), 1e-6) for a, b in pairs])),
    }
