#!/usr/bin/env python
"""The pictures of docs/method.md: a synthetic exam, its gaps filled with the bundled weights.

python scripts/pictures.py                                       into docs/pictures, in half a minute on two cores
python scripts/pictures.py --corrected BEFORE AFTER --slice 11   that of docs/howto/correct.md, of two results
python scripts/pictures.py --scanned DATA/sunnybrook             that of docs/results.md, of a scanned exam with labels
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Literal

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import dmcvr
from dmcvr.exam.stack import SliceStack
from dmcvr.fill.catalogue import make_method
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired, Method
from dmcvr.geometry.locate import Region, prepare
from dmcvr.geometry.plan import Plan
from dmcvr.geometry.region import crop_images, crop_labels
from dmcvr.io.read import read_exam
from dmcvr.io.result import read_result
from dmcvr.labels.colours import COLOURS, css
from dmcvr.model.checkpoint import load_generator
from dmcvr.options import BUNDLED
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.quality.metrics import dice, ssim
from dmcvr.report.scene import make_scene

SEED = 3

#: The whole exam: slices 10 mm apart, and breath-holds that differ by 1.5 mm.
SCAN = Scan(spacing_mm=10.0, thickness_mm=8.0, shift_mm=1.5)

#: Sharpness of the pictures: they stay below 200 kB.
DPI = 84

#: The gap that is looked into: the RV ends in it.
GAP = 6

#: The slice of a scanned exam that is left out, an odd one, and what is judged of its labels.
SCANNED, MYOCARDIUM = 7, 2


def main() -> None:
    parser = argparse.ArgumentParser(description="The pictures of docs/method.md.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parent.parent / "docs/pictures")
    parser.add_argument("--corrected", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    parser.add_argument("--slice", type=int, default=0, help="that was corrected, from 0")
    parser.add_argument("--scanned", type=Path, metavar="EXAM")
    given = parser.parse_args()
    folder = given.output
    folder.mkdir(parents=True, exist_ok=True)
    if given.corrected:
        corrected(*given.corrected, given.slice, folder / "correct.png")
        return
    engine = Engine.load(device="cpu")
    if given.scanned:
        signatures(read_exam(given.scanned, labels=True).select_phases([0]), engine, folder / "signatures.png")
        return
    exam = make_phantom(SEED, SCAN)
    region = prepare(exam.stack.without_labels(), engine.segment, engine.model.preset.size, engine.upright)
    slices(region, exam, folder / "slices.png")
    between(region, exam, engine, folder / "between.png")
    deeprecon(region, exam, engine, folder / "deeprecon.png")
    long_axis(exam, engine, folder / "long_axis.png")


def slices(region: Region, exam: Phantom, target: Path) -> None:
    """The acquired slices at end-diastole, from base to apex."""
    heights = exam.stack.positions_mm - exam.stack.positions_mm[0]
    panels = [(image, f"{height:.0f} mm") for image, height in zip(region.images[0], heights, strict=True)]
    _sheet(panels, (len(panels) + 1) // 2, target, colours=64)


def between(region: Region, exam: Phantom, engine: Engine, target: Path) -> None:
    """Half way between two neighbours: their mean, ours, and the truth."""
    positions = exam.stack.positions_mm
    middle = (positions[GAP] + positions[GAP + 1]) / 2
    plan = Plan.between(positions, np.array([middle]))
    acquired = _acquired(region, exam.stack, engine)
    drawn = {name: make_method(name, engine)(acquired, plan).images[0] for name in ("linear", "dmcvr")}
    panels = [
        (region.images[0][GAP], "acquired"),
        (drawn["linear"], "half way: linear"),
        (drawn["dmcvr"], "half way: dmcvr"),
        (_truth(region, exam, middle), "half way: the truth"),
        (region.images[0][GAP + 1], "acquired, 10 mm on"),
    ]
    _sheet(panels, len(panels), target, edge=32)


def deeprecon(region: Region, exam: Phantom, engine: Engine, target: Path) -> None:
    """An acquired slice as DMCVR's codes and DeepRecon's give it back; half way to the next, what both draw."""
    positions = exam.stack.positions_mm
    middle = (positions[GAP] + positions[GAP + 1]) / 2
    plan, acquired = Plan.between(positions, np.array([middle])), _acquired(region, exam.stack, engine)
    found = {name: method(acquired, plan) for name, method in _of_the_paper(engine).items()}
    panels = [
        (region.images[0][GAP], "acquired"),
        *((dense.round_trip[GAP], f"from codes: {name}") for name, dense in found.items()),
        (_truth(region, exam, middle), "half way: the truth"),
        *((dense.images[0], f"half way: {name}") for name, dense in found.items()),
    ]
    _sheet(panels, 3, target, edge=16, colours=64)


def signatures(stack: SliceStack, engine: Engine, target: Path) -> None:
    """An acquired slice as each gives it back, and the next, which was left out, as each draws and labels it."""
    kept = stack.select_slices(list(range(0, stack.images.shape[1], 2)))
    region = prepare(kept.without_labels(), engine.segment, engine.model.preset.size, engine.upright)
    assert stack.labels is not None
    truth = region.scale.normalise(crop_images(stack, region.located.frame))[0, SCANNED]
    manual = crop_labels(stack, stack.labels, region.located.frame)[0, SCANNED]
    acquired = _acquired(region, kept, engine)
    plan = Plan.between(kept.positions_mm, stack.positions_mm[[SCANNED]])
    given, nothing = region.images[0][SCANNED // 2], np.zeros_like(manual)
    lines = [[(given, nothing, "acquired")], [(truth, manual, "the next, left out, labelled by hand")]]
    for name, method in _of_the_paper(engine).items():
        dense = method(acquired, plan)
        found = dense.scores[0].argmax(axis=0).astype(np.uint8)
        again = dense.round_trip[SCANNED // 2]
        lines[0].append((again, nothing, f"from codes: {name}\nSSIM {_ssim(again, given):.2f}"))
        overlap = dice(found == MYOCARDIUM, manual == MYOCARDIUM)
        text = f"left out: {name}\nSSIM {_ssim(dense.images[0], truth):.2f}, Dice {overlap:.2f}"
        lines[1].append((dense.images[0], found, text))
    figure, axes = plt.subplots(2, 3, figsize=(8, 6.2))
    edge = slice(16, -16)
    for axis, (image, labels, title) in zip(axes.flat, [panel for line in lines for panel in line], strict=True):
        axis.imshow(image[edge, edge].T, cmap="gray", vmin=-1, vmax=1)
        for label, colour in COLOURS.items():
            if (labels[edge, edge] == label).any():
                axis.contour((labels[edge, edge] == label).T, [0.5], colors=[css(colour)], linewidths=1.5)
        axis.set_title(title, fontsize=10, pad=3)
        axis.axis("off")
    figure.subplots_adjust(0, 0, 1, 0.94, wspace=0.02, hspace=0.14)
    _save(figure, target)


def _ssim(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return ssim((one + 1) / 2, (other + 1) / 2)


def _of_the_paper(engine: Engine) -> dict[str, Method]:
    """Both methods of the paper's comparison, with their bundled weights."""
    return {
        "DMCVR as published": make_method("published", Engine.load(BUNDLED["published"], device="cpu")),
        "DeepRecon": make_method("deeprecon", engine.with_generator(*load_generator(BUNDLED["deeprecon"]))),
    }


