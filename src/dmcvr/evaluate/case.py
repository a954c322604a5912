"""What a protocol is given, what it returns, and the scores that the protocols share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.evaluate.contenders import Contender
from dmcvr.evaluate.names import SlideBy
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.exam.view import View
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired, Dense
from dmcvr.fill.sharpen import sharpness
from dmcvr.fill.slid import Slid
from dmcvr.geometry.locate import Located, Region, prepare
from dmcvr.geometry.region import Frame, crop_labels, label_centre, plane_axes
from dmcvr.geometry.roi import ROI_MM
from dmcvr.labels.base import base_is_first
from dmcvr.phantom import Phantom
from dmcvr.quality.metrics import dice, hd95_mm, psnr_db, ssim

Row = dict[str, Any]

#: A slice may be moved this far in its plane, the same way for every method, before it is scored a second time.
#: Each slice has its own breath-hold: this much of an error nobody can predict.
MAX_SHIFT_MM = 5.0


@dataclass(frozen=True)
class Case:
    """One exam with its truth: manual labels in the stack, a phantom, or long-axis views.

    `second` (P, N, I, J) are another annotator's labels of the same scan. `judged` are the structures that were looked
    for in it.
    """

    name: str
    stack: SliceStack
    phantom: Phantom | None = None
    views: tuple[View, ...] = ()
    second: NDArray[np.uint8] | None = None
    judged: tuple[int, ...] = tuple(LABEL_NAMES)

    @property
    def about(self) -> Row:
        """The first columns of every row."""
        return {"patient": self.name, "group": self.stack.patient.group or ""}

    @property
    def manual(self) -> NDArray[np.uint8]:
        """(P, N, I, J) the labels to compare with."""
        assert self.stack.labels is not None
        return self.stack.labels


@dataclass(frozen=True)
class Bench:
    """What is compared, and how: the engine's segmenter finds every heart and labels every plain image.

    `untouched`: no network takes part; the heart is where the manual labels of the slices are, turned as in the file.
    """

    engine: Engine
    contenders: tuple[Contender, ...]
    keep_every: int = 2
    spacing_mm: float = 2.5
    untouched: bool = False

    def prepare(self, stack: SliceStack) -> Region:
        """Find, crop and scale the heart, by the images alone; where no network may, by these slices' labels."""
        size = self.engine.model.preset.size
        if not self.untouched:
            engine = self.engine
            return prepare(stack.without_labels(), engine.segment, size, engine.upright, engine.scale)
        assert stack.labels is not None
        frame = Frame(label_centre(stack, stack.labels), *plane_axes(stack)[0], size, ROI_MM / size)
        return Region.of(stack, Located(frame, 1.0, True, None), self.engine.scale)


@dataclass(frozen=True)
class Picture:
    """A scored slice for the contact sheet: the truth first, then each method.

    ======  ============  ==========================
    images  (K, S, S)     uint8 grey
    labels  (K, S, S)     uint8
    ======  ============  ==========================
    """

    title: str
    score: float
    names: tuple[str, ...]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @classmethod
    def of(cls, title: str, score: float, panels: dict[str, tuple[NDArray[Any], NDArray[np.uint8]]]) -> Picture:
        """Images in [0, 1] with their labels, by name."""
        grey = np.stack([np.clip(image * 255, 0, 255).astype(np.uint8) for image, _ in panels.values()])
        return cls(title, score, tuple(panels), grey, np.stack([labels for _, labels in panels.values()]))


@dataclass(frozen=True)
class Findings:
    """The rows of one case, and slices to look at."""

    rows: list[Row] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


Measure = Callable[[Case, Bench], Findings]


