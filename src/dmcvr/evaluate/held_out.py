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

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.evaluate.case import (
    ALIGNED,
    Bench,
    Case,
    Findings,
    Inputs,
    Picture,
    Row,
    best_shift,
    image_scores,
    label_scores,
    labels_of,
    levels,
    shifted,
)
from dmcvr.fill.engine import Engine
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import crop_images, crop_labels
from dmcvr.model.perceptual import feature_distances

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
        level_of = levels(case.manual[p])
        here = _Truth.of(truth[p], manual[p], bench.engine, frame.pixel_mm)
        drawn: dict[str, tuple[NDArray[Any], NDArray[np.uint8]]] = {}
        first: list[float] = []
        for contender in bench.contenders:
            dense = contender.method(inputs.of(contender), plan)
            images, found = (dense.images + 1) / 2, labels_of(dense)
            drawn[contender.name] = images, found
            scored = here.scores(images, found)
            first = first or [row["ssim"] for row in scored]
            for index, scores in zip(left, scored, strict=True):
                keys = {"phase": phase, "task": task, "slice": index, "level": level_of[index]}
                findings.rows.append({**case.about, **keys, "method": contender.name, **scores})
        for k, index in enumerate(left):
            title = f"{case.name} {phase} slice {index + 1} of {count} ({level_of[index]}, {task})"
            panels = {name: (images[k], found[k]) for name, (images, found) in drawn.items()}
            findings.pictures.append(Picture.of(title, first[k], {"truth": (truth[p, k], manual[p, k])} | panels))
    return findings


@dataclass(frozen=True)
class _Truth:
    """The M left-out slices of a phase: images in [0, 1], manual labels, and what the perceptual distance compares."""

    images: NDArray[np.floating[Any]]
    labels: NDArray[np.uint8]
    features: list[Tensor]
    engine: Engine
    pixel_mm: float

    @classmethod
    def of(
        cls, images: NDArray[np.floating[Any]], labels: NDArray[np.uint8], engine: Engine, pixel_mm: float
    ) -> _Truth:
        return cls(images, labels, engine.features(images * 2 - 1), engine, pixel_mm)

    def scores(self, images: NDArray[np.floating[Any]], found: NDArray[np.uint8]) -> list[Row]:
        """The scores of each slice, as drawn and after the best translation."""
        shifts = [best_shift(a, b, self.pixel_mm) for a, b in zip(images, self.images, strict=True)]
        moved, moved_labels = (
            np.stack([shifted(a, shift) for a, shift in zip(part, shifts, strict=True)]) for part in (images, found)
        )
        plain, aligned = self._versus(images, found), self._versus(moved, moved_labels)
        return [
            {**a, **{ALIGNED + key: value for key, value in b.items()}, "shift_mm": float(np.hypot(*s) * self.pixel_mm)}
            for a, b, s in zip(plain, aligned, shifts, strict=True)
        ]

    def _versus(self, images: NDArray[np.floating[Any]], found: NDArray[np.uint8]) -> list[Row]:
        distances = feature_distances(self.engine.features(images * 2 - 1), self.features).tolist()
        return [
            {
                **image_scores(image, self.images[k]),
                "feature_distance": distances[k],
                **label_scores(found[k], self.labels[k], (self.pixel_mm, self.pixel_mm)),
            }
            for k, image in enumerate(images)
        ]