def long_axis(exam: Phantom, engine: Engine, target: Path) -> None:
    """A cut along the heart: as acquired, and as reconstructed."""
    scene = make_scene(dmcvr.reconstruct(exam.stack.without_labels(), engine=engine, phase="ED"))
    _, y, _ = scene.middle
    acquired = scene.as_acquired(0)
    assert acquired is not None
    before, after = (scene.grey(volume[::-1, y, :]) for volume in (acquired, scene.image[0]))
    labels = scene.labels[0][::-1, y, :]
    figure, axes = plt.subplots(1, 3, figsize=(9, 9 / 3 * after.shape[1] / after.shape[0] + 0.35))
    titles = ("the slices as acquired", "reconstructed", "and labelled")
    for axis, grey, title in zip(axes, (before, after, after), titles, strict=True):
        axis.imshow(grey.T, cmap="gray", origin="lower", vmin=0, vmax=255)
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    for label, colour in COLOURS.items():
        axes[2].imshow(
            np.where(labels == label, 1.0, np.nan).T, cmap=ListedColormap([css(colour)]), origin="lower", alpha=0.45
        )
    figure.subplots_adjust(0, 0, 1, 0.9, wspace=0.02)
    _save(figure, target)


def corrected(before: Path, after: Path, number: int, target: Path) -> None:
    """A slice and its labels as they were found and as they were edited; a cut along the heart before and after."""
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.9))
    scenes = [make_scene(read_result(folder)) for folder in (before, after)]
    where = np.argwhere(scenes[1].labels[0] > 0)
    _, y, _ = where.mean(axis=0).round().astype(int)
    for n, (folder, scene) in enumerate(zip((before, after), scenes, strict=True)):
        stack = read_result(folder).acquired
        assert stack is not None
        assert stack.labels is not None
        around = np.argwhere((stack.labels[0] > 0).any(axis=0))
        box = tuple(slice(max(low - 12, 0), high + 13) for low, high in zip(around.min(0), around.max(0), strict=True))
        found, cut = f"slice {number + 1}: {('found', 'edited')[n]}", f"cut along the heart: {('before', 'after')[n]}"
        _overlay(axes[n], stack.images[0, number][box], stack.labels[0, number][box], found, "upper")
        _overlay(axes[n + 2], scene.image[0][::-1, y], scene.labels[0][::-1, y], cut, "lower")
    figure.subplots_adjust(0, 0, 1, 0.92, wspace=0.02)
    _save(figure, target)