class Inputs:
    """All phases' acquired slices for contenders of every kind; the segmenter and the search for shifts run once."""

    def __init__(self, bench: Bench, stack: SliceStack, region: Region, views: Sequence[View] = ()) -> None:
        self._bench, self._stack, self._region, self._views = bench, stack, region, views
        self._made: dict[tuple[bool, SlideBy], Slid] = {}

    def of(self, contender: Contender, phase: int) -> Acquired:
        """One phase, with given or found labels, as the scanner has the slices or slid into one breath-hold."""
        return self._slid(contender.manual, contender.slide).acquired[phase]

    def _slid(self, manual: bool, slide: SlideBy) -> Slid:
        if (manual, slide) not in self._made:
            if slide == "off":
                acquired = self._given() if manual else self._segmented()
                made = Slid(self._stack, self._region, acquired)
            else:
                made = self._slid(manual, "off").slide(self._views if slide == "views" else ())
            self._made[manual, slide] = made
        return self._made[manual, slide]

    def _segmented(self) -> tuple[Acquired, ...]:
        segment, pixel_mm = self._bench.engine.segment_stack, self._region.located.frame.pixel_mm
        return tuple(
            Acquired.segmented(images, self._stack.positions_mm, segment, pixel_mm) for images in self._region.images
        )

    def _given(self) -> tuple[Acquired, ...]:
        assert self._stack.labels is not None
        given = crop_labels(self._stack, self._stack.labels, self._region.located.frame)
        return tuple(
            Acquired(images, labels, labels_given=True)
            for images, labels in zip(self._region.images, given, strict=True)
        )


def labels_of(dense: Dense) -> NDArray[np.uint8]:
    """(M, S, S) the labels of drawn slices."""
    return np.asarray(dense.scores.argmax(axis=1), dtype=np.uint8)


def levels(labels: NDArray[np.uint8]) -> list[str]:
    """base, mid or apex for each slice of a phase (N, I, J): thirds of the slices with left ventricle.

    Slices without left ventricle are "beyond".
    """
    inside = np.flatnonzero(((labels == 1) | (labels == 2)).any(axis=(1, 2)))
    result = ["beyond"] * len(labels)
    if len(inside) == 0:
        return result
    from_base = inside if base_is_first(labels[None]) else inside[::-1]
    for n, index in enumerate(from_base):
        result[index] = ("base", "mid", "apex")[3 * n // len(inside)]
    return result


def label_scores(
    found: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    spacing_mm: tuple[float, ...],
    judged: Collection[int] = LABEL_NAMES,
) -> Row:
    """Dice and HD95 (mm) of each structure; nan for those that are not judged."""

    def each(measure: Callable[[NDArray[np.bool_], NDArray[np.bool_]], float]) -> list[tuple[str, float]]:
        return [(name, measure(found == c, truth == c) if c in judged else np.nan) for c, name in LABEL_NAMES.items()]

    distances = each(lambda a, b: hd95_mm(a, b, spacing_mm))
    return {f"dice_{name}": value for name, value in each(dice)} | {f"hd95_{n}_mm": value for n, value in distances}


def image_scores(image: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> Row:
    """PSNR, SSIM and relative sharpness (1 is right) of 2D images in [0, 1]."""
    return {
        "psnr_db": psnr_db(image, truth),
        "ssim": ssim(image, truth),
        "sharpness": sharpness(image) / max(sharpness(truth), 1e-6),
    }


def best_shift(image: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]], pixel_mm: float) -> tuple[int, int]:
    """The whole-pixel translation, at most `MAX_SHIFT_MM`, that brings a slice nearest to the truth.

    By mean squared error over the part of the truth that every translation covers. Whole pixels, so that
    nothing is smoothed; no label takes part.
    """
    reach = int(MAX_SHIFT_MM / pixel_mm)
    inner = truth[reach:-reach, reach:-reach]

    def error(move: tuple[int, int]) -> float:
        rows, columns = (slice(reach - k, size - reach - k) for k, size in zip(move, truth.shape, strict=True))
        return float(np.square(image[rows, columns] - inner).mean())

    return min(moves((pixel_mm, pixel_mm)), key=error)


def moves(pixel_mm: tuple[float, float]) -> list[tuple[int, int]]:
    """The whole-pixel translations of at most `MAX_SHIFT_MM`."""
    reach = [int(MAX_SHIFT_MM / size) for size in pixel_mm]
    every = product(*(range(-r, r + 1) for r in reach))
    return [(i, j) for i, j in every if np.hypot(i * pixel_mm[0], j * pixel_mm[1]) <= MAX_SHIFT_MM]


def shifted(image: NDArray[Any], shift: tuple[int, int]) -> NDArray[Any]:
    """A 2D image moved by whole pixels; its edge is repeated."""
    index = (np.clip(np.arange(n) - k, 0, n - 1) for k, n in zip(shift, image.shape, strict=True))
    return image[np.ix_(*index)]
