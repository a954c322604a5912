"""Quality flags: what should make a reader look twice. Pure functions of arrays and records.

A flag is ``{"name", "level", "text", "title"}``: which check, its level ("fine", "look": look before you trust it, or
"unknown": could not be checked), what was found in sentences, and in a few words. Every check gives a flag, so that a
page shows what was looked at as well as what was found. Thresholds that
were set on exams say on which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from scipy import ndimage

from dmcvr.anatomy.coverage import Coverage
from dmcvr.exam.stack import LABEL_NAMES, LABEL_TITLES
from dmcvr.geometry.locate import Located
from dmcvr.geometry.orient import SURE, USUAL_DOWN, USUAL_RIGHT, from_scanner
from dmcvr.labels.base import base_is_first
from dmcvr.labels.enclosure import ENCLOSED, enclosed_share
from dmcvr.quality.metrics import dice
from dmcvr.quality.signs import roughness
from dmcvr.quality.training_range import TrainingRange

Level = Literal["fine", "look", "unknown"]

#: A structure as people read it.
SPOKEN = {name: LABEL_TITLES[label] for label, name in LABEL_NAMES.items()}

#: An end slice whose whole LV is larger than this share of the largest slice's: the stack stops inside the heart.
#: At the base a stack rightly begins where the LV is still wide, so only the apex end is judged by this.
#: One in six of ACDC's training exams is cut off so.
CUT_OFF_SHARE = 0.3

#: An LV that is shorter than this share of its own width, in a stack whose first section is larger than the next, lacks
#: its base. By the manual labels of 80 of ACDC's training and development exams, 79 without their basal 40 % are told
#: so, and 2 as they are.
SHORT = 0.9

#: A cavity wider than this in the last slice: the apex was not seen.
OPEN_MM = 10.0

#: A slice's LV centre further from its neighbours' line than this: probably another breath-hold. In a quarter of ACDC's
#: training exams one slice is.
JUMP_MM = 5.0

#: Slices with less LV than this share of the largest do not count: near the apex the centre is anywhere.
SMALL_SHARE = 0.25

#: Cosine between a direction of the picture and where a patient's would lead; below, the header is wrong.
AGAINST = -0.3

#: Mean probability of the structures found; below, the segmenter is unsure.
UNSURE = 0.8

#: Dense volume and summation of slices may differ by this share of the larger.
VOLUME_GAP = 0.15

#: Dice of the dense labels with the slices' own at the acquired positions, over all slices.
SLICE_DICE = 0.85

#: Sections of a heart differ from the mean of their neighbours by less than this share of all area.
ROUGH = 0.3

#: Area between two slices, over the larger of their areas or under the smaller, by this share of the largest slice.
BULGE = 0.15

#: A heart this near to the picture's edge is cut by it: a network sees no border there.
EDGE_MM = 4.5

#: LV mass may drift by this share over the cycle. ACDC's manual labels exceed it in six exams of ten, our own there in
#: four: muscle does not, so the flag is right to say so.
MASS_DRIFT_PERCENT = 12.0

#: Ejection fraction by voxels and by slices, in points.
EF_GAP_POINTS = 3.0

#: RV cavity in slices without left ventricle, as a share of the whole. Of 205 phases of real exams one has more.
RV_ALONE = 0.1


@dataclass(frozen=True)
class Flag:
    """One check and what it found: in sentences, and as a title."""

    name: str
    level: Level
    text: str
    title: str

    def record(self) -> dict[str, str]:
        return asdict(self)


def slice_flags(
    labels: UInt8[np.ndarray, "P N A B"],
    *,
    pictured: Bool[np.ndarray, "N A B"],
    positions_mm: Float64[np.ndarray, " N"],
    pixel_mm: float,
    located: Located,
    normal: Float64[np.ndarray, " 3"],
    confidence: float | None,
    features: dict[str, float],
    trained_on: TrainingRange | None,
    left_out: Sequence[str] = (),
    moved_mm: Float64[np.ndarray, " N"] | None = None,
    covered: Coverage | None = None,
) -> list[Flag]:
    """The checks that need no more than the acquired slices.

    ============  ============  =================================================================
    labels        (P, N, A, B)  of the acquired slices, the segmenter's or the user's, in one breath-hold
    pictured      (N, A, B)     which of their pixels lie in the picture
    positions_mm  (N,)          of the acquired slices
    pixel_mm                    of the labels
    located                     where the heart was found, and how it lies
    normal        (3,)          of the stack
    confidence                  the segmenter's; None where the labels were given
    features                    of the exam, by `training_range.exam_features`
    trained_on                  what the weights were trained on; None if that is not known
    left_out                    sentences: slices that the scan has and the reader could not use
    moved_mm      (N,)          how far each slice was slid into one breath-hold; None if that was not tried
    covered                     what lies beyond the slices, as an estimate
    ============  ============  =================================================================
    """
    return [
        lying(located, normal),
        cut_off(labels, left_out, covered),
        without_base(labels, positions_mm, pixel_mm),
        at_the_edge(labels, pictured, pixel_mm),
        anatomy(labels),
        misaligned(labels, positions_mm, pixel_mm, moved_mm),
        out_of_order(labels),
        unsure(confidence),
        out_of_distribution(features, trained_on),
    ]


def dense_flags(
    at_slices: UInt8[np.ndarray, "P N I J"],
    dense_labels: UInt8[np.ndarray, "P K I J"],
    *,
    positions_mm: Float64[np.ndarray, " N"],
    dense_positions_mm: Float64[np.ndarray, " K"],
    measures: dict[str, Any],
) -> list[Flag]:
    """The checks of the dense heart and its measures (as measures.json has them).

    ==================  ============  ============================================================
    at_slices           (P, N, I, J)  the acquired slices' labels on the dense grid's planes
    dense_labels        (P, K, I, J)  the dense labels
    positions_mm        (N,)          of the acquired slices
    dense_positions_mm  (K,)          of the dense slices
    ==================  ============  ============================================================
    """
    nearest = nearest_slices(dense_positions_mm, positions_mm)
    return [
        mass_drifts(measures),
        fractions_differ(measures),
        volumes_differ(measures),
        slices_differ(dense_labels[:, nearest], at_slices),
        implausible_between(dense_labels, dense_positions_mm, positions_mm),
    ]


def nearest_slices(
    dense_positions_mm: Float64[np.ndarray, " K"], positions_mm: Float64[np.ndarray, " N"]
) -> Int[np.ndarray, " N"]:
    """(N,) the dense slice nearest to each acquired one."""
    return np.abs(dense_positions_mm[None] - positions_mm[:, None]).argmin(axis=1)


def lying(located: Located, normal: Float64[np.ndarray, " 3"]) -> Flag:
    """Whether the picture says clearly how the heart lies, and whether the header agrees."""
    name = "How the heart lies"
    frame = located.frame
    if not located.found:
        text = "No heart was found, so how it lies could not be checked."
        return Flag(name, "unknown", text, "How the heart lies: not checked")
    found = {}
    if located.margin < SURE:
        found["How the heart lies is not clear"] = (
            "the picture speaks for another way nearly as much: see in the report whether the RV is on the left and "
            "the anterior wall up, for labels and volumes depend on it"
        )
    if located.rv_left is False:
        found["The RV is not on the LV's left"] = (
            "the right ventricle is not seen on the left of the left one, where it belongs"
        )
    if located.mirrored is None:
        found["Base and apex cannot be told apart"] = (
            "base and apex cannot be told apart, so the files' frame may mirror the heart"
        )
    if from_scanner(normal):
        if located.mirrored:
            found["The scanner's frame mirrors the heart"] = (
                "in the scanner's frame the heart is a mirror image: are the slices in the wrong order?"
            )
        elif min(frame.u @ USUAL_RIGHT, frame.v @ USUAL_DOWN) < AGAINST:
            found["Picture and header contradict each other"] = (
                "the picture was believed, and the header says that the heart lies as in no patient: its left and "
                "right, or front and back, are exchanged"
            )
    if found:
        text = "; ".join(found.values())
        return Flag(name, "look", f"{text[:1].upper()}{text[1:]}.", next(iter(found)))
    clear = "How the heart lies is clear"
    if located.unmirrored:
        text = "The picture says it clearly. The files' frame mirrored the heart; this one does not."
        return Flag(name, "fine", text, clear)
    mirrored = " The files' frame mirrors the heart." if located.mirrored else ""
    return Flag(name, "fine", f"The picture says it clearly.{mirrored}", clear)


def cut_off(
    labels: UInt8[np.ndarray, "P N A B"], left_out: Sequence[str] = (), covered: Coverage | None = None
) -> Flag:
    """Whether the heart reaches beyond the stack, by the whole LV's area in the end slices of (P, N, A, B) labels.

    At the base the stack is judged cut off if the end slice is the largest of all.
    So is a stack whose last slice still shows a cavity wider than `OPEN_MM`. `covered` says how much lies beyond.
    Where the reader left slices out, `left_out` says which and why: the scan may cover what the stack does not.
    """
    name = "Coverage"
    area = np.count_nonzero((labels == 1) | (labels == 2), axis=(2, 3)).max(axis=0).astype(float)
    if area.max() == 0:
        text = "No left ventricle was found, so its ends could not be checked."
        return Flag(name, "unknown", text, "Coverage: not checked")
    ends = area[[0, -1]] / area.max()
    base, apex = ends if base_is_first(labels) else ends[::-1]
    found, titles = [], []
    covered = covered or Coverage()
    beyond_ml = covered.cavity_ml + covered.muscle_ml
    if apex > CUT_OFF_SHARE or covered.open_mm > OPEN_MM:
        found.append(_apex_beyond(apex, covered))
        wide = f": a cavity {covered.open_mm:.0f} mm wide in the last slice" if covered.open_mm > 0 else ""
        much = f", about {beyond_ml:.0f} mL {_missing(covered)}" if beyond_ml >= 1 else ""
        titles.append(f"Open at the apex{wide}{much}")
    if base >= 1:
        much = f"; up to about {covered.base_ml:.0f} mL of its cavity are missing" if covered.base_ml >= 1 else ""
        found.append(f"the base lies beyond the first slice (the LV is still growing where the stack ends{much})")
        titles.append(f"Open at the base{f': up to {covered.base_ml:.0f} mL missing' if covered.base_ml >= 1 else ''}")
    if found:
        whole = covered.completed and base < 1
        trust = "What was completed counts in the volumes, as an estimate." if whole else "Volumes are too small."
        text = f"The stack cuts the heart off: {'; '.join(found)}. {trust}"
        if left_out:
            text += " The scan may cover more: slices were left out. " + " ".join(left_out)
        return Flag(
            name, "look", text, "; ".join([titles[0], *(title[:1].lower() + title[1:] for title in titles[1:])])
        )
    if left_out:
        text = "The slices used cover the left ventricle, but not all were. " + " ".join(left_out)
        return Flag(name, "look", text, "Slices of the scan were left out")
    some = f" About {beyond_ml:.0f} mL of the apex lie beyond the last." if beyond_ml >= 1 else ""
    text = "The slices cover the left ventricle from base to apex." + some
    return Flag(name, "fine", text, "Covered from base to apex")


def without_base(
    labels: UInt8[np.ndarray, "P N A B"], positions_mm: Float64[np.ndarray, " N"], pixel_mm: float
) -> Flag:
    """Whether the stack begins below the base, by the whole LV of (P, N, A, B) labels where its cavity is largest.

    Towards the base sections shrink again, and a left ventricle is about as long as it is wide (the diameter of a disc
    with its largest area) or longer. A stack that begins below has neither.
    """
    name = "Base of the heart"
    phase = labels[np.count_nonzero(labels == 1, axis=(1, 2, 3)).argmax()]
    area = np.count_nonzero((phase == 1) | (phase == 2), axis=(1, 2)) * pixel_mm**2
    if not base_is_first(labels):
        area = area[::-1]
    inside = np.flatnonzero(area)
    if len(inside) < 2 or len(area) < 3:
        return Flag(name, "unknown", "Too little left ventricle was found to tell.", "Base of the heart: not checked")
    length, width = len(inside) * float(np.median(np.diff(positions_mm))), 2 * float(np.sqrt(area.max() / np.pi))
    growing = inside[0] == 0 and area[0] > area[1]
    text = f"The left ventricle is {length:.0f} mm long in these slices and {width:.0f} mm wide"
    if growing and length < SHORT * width:
        text += " and still grows where the stack begins: the base lies beyond. Volumes are too small"
        return Flag(name, "look", f"{text}.", "The base seems to be missing")
    return Flag(name, "fine", f"{text}.", "Base in the stack")


def _missing(covered: Coverage) -> str:
    return "completed" if covered.completed else "missing"


def _apex_beyond(share: float, covered: Coverage) -> str:
    """What the last slice still shows, and how much lies beyond it."""
    shows = f"{100 * share:.0f} % of the largest LV area"
    if covered.open_mm > 0:
        shows += f", a cavity {covered.open_mm:.0f} mm wide"
    missing = ""
    if covered.cavity_ml + covered.muscle_ml >= 1:
        done = ", completed as an estimate" if covered.completed else ""
        missing = f"; beyond it lie about {covered.cavity_ml:.0f} mL of cavity and {covered.muscle_ml:.0f} mL of "
        missing += f"myocardium{done}"
    return f"the apex lies beyond the last slice (it still shows {shows}{missing})"


def at_the_edge(labels: UInt8[np.ndarray, "P N A B"], pictured: Bool[np.ndarray, "N A B"], pixel_mm: float) -> Flag:
    """Whether the heart in (P, N, A, B) labels reaches the edge of the picture, or of the square that is looked at."""
    name = "Field of view"
    if not labels.any():
        return Flag(name, "unknown", "No heart was found.", "Field of view: not checked")
    inner = ndimage.binary_erosion(pictured, np.ones((1, 3, 3)), iterations=max(1, round(EDGE_MM / pixel_mm)))
    touching = ((labels > 0) & ~inner).any(axis=0)
    where = np.flatnonzero(touching.any(axis=(1, 2)))
    if len(where):
        which = ", ".join(SPOKEN[s] for label, s in LABEL_NAMES.items() if ((labels == label) & ~inner).any())
        text = f"The heart reaches the edge of the picture in slice {_numbers(where)} ({which}): volumes are too small."
        return Flag(name, "look", text, f"Cut by the picture's edge in slice {_numbers(where)}")
    return Flag(name, "fine", "The heart lies within the picture in every slice.", "Within the picture")


def anatomy(labels: UInt8[np.ndarray, "P N A B"]) -> Flag:
    """Whether each structure is there in (P, N, A, B) labels, and lies to the others as in a heart."""
    name = "Anatomy"
    absent = [SPOKEN[structure] for label, structure in LABEL_NAMES.items() if not (labels == label).any()]
    if absent:
        text = f"Nothing is labelled as {' or '.join(absent)}: that volume is 0, not measured."
        return Flag(name, "look", text, f"No {' and no '.join(absent)} found")
    left = ((labels == 1) | (labels == 2)).any(axis=(2, 3), keepdims=True)
    alone = np.count_nonzero((labels == 3) & ~left) / np.count_nonzero(labels == 3)
    share = enclosed_share(labels, 1, 2)
    found = {}
    if share < ENCLOSED:
        found["A gap in the myocardium"] = f"the myocardium makes only {100 * share:.0f} % of the LV cavity's border"
    if alone > RV_ALONE:
        found["RV cavity beyond the LV"] = (
            f"{100 * alone:.0f} % of the RV cavity lies in slices without left ventricle (an atrium?)"
        )
    if found:
        return Flag(name, "look", "Not as in a heart: " + "; ".join(found.values()) + ".", next(iter(found)))
    text = f"The myocardium encloses the LV cavity ({100 * share:.0f} % of its border)."
    return Flag(name, "fine", text, "Anatomy as in a heart")


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
        text = "Fewer than three slices show the left ventricle."
        return Flag(name, "unknown", text, "Slice alignment: not checked")
    slid, now = "", ""
    if moved_mm is not None and moved_mm.any():
        slid = (
            f"Slices were slid by up to {moved_mm.max():.1f} mm (slice {moved_mm.argmax() + 1}) into one breath-hold. "
        )
        now = "now "
    if worst > JUMP_MM:
        found = f"Slice {where + 1} lies {worst:.1f} mm beside the line of its neighbours: breath-holds may differ."
        return Flag(name, "look", slid + found, f"Slice {where + 1} lies {worst:.1f} mm beside its neighbours")
    found = f"No slice {now}lies more than {worst:.1f} mm beside the line of its neighbours."
    if moved_mm is not None and moved_mm.max() > JUMP_MM:
        return Flag(name, "look", slid + found, f"Slices were out of line by up to {moved_mm.max():.1f} mm")
    return Flag(name, "fine", slid + found, f"Slices in line within {worst:.1f} mm")


def out_of_order(labels: UInt8[np.ndarray, "P N A B"]) -> Flag:
    """Whether the sections of (P, N, A, B) labels grow and shrink along the stack as one heart's do."""
    name = "Order of the slices"
    found = max((roughness(np.isin(labels, part)) for part in ((1, 2), (3,))), default=0.0)
    if not labels.any() or labels.shape[1] < 4:
        return Flag(name, "unknown", "Too little heart was found to tell.", "Order of the slices: not checked")
    text = f"Sections differ from the mean of their neighbours by {100 * found:.0f} % of their area."
    if found > ROUGH:
        more = " Are slices in a wrong order, or is one missing?"
        return Flag(name, "look", text + more, "Sections jump from slice to slice")
    return Flag(name, "fine", text, "Sections follow each other")