def _overlay(
    axis: Axes, grey: NDArray[np.float32], labels: NDArray[np.uint8], title: str, origin: Literal["upper", "lower"]
) -> None:
    low, high = np.percentile(grey, [1, 99])
    axis.imshow(grey.T, cmap="gray", vmin=low, vmax=high, origin=origin)
    for label, colour in COLOURS.items():
        shown = np.where(labels == label, 1.0, np.nan).T
        axis.imshow(shown, cmap=ListedColormap([css(colour)]), alpha=0.45, origin=origin)
    axis.set_title(title, fontsize=10, pad=3)
    axis.axis("off")


def _acquired(region: Region, stack: SliceStack, engine: Engine) -> Acquired:
    """The slices at end-diastole, with the segmenter's labels."""
    pixel_mm = region.located.frame.pixel_mm
    return Acquired.segmented(region.images[0], stack.positions_mm, engine.segment_stack, pixel_mm)


def _truth(region: Region, exam: Phantom, position_mm: float) -> NDArray[np.float32]:
    """(S, S) the phantom without noise, shading and shifts, in the plane at this position."""
    frame, truth = region.located.frame, exam.truth_image
    to_voxel = np.linalg.inv(truth.affine) @ frame.affine_at(position_mm, exam.stack.normal)
    pixels = np.indices((frame.size, frame.size)).reshape(2, -1)
    points = to_voxel[:3, :2] @ pixels + to_voxel[:3, 3:]
    values = ndimage.map_coordinates(truth.data[0], points, order=1, mode="nearest")
    return region.scale.normalise(values.reshape(frame.size, frame.size))


def _sheet(
    panels: list[tuple[NDArray[np.float32], str]], columns: int, target: Path, *, edge: int = 16, colours: int = 200
) -> None:
    """Slices in [-1, 1] on the region's grid, in rows, each with its title; so many pixels are cut off around."""
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, rows * (10 / columns + 0.3)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (image, title) in zip(axes.flat, panels, strict=False):
        axis.imshow(image[edge:-edge, edge:-edge].T, cmap="gray", vmin=-1, vmax=1)
        axis.set_title(title, fontsize=10, pad=3)
    figure.subplots_adjust(0, 0, 1, 1 - 0.26 / (rows * (10 / columns + 0.3)), wspace=0.02, hspace=0.16)
    _save(figure, target, colours)


def _save(figure: Figure, target: Path, colours: int = 200) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, facecolor="white")
    plt.close(figure)
    picture = Image.open(buffer).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    picture.save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
