"""held-out: slices are left out of the stack, drawn from the rest, and compared with the truth.

Every other slice is kept (`--keep-every 3`: every third). Stacks of 5 mm become clinical 10 mm stacks with real
truth between; those of 6.5 to 10 mm become very sparse ones of 13 to 20 mm. The heart is found and the intensities
are scaled by the kept slices alone.

A row is one slice. Image scores are on the 192 mm square around the heart at 1.5 mm, intensities in [0, 1]. Labels
are compared with the manual ones, slice by slice in the plane: a structure that neither has does not count, one that
only one of them has gets Dice 0 and an HD95 of 40 mm. Columns named `shifted_` repeat a score after the best
in-plane translation of at most 5 mm (found on the images, whole pixels, the same search for every method).

`sharpness` is the mean gradient magnitude over the truth's. 1 is right, but it does not tell methods apart that are
brought to it: a sharp slice of ours has 0.94 of its neighbours' sharpness by construction, and so has registration
with `detail=0.94`. The spectrum is not matched by construction: the energy of structures of 1.5 to 3 mm, and of 3 to
6 mm, over the truth's (a structure's size is half a wavelength; Hann window); 1 is right. HaarPSI (Reisenhofer et al.
2018), GMSD (Xue et al. 2014; 0 is right), VIF in the pixel domain (Sheikh & Bovik 2006) and MS-SSIM (Wang et al. 2003,
at four scales, for a fifth would be smaller than its window) judge the look by what no network here was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.evaluate.case import (
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
from dmcvr.evaluate.metric import SHIFTED
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import crop_images, crop_labels
from dmcvr.quality import appearance

#: Stacks with slices closer than this leave a clinical gap when every other slice is taken out.
FINE_MM = 6.0


def kept_and_left(count: int, keep_every: int) -> tuple[list[int], list[int]]:
    """Which of so many slices are kept, and which are left out between them."""
    kept = list(range(0, count, keep_every))
    return kept, [n for n in range(kept[-1]) if n not in kept]


def held_out(case: Case, bench: Bench) -> Findings:
    """Scores of every left-out slice by every contender; nothing where fewer than two slices would be kept."""
    stack = case.stack
    count = stack.images.shape[1]
    kept, left = kept_and_left(count, bench.keep_every)
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
    inputs = Inputs(bench, seen, region)
    for p, phase in enumerate(stack.phases):
        level_of = levels(case.manual[p])
        here = _Truth(truth[p], manual[p], frame.pixel_mm)
        drawn: dict[str, tuple[NDArray[Any], NDArray[np.uint8]]] = {}
        first: list[float] = []
        for contender in bench.contenders:
            dense = contender.method(inputs.of(contender, p), plan)
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
    """The M left-out slices of a phase: images in [0, 1] and manual labels."""

    images: NDArray[np.floating[Any]]
    labels: NDArray[np.uint8]
    pixel_mm: float

    def scores(self, images: NDArray[np.floating[Any]], found: NDArray[np.uint8]) -> list[Row]:
        """The scores of each slice, as drawn and after the best translation."""
        shifts = [best_shift(a, b, self.pixel_mm) for a, b in zip(images, self.images, strict=True)]
        moved, moved_labels = (
            np.stack([shifted(a, shift) for a, shift in zip(part, shifts, strict=True)]) for part in (images, found)
        )
        plain, after = self._versus(images, found), self._versus(moved, moved_labels)
        return [
            {**a, **{SHIFTED + key: value for key, value in b.items()}, "shift_mm": float(np.hypot(*s) * self.pixel_mm)}
            for a, b, s in zip(plain, after, shifts, strict=True)
        ]

    def _versus(self, images: NDArray[np.floating[Any]], found: NDArray[np.uint8]) -> list[Row]:
        return [
            {
                **image_scores(image, truth),
                **appearance_scores(image, truth, self.pixel_mm),
                **label_scores(labels, manual, (self.pixel_mm, self.pixel_mm)),
            }
            for image, truth, labels, manual in zip(images, self.images, found, self.labels, strict=True)
        ]


def appearance_scores(image: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]], pixel_mm: float) -> Row:
    """How a slice looks beside the true one."""
    return {
        "haarpsi": appearance.haarpsi(image, truth),
        "gmsd": appearance.gmsd(image, truth),
        "vif": appearance.vif(image, truth),
        "ms_ssim": appearance.ms_ssim(image, truth),
        "spectrum_fine": appearance.spectrum(image, truth, pixel_mm, appearance.FINE_MM),
        "spectrum_middle": appearance.spectrum(image, truth, pixel_mm, appearance.MIDDLE_MM),
    }