def unsure(confidence: float | None) -> Flag:
    """Whether the segmenter was sure of what it found."""
    name = "Segmenter confidence"
    if confidence is None:
        return Flag(name, "unknown", "The labels were given, not found.", "Labels were given")
    text = f"Mean probability of the structures found: {confidence:.2f}."
    if confidence < UNSURE:
        return Flag(name, "look", text, f"The segmenter is unsure ({confidence:.2f})")
    return Flag(name, "fine", text, f"The segmenter is sure ({confidence:.2f})")


def mass_drifts(measures: dict[str, Any]) -> Flag:
    """Whether the muscle's mass is the same at every phase, as it is in a heart."""
    name = "LV mass over the heartbeat"
    found = measures["consistency"]
    drift = found["mass_drift_percent"]
    if drift is None:
        return Flag(name, "unknown", "One phase alone: nothing to compare.", "LV mass over the heartbeat: one phase")
    text = f"LV mass is {found['mass_least_g']:.0f} to {found['mass_most_g']:.0f} g over the phases ({drift:.0f} %)"
    if found["mass_ed_g"] is not None:
        text += f": {found['mass_ed_g']:.0f} g at ED, {found['mass_es_g']:.0f} g at ES"
    if drift <= MASS_DRIFT_PERCENT:
        return Flag(name, "fine", f"{text}.", f"LV mass keeps within {drift:.0f} % over the heartbeat")
    text += ". Muscle keeps its mass: outlines differ between phases."
    return Flag(name, "look", text, f"LV mass drifts by {drift:.0f} % over the heartbeat")


