"""The contact sheet: every acquired slice with its contours at end-diastole and end-systole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.exam.stack import LABEL_TITLES
from dmcvr.report.figure import Figure, figure
from dmcvr.report.scene import Scene

#: Small pictures want wider outlines.
SMALL_LINE_PX = 0.85


@dataclass(frozen=True)
class Sheet:
    """One phase: its slices from base to apex."""

    phase: str
    slices: list[Figure]


def contact_sheets(scene: Scene, phases: Sequence[tuple[int, str]]) -> list[Sheet]:
    """A sheet for each of these phases, by index and as it is called; none without acquired slices.

    Contours are those of the dense labels at the slice, moved to where the scanner has its heart.
    """
    if scene.acquired is None:
        return []
    at = np.abs(scene.voxel_heights_mm[:, None] - scene.heights_mm).argmin(axis=0)
    count = len(at)
    sheets = []
    for phase, spoken in phases:
        slices = []
        for n in reversed(range(count)):
            right, up = scene.shifts_mm[n] / scene.spacing_mm
            labels = scene.labels[phase][::-1, :, at[n]]
            slices.append(
                figure(
                    scene.grey(scene.acquired[phase, n])[::-1],
                    f"Slice {scene.numbers[n]} of {count} at {spoken}, {_seen(labels)}",
                    caption=f"slice {scene.numbers[n]} · {scene.heights_mm[-1] - scene.heights_mm[n]:.0f} mm",
                    labels=labels,
                    completed=scene.completed[phase][::-1, :, at[n]],
                    shift=(-float(right), float(up)),  # x runs to the picture's left
                    line_px=SMALL_LINE_PX,
                )
            )
        sheets.append(Sheet(spoken, slices))
    return sheets


def _seen(labels: NDArray[np.uint8]) -> str:
    seen = [name for label, name in LABEL_TITLES.items() if (labels == label).any()]
    return f"with contours of {', '.join(seen)}" if seen else "without contours"
