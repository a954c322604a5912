"""held-out: slices are left out of the stack, drawn from the rest, and compared with the truth.

Every other slice is kept (`--keep-every 3`: every third). Stacks of 5 mm become clinical 10 mm stacks with real
truth between; those of 6.5 to 10 mm become very sparse ones of 13 to 20 mm. The heart is found and the intensities
are scaled by the kept slices alone.

A row is one slice. Image scores are on the 192 mm square around the heart at 1.5 mm, intensities in [0, 1]. Labels
are compared with the manual ones, slice by slice in the plane: a structure that neither has does not count, one that
only one of them has gets Dice 0 and an HD95 of 40 mm. Columns named `aligned_` repeat a score after the best
in-plane translation of at most 5 mm (found on the images, whole pixels, the same search for every method).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.evaluate.case import (
    ALIGNED,
    Bench,
    Case,
    Findings,
    Inputs,
    Picture,
    Row,
    best_shift,
    feature_distances,
    image_scores,
    label_scores,
    labels_of,
    levels,
    shifted,
)
from dmcvr.interpolate import Plan
from dmcvr.preprocess import crop_images, crop_labels

#: Stacks with slices closer than this leave a clinical gap when every other slice is taken out.
FINE_MM = 6.0


def held_out(case: Case, bench: Bench) -> Findings:
    """Scores of every left-out slice by every contender; nothing where fewer than two slices would be kept."""
    stack = case.stack
    count = stack.images.shape[1]
    kept = list(range(0, count, bench.keep_every))
    left = [n for n in range(kept[-1]) if n not in kept]
    findings = Findings()
    if len(kept) < 2:
        return findings
    seen = stack.select_slices(kept)
    region = bench.prepare(seen)
    frame = region.located.frame
    truth = (region.scale.normalise(crop_images(stack, frame)[:, left]) + 1) / 2
    manual = crop_labels(stack, case.manual, frame)[:, left]
    plan = Plan.between(stack.positions_mm[kept], stack.positions_mm[left])
    task = "5 mm stacks" if stack.spacing_mm < FINE_MM else "10 mm stacks"
    for p, phase in enumerate(stack.phases):
        inputs = Inputs(bench, seen, region, p)
        of_slice = [levels(case.manual[p])[n] for n in left]
        drawn: dict[str, tuple[NDArray[Any], NDArray[np.uint8]]] = {}
        first: list[float] = []
        for contender in bench.contenders:
            dense = contender.method(inputs.of(contender), plan)
            images, found = (dense.images + 1) / 2, labels_of(dense)
            drawn[contender.name] = images, found
            scored = _scores(images, found, truth[p], manual[p], bench, frame.pixel_mm)
            first = first or [row["ssim"] for row in scored]
            for index, level, scores in zip(left, of_slice, scored, strict=True):
                keys = {"phase": phase, "task": task, "slice": index, "level": level, "method": contender.name}
                findings.rows.append({**case.about, **keys, **scores})
        for k, index in enumerate(left):
            title = f"{case.name} {phase} slice {index + 1} of {count} ({of_slice[k]}, {task})"
            panels = [(truth[p, k], manual[p, k]), *((images[k], found[k]) for images, found in drawn.values())]
            findings.pictures.append(_picture(title, first[k], ("truth", *drawn), panels))
    return findings


def _scores(
    images: NDArray[np.floating[Any]],
    found: NDArray[np.uint8],
    truth: NDArray[np.floating[Any]],
    manual: NDArray[np.uint8],
    bench: Bench,
    pixel_mm: float,
) -> list[Row]:
    """The scores of each of M slices, as drawn and after the best translation."""
    moves = [best_shift(a, b, pixel_mm) for a, b in zip(images, truth, strict=True)]
    moved = np.stack([shifted(a, move) for a, move in zip(images, moves, strict=True)])
    moved_labels = np.stack([shifted(a, move) for a, move in zip(found, moves, strict=True)])
    plain = _versus(images, found, truth, manual, bench, pixel_mm)
    aligned = _versus(moved, moved_labels, truth, manual, bench, pixel_mm)
    return [
        {**a, **{ALIGNED + key: value for key, value in b.items()}, "shift_mm": float(np.hypot(*move) * pixel_mm)}
        for a, b, move in zip(plain, aligned, moves, strict=True)
    ]


def _versus(
    images: NDArray[np.floating[Any]],
    found: NDArray[np.uint8],
    truth: NDArray[np.floating[Any]],
    manual: NDArray[np.uint8],
    bench: Bench,
    pixel_mm: float,
) -> list[Row]:
    distances = feature_distances(bench.engine, images, truth)
    return [
        {
            **image_scores(images[k], truth[k]),
            "feature_distance": distances[k],
            **label_scores(found[k], manual[k], (pixel_mm, pixel_mm)),
        }
        for k in range(len(images))
    ]


def _picture(
    title: str, score: float, names: tuple[str, ...], panels: list[tuple[NDArray[Any], NDArray[np.uint8]]]
) -> Picture:
    grey = np.stack([np.clip(image * 255, 0, 255).astype(np.uint8) for image, _ in panels])
    return Picture(title, score, names, grey, np.stack([labels for _, labels in panels]))