def fractions_differ(measures: dict[str, Any]) -> Flag:
    """Whether the dense heart and the summed slices say the same ejection fractions."""
    name = "3D against slices: ejection fraction"
    known = {side.upper(): found for side in ("lv", "rv") if (found := measures["consistency"][side])}
    if not known:
        return Flag(name, "unknown", "No ejection fraction is known.", "Ejection fraction: not compared")
    said = [
        f"{side} {found['ef_dense_percent']:.0f} % in 3D against {found['ef_slices_percent']:.0f} % by slices"
        for side, found in known.items()
    ]
    apart = max(abs(found["ef_gap_points"]) for found in known.values())
    text = f"{'; '.join(said)} ({apart:.1f} points)."
    if apart > EF_GAP_POINTS:
        return Flag(name, "look", text, f"Ejection fraction in 3D and by slices {apart:.1f} points apart")
    return Flag(name, "fine", text, f"Ejection fraction the same in 3D and by slices (within {apart:.1f} points)")


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
        return Flag(name, "unknown", "No structure was found.", "Volumes: not compared")
    gap, structure, phase, a, b = max(gaps)
    both = f"{a:.0f} mL in 3D against {b:.0f} mL by slices ({100 * gap:.0f} %)"
    text = f"Largest gap: {SPOKEN[structure]} in phase {phase}, {both}."
    if gap > VOLUME_GAP:
        return Flag(name, "look", text, f"{SPOKEN[structure]} in 3D and by slices {100 * gap:.0f} % apart")
    return Flag(name, "fine", text, f"Volumes the same in 3D and by slices (within {100 * gap:.0f} %)")


