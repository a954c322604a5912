"""long-axis: the dense heart cut along planes that no method has seen, against the exam's own long-axis views.

With `--data`, a folder of M&Ms-2 patients (or one of them): the world geometry in the files places the views.
Without, synthetic exams (10 mm apart) with their 2-, 3-, 4-chamber and outflow views as scanned, and exact labels.
Image agreement is Pearson's correlation of grey values inside the part of the view that the stack covers (a view has
its own brightness and contrast); Dice and HD95 of each structure where the view has labels and 1 cm2 of it. `shifted_`
columns: after the best in-plane translation of at most 5 mm, found on the images. A row is one view of one phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.evaluate.case import Bench, Case, Findings, Picture, Row, label_scores, moves, shifted
from dmcvr.evaluate.dense import DenseHeart, dense_hearts
from dmcvr.evaluate.metric import SHIFTED
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.exam.view import View
from dmcvr.quality.metrics import correlation

#: A structure with less than this in the view is not judged there.
MIN_AREA_MM2 = 100.0


def long_axis(case: Case, bench: Bench) -> Findings:
    """Scores of every view by every contender."""
    rows: list[Row] = []
    cuts: dict[tuple[str, str], list[tuple[str, float, Cut]]] = {}
    for phase, contender, heart in dense_hearts(case.stack, bench):
        for view in case.views:
            if view.phase == phase:
                cut = _cut_heart(heart, view)
                row = {**case.about, "phase": phase, "task": view.name, "method": contender.name}
                rows.append(row | _scores(cut, view))
                cuts.setdefault((view.name, phase), []).append((contender.name, rows[-1]["correlation"], cut))
    views = {(view.name, view.phase): view for view in case.views}
    return Findings(rows, [_picture(case.name, views[key], drawn) for key, drawn in cuts.items()])


@dataclass(frozen=True)
class Cut:
    """A dense heart on a view's pixels (I, J): grey, labels, and where the heart's slices reach."""

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    covered: NDArray[np.bool_]


def _cut_heart(heart: DenseHeart, view: View) -> Cut:
    shape = view.image.shape
    image = _cut(heart.images, heart.affine, view.affine, shape, order=1)
    labels = _cut(heart.labels, heart.affine, view.affine, shape, order=0)
    covered = _cut(np.ones(heart.images.shape, dtype=np.float32), heart.affine, view.affine, shape, order=0) > 0
    return Cut(image, labels, covered)


def _picture(name: str, view: View, drawn: list[tuple[str, float, Cut]]) -> Picture:
    """The view as acquired and every method's cut; the first method's score decides how bad it is."""
    low, high = np.percentile(view.image, (0.5, 99.5))
    truth = np.clip((view.image - low) / max(float(high - low), 1e-6), 0, 1)
    manual = np.zeros(truth.shape, np.uint8) if view.labels is None else view.labels
    panels = {"truth": (truth, manual)} | {method: (cut.image, cut.labels) for method, _, cut in drawn}
    return Picture.of(f"{name} {view.phase}, {view.name}", drawn[0][1], panels)


def _scores(cut: Cut, view: View) -> Row:
    image, labels, covered = cut.image, cut.labels, cut.covered
    pixel_mm = float(np.linalg.norm(view.affine[:3, 0])), float(np.linalg.norm(view.affine[:3, 1]))
    move = _best_move(image, covered, view.image, pixel_mm)
    row: Row = {}
    for prefix, shift in (("", (0, 0)), (SHIFTED, move)):
        there = shifted(covered, shift)
        scores: Row = {"correlation": correlation(shifted(image, shift)[there], view.image[there])}
        if view.labels is not None:
            truth = np.where(there, view.labels, 0).astype(np.uint8)
            scores |= label_scores(shifted(labels, shift), truth, pixel_mm, judged=_judged(truth, pixel_mm))
        row |= {prefix + key: value for key, value in scores.items()}
    return row


def _judged(truth: NDArray[np.uint8], pixel_mm: tuple[float, float]) -> list[int]:
    """The structures but for those that the plane only grazes, such as the RV in a 2-chamber view."""
    return [c for c in LABEL_NAMES if (truth == c).sum() * pixel_mm[0] * pixel_mm[1] >= MIN_AREA_MM2]


def _best_move(
    image: NDArray[Any], covered: NDArray[np.bool_], truth: NDArray[np.float32], pixel_mm: tuple[float, float]
) -> tuple[int, int]:
    """The whole-pixel translation, of at most 5 mm, of the highest correlation."""
    every = moves(pixel_mm)
    there = [shifted(covered, move) for move in every]
    return every[
        int(np.nanargmax([correlation(shifted(image, m)[t], truth[t]) for m, t in zip(every, there, strict=True)]))
    ]


def _cut(
    volume: NDArray[Any],
    affine: NDArray[np.float64],
    plane: NDArray[np.float64],
    shape: tuple[int, ...],
    *,
    order: int,
) -> NDArray[Any]:
    """(I, J) values of a volume on a plane; 0 outside the volume."""
    to_volume = np.linalg.inv(affine) @ plane
    i, j = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    points = to_volume[:3, :2] @ np.stack([i.ravel(), j.ravel()]) + to_volume[:3, 3:]
    return np.asarray(ndimage.map_coordinates(volume, points, order=order, mode="constant").reshape(shape))
