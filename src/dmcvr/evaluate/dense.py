"""A heart filled by a contender at equal steps along the stack: what the 3D protocols measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dmcvr.anatomy.complete import Anatomy
from dmcvr.anatomy.seen import Slices
from dmcvr.evaluate.case import Bench, Inputs, labels_of
from dmcvr.evaluate.contenders import Contender
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import Frame
from dmcvr.labels.components import keep_one_heart


@dataclass(frozen=True)
class DenseHeart:
    """One phase on the ROI's grid, denser along the stack.

    =========  ============  =============================================
    images     (K, S, S)     float32 in [0, 1]
    labels     (K, S, S)     uint8, one heart
    acquired   (N, S, S)     uint8, the labels of the acquired slices
    positions  (K,)          mm along the stack's normal, equal steps
    =========  ============  =============================================
    """

    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    acquired: NDArray[np.uint8]
    positions: NDArray[np.float64]
    frame: Frame
    normal: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along the stack, then in the plane: the order of the arrays' axes."""
        step = float(self.positions[1] - self.positions[0])
        return step, self.frame.pixel_mm, self.frame.pixel_mm

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) index (k, a, b, 1) to RAS+ mm."""
        plane = self.frame.affine_at(float(self.positions[0]), self.normal)
        affine = np.eye(4)
        affine[:3, 0] = self.normal * self.spacing_mm[0]
        affine[:3, 1:3] = plane[:3, :2]
        affine[:3, 3] = plane[:3, 3]
        return affine


def dense_hearts(
    stack: SliceStack, bench: Bench, views: Sequence[View] = ()
) -> Iterator[tuple[str, Contender, DenseHeart]]:
    """Every phase filled by every contender, every `bench.spacing_mm` over the slabs that the slices stand for.

    Contenders that take long-axis views are given these.
    """
    region = bench.prepare(stack)
    pixel_mm = region.located.frame.pixel_mm
    start, stop = stack.extent_mm
    count = round((stop - start) / bench.spacing_mm)
    step = (stop - start) / count
    positions = np.asarray(start + (np.arange(count) + 0.5) * step, dtype=np.float64)
    inputs = Inputs(bench, stack, region, views)
    anatomies: dict[str, Anatomy] = {}
    for p, phase in enumerate(stack.phases):
        for contender in bench.contenders:
            given = inputs.of(contender, p)
            heights = positions
            if contender.complete != "off":
                if contender.name not in anatomies:
                    at_slices = np.stack([inputs.of(contender, n).labels for n in range(len(stack.phases))])
                    anatomy = Anatomy.of(at_slices, stack.positions_mm, pixel_mm)
                    if contender.complete == "views":
                        slices = Slices(at_slices, np.asarray(stack.positions_mm), region.located.frame, stack.normal)
                        anatomy = anatomy.with_views(views, stack.phases, slices, bench.engine.segment_views)
                    anatomies[contender.name] = anatomy
                heights = _grown(positions, anatomies[contender.name].reach_mm)
            filled = contender.method(given, Plan.between(stack.positions_mm, heights))
            if contender.complete != "off":
                whole = anatomies[contender.name].complete(filled.scores, heights, p)
                filled = replace(filled, scores=whole.scores)
            yield (
                phase,
                contender,
                DenseHeart(
                    ((filled.images + 1) / 2).astype(np.float32),
                    keep_one_heart(labels_of(filled)),
                    given.labels,
                    heights,
                    region.located.frame,
                    stack.normal,
                ),
            )


def _grown(positions: NDArray[np.float64], reach_mm: tuple[float, float] | None) -> NDArray[np.float64]:
    """Equally spaced positions, continued as far as a heart reaches."""
    if reach_mm is None:
        return positions
    step = positions[1] - positions[0]
    ways = (positions[0] - reach_mm[0], reach_mm[1] - positions[-1])
    before, behind = (max(0, int(np.ceil(way / step - 0.5 - 1e-6))) for way in ways)
    return np.asarray(positions[0] + step * np.arange(-before, len(positions) + behind))
