"""Quality flags: what should make a reader look twice. Pure functions of arrays and records.

A flag is ``{"name", "level", "text"}``; level "fine", "look" (look before you trust it) or "unknown" (could not be
checked). Every check gives a flag, so that a page shows what was looked at as well as what was found. Thresholds that
were set on exams say on which.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int, UInt8

from dmcvr.exam.stack import LABEL_NAMES, LABEL_TITLES
from dmcvr.quality.metrics import dice
from dmcvr.quality.training_range import TrainingRange

Level = Literal["fine", "look", "unknown"]

#: A structure as people read it.
SPOKEN = {name: LABEL_TITLES[label] for label, name in LABEL_NAMES.items()}

#: An end slice whose whole LV is larger than this share of the largest slice's: the stack stops inside the heart.
#: At the base a stack rightly begins where the LV is still wide, so only the apex end is judged by this.
#: One in six of ACDC's training exams is cut off so.
CUT_OFF_SHARE = 0.3

#: A slice's LV centre further from its neighbours' line than this: probably another breath-hold. In a quarter of ACDC's
#: training exams one slice is.
JUMP_MM = 5.0

#: Slices with less LV than this share of the largest do not count: near the apex the centre is anywhere.
SMALL_SHARE = 0.25

#: Mean probability of the structures found; below, the segmenter is unsure.
UNSURE = 0.8

#: Dense volume and summation of slices may differ by this share of the larger.
VOLUME_GAP = 0.15

#: Dice of the dense labels with the slices' own at the acquired positions, over all slices.
SLICE_DICE = 0.85

#: Area between two slices, over the larger of their areas or under the smaller, by this share of the largest slice.
BULGE = 0.15


@dataclass(frozen=True)
class Flag:
    """One check and what it found."""

    name: str
    level: Level
    text: str

    def record(self) -> dict[str, str]:
        return asdict(self)


def quality_flags(
    slice_labels: UInt8[np.ndarray, "P N A B"],
    at_slices: UInt8[np.ndarray, "P N I J"],
    dense_labels: UInt8[np.ndarray, "P K I J"],
    *,
    positions_mm: Float64[np.ndarray, " N"],
    dense_positions_mm: Float64[np.ndarray, " K"],
    pixel_mm: float,
    confidence: float | None,
    measures: dict[str, Any],
    features: dict[str, float],
    trained_on: TrainingRange | None,
    moved_mm: Float64[np.ndarray, " N"] | None = None,
) -> list[dict[str, str]]:
    """All checks of a result, as run.json keeps them.

    ==================  ============  =================================================================
    slice_labels        (P, N, A, B)  labels of the acquired slices, the segmenter's or the user's, in one breath-hold
    at_slices           (P, N, I, J)  the same labels on the dense grid's planes
    dense_labels        (P, K, I, J)  the dense labels
    positions_mm        (N,)          of the acquired slices
    dense_positions_mm  (K,)          of the dense slices
    pixel_mm                          of slice_labels
    confidence                        the segmenter's; None where the labels were given
    measures                          as measures.json
    features                          of the exam, by `training_range.exam_features`
    trained_on                        what the weights were trained on; None if that is not known
    moved_mm            (N,)          how far each slice was slid into one breath-hold; None if that was not tried
    ==================  ============  =================================================================
    """
    nearest = nearest_slices(dense_positions_mm, positions_mm)
    flags = [
        cut_off(slice_labels),
        misaligned(slice_labels, positions_mm, pixel_mm, moved_mm),
        unsure(confidence),
        volumes_differ(measures),
        slices_differ(dense_labels[:, nearest], at_slices),
        implausible_between(dense_labels, dense_positions_mm, positions_mm),
        out_of_distribution(features, trained_on),
    ]
    return [flag.record() for flag in flags]


def nearest_slices(
    dense_positions_mm: Float64[np.ndarray, " K"], positions_mm: Float64[np.ndarray, " N"]
) -> Int[np.ndarray, " N"]:
    """(N,) the dense slice nearest to each acquired one."""
    return np.abs(dense_positions_mm[None] - positions_mm[:, None]).argmin(axis=1)


def cut_off(labels: UInt8[np.ndarray, "P N A B"]) -> Flag:
    """Whether the heart reaches beyond the stack, by the whole LV's area in the end slices of (P, N, A, B) labels.

    The end with the larger heart is the base. There the stack is judged cut off if the end slice is the largest of all.
    """
    name = "Coverage"
    area = np.count_nonzero((labels == 1) | (labels == 2), axis=(2, 3)).max(axis=0).astype(float)
    if area.max() == 0:
        return Flag(name, "unknown", "No left ventricle was found, so its ends could not be checked.")
    ends = area[[0, -1]] / area.max()
    inside = area[area > 0]
    third = max(1, len(inside) // 3)
    from_base = inside[:third].sum() >= inside[-third:].sum()
    base, apex = (ends[0], ends[1]) if from_base else (ends[1], ends[0])
    found = []
    if apex > CUT_OFF_SHARE:
        found.append(f"the apex lies beyond the last slice (it still shows {100 * apex:.0f} % of the largest LV area)")
    if base >= 1:
        found.append("the base lies beyond the first slice (the LV is still growing where the stack ends)")
    if found:
        return Flag(name, "look", "The stack cuts the heart off: " + "; ".join(found) + ". Volumes are too small.")
    return Flag(name, "fine", "The slices cover the left ventricle from base to apex.")


def misaligned(
    labels: UInt8[np.ndarray, "P N A B"],
    positions_mm: Float64[np.ndarray, " N"],
    pixel_mm: float,
    moved_mm: Float64[np.ndarray, " N"] | None = None,
) -> Flag:
    """Whether a slice jumps sideways, or did before it was slid back by `moved_mm` (N,).

    A slice of (P, N, A, B) labels jumps whose LV centre lies far from the line through its neighbours'.
    """
    name = "Slice alignment"
    worst, where = 0.0, -1
    checked = 0
    for phase in labels:
        whole = (phase == 1) | (phase == 2)
        area = np.count_nonzero(whole, axis=(1, 2))
        seen = [n for n in range(len(whole)) if area[n] > SMALL_SHARE * area.max()]
        centre = {n: np.argwhere(whole[n]).mean(axis=0) * pixel_mm for n in seen}
        for a, n, b in zip(seen, seen[1:], seen[2:], strict=False):
            share = (positions_mm[n] - positions_mm[a]) / (positions_mm[b] - positions_mm[a])
            away = float(np.linalg.norm(centre[n] - (1 - share) * centre[a] - share * centre[b]))
            checked += 1
            if away > worst:
                worst, where = away, n
    if not checked:
        return Flag(name, "unknown", "Fewer than three slices show the left ventricle.")
    slid, now = "", ""
    if moved_mm is not None and moved_mm.any():
        slid = (
            f"Slices were slid by up to {moved_mm.max():.1f} mm (slice {moved_mm.argmax() + 1}) into one breath-hold. "
        )
        now = "now "
    if worst > JUMP_MM:
        found = f"Slice {where + 1} lies {worst:.1f} mm beside the line of its neighbours: breath-holds may differ."
        return Flag(name, "look", slid + found)
    far = bool(slid) and float(np.max(moved_mm)) > JUMP_MM  # type: ignore[arg-type]
    found = f"No slice {now}lies more than {worst:.1f} mm beside the line of its neighbours."
    return Flag(name, "look" if far else "fine", slid + found)


def unsure(confidence: float | None) -> Flag:
    """Whether the segmenter was sure of what it found."""
    name = "Segmenter confidence"
    if confidence is None:
        return Flag(name, "unknown", "The labels were given, not found.")
    text = f"Mean probability of the structures found: {confidence:.2f}."
    return Flag(name, "look" if confidence < UNSURE else "fine", text)


def volumes_differ(measures: dict[str, Any]) -> Flag:
    """Whether the dense heart and the summed slices say the same volumes."""
    name = "3D against slices: volume"
    dense, summed = (measures[kind]["phases"] for kind in ("dense_volume", "slice_summation"))
    gaps = []
    for phase in dense:
        for structure in LABEL_NAMES.values():
            a, b = dense[phase][f"{structure}_ml"], summed[phase][f"{structure}_ml"]
            if max(a, b) > 0:
                gaps.append((abs(a - b) / max(a, b), structure, phase, a, b))
    if not gaps:
        return Flag(name, "unknown", "No structure was found.")
    gap, structure, phase, a, b = max(gaps)
    both = f"{a:.0f} mL in 3D against {b:.0f} mL by slices ({100 * gap:.0f} %)"
    text = f"Largest gap: {SPOKEN[structure]} in phase {phase}, {both}."
    return Flag(name, "look" if gap > VOLUME_GAP else "fine", text)


def slices_differ(dense_at: UInt8[np.ndarray, "P N I J"], at_slices: UInt8[np.ndarray, "P N I J"]) -> Flag:
    """Whether the dense labels (P, N, I, J) at the acquired slices are those of the slices themselves."""
    name = "3D against slices: outline"
    scores = {
        structure: dice(dense_at == label, at_slices == label)
        for label, structure in LABEL_NAMES.items()
        if (at_slices == label).any() or (dense_at == label).any()
    }
    if not scores:
        return Flag(name, "unknown", "No structure was found.")
    structure = min(scores, key=lambda key: scores[key])
    text = f"Dice with the slices' own outlines: {scores[structure]:.2f} or better (least: {SPOKEN[structure]})."
    return Flag(name, "look" if scores[structure] < SLICE_DICE else "fine", text)


def implausible_between(
    dense: UInt8[np.ndarray, "P K I J"],
    dense_positions_mm: Float64[np.ndarray, " K"],
    positions_mm: Float64[np.ndarray, " N"],
) -> Flag:
    """Whether the heart bulges or thins between slices more than both of them allow, in (P, K, I, J) labels."""
    name = "Shape between slices"
    nearest = nearest_slices(dense_positions_mm, positions_mm)
    worst, what = 0.0, ""
    for label, structure in LABEL_NAMES.items():
        area = np.count_nonzero(dense == label, axis=(2, 3)).astype(float)
        for phase in area:
            if phase.max() == 0:
                continue
            for n, (a, b) in enumerate(zip(nearest[:-1], nearest[1:], strict=True)):
                inside = phase[min(a, b) : max(a, b) + 1]
                low, high = sorted((phase[a], phase[b]))
                away = max(inside.max() - high, low - inside.min()) / phase.max()
                if away > worst:
                    worst, what = float(away), f"the {SPOKEN[structure]} between slices {n + 1} and {n + 2}"
    if worst > BULGE:
        return Flag(
            name, "look", f"Between slices the area leaves theirs by {100 * worst:.0f} % of the largest: {what}."
        )
    return Flag(name, "fine", f"Between slices no area leaves theirs by more than {100 * worst:.0f} % of the largest.")


def out_of_distribution(features: dict[str, float], trained_on: TrainingRange | None) -> Flag:
    """Whether the exam lies outside what the weights were trained on: geometry, heart size, contrast."""
    name = "Like the training data"
    if trained_on is None:
        return Flag(name, "unknown", "What these weights were trained on is not recorded.")
    outside = trained_on.outside(features)
    if outside:
        return Flag(
            name, "look", f"Outside the range of the {trained_on.patients} training exams: " + "; ".join(outside) + "."
        )
    return Flag(
        name, "fine", f"Geometry, heart size and contrast are within those of {trained_on.patients} training exams."
    )
