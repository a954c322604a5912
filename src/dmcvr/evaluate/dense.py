"""A heart filled by a contender at equal steps along the stack: what the 3D protocols measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    acquired_mm = stack.positions_mm
    start, stop = stack.extent_mm
    count = round((stop - start) / bench.spacing_mm)
    positions = start + (np.arange(count) + 0.5) * (stop - start) / count
    plan = Plan.between(acquired_mm, positions)
    inputs = Inputs(bench, stack, region, views)
    for p, phase in enumerate(stack.phases):
        for contender in bench.contenders:
            given = inputs.of(contender, p)
            filled = contender.method(given, plan)
            yield (
                phase,
                contender,
                DenseHeart(
                    ((filled.images + 1) / 2).astype(np.float32),
                    keep_one_heart(labels_of(filled)),
                    given.labels,
                    positions,
                    region.located.frame,
                    stack.normal,
                ),
            )