def slices_differ(dense_at: UInt8[np.ndarray, "P N I J"], at_slices: UInt8[np.ndarray, "P N I J"]) -> Flag:
    """Whether the dense labels (P, N, I, J) at the acquired slices are those of the slices themselves."""
    name = "3D against slices: outline"
    scores = {
        structure: dice(dense_at == label, at_slices == label)
        for label, structure in LABEL_NAMES.items()
        if (at_slices == label).any() or (dense_at == label).any()
    }
    if not scores:
        return Flag(name, "unknown", "No structure was found.", "Outlines: not compared")
    structure = min(scores, key=lambda key: scores[key])
    text = f"Dice with the slices' own outlines: {scores[structure]:.2f} or better (least: {SPOKEN[structure]})."
    if scores[structure] < SLICE_DICE:
        return Flag(name, "look", text, f"{SPOKEN[structure]} leaves its outlines (Dice {scores[structure]:.2f})")
    return Flag(name, "fine", text, f"3D keeps the slices' outlines (Dice {scores[structure]:.2f})")


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
                    worst, what = float(away), f"{SPOKEN[structure]} between slices {n + 1} and {n + 2}"
    if worst > BULGE:
        text = f"Between slices the area leaves theirs by {100 * worst:.0f} % of the largest: the {what}."
        return Flag(name, "look", text, f"Implausible {what}")
    text = f"Between slices no area leaves theirs by more than {100 * worst:.0f} % of the largest."
    return Flag(name, "fine", text, "Plausible between the slices")


def out_of_distribution(features: dict[str, float], trained_on: TrainingRange | None) -> Flag:
    """Whether the exam lies outside what the weights were trained on: geometry, heart size, contrast."""
    name = "Like the training data"
    if trained_on is None:
        text = "What these weights were trained on is not recorded."
        return Flag(name, "unknown", text, "Training data: not known")
    outside = trained_on.outside(features)
    if outside:
        text = "; ".join(outside.values())
        return Flag(
            name,
            "look",
            f"Outside the range of the {trained_on.patients} training exams: {text}.",
            f"Unlike the training data: {', '.join(outside)}",
        )
    text = f"Geometry, heart size and contrast are within those of {trained_on.patients} training exams."
    return Flag(name, "fine", text, "Like the training data")


def _numbers(indices: Int[np.ndarray, " _"]) -> str:
    """Indices as people count."""
    return ", ".join(str(n + 1) for n in indices)
