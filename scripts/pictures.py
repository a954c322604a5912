#!/usr/bin/env python
"""The pictures of docs/method.md: a synthetic exam, its gaps filled with the bundled weights.

python scripts/pictures.py                 into docs/pictures, in half a minute on two cores
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import dmcvr
from dmcvr.fill.catalogue import make_method
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.geometry.locate import Region, prepare
from dmcvr.geometry.plan import Plan
from dmcvr.labels.colours import COLOURS, css
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.report.scene import make_scene

SEED = 3

#: The whole exam: slices 10 mm apart, and breath-holds that differ by 1.5 mm.
SCAN = Scan(spacing_mm=10.0, thickness_mm=8.0, shift_mm=1.5)

#: Sharpness of the pictures: they stay below 150 kB.
DPI = 84

#: The gap that is looked into: the RV ends in it.
GAP = 6


def main() -> None:
    parser = argparse.ArgumentParser(description="The pictures of docs/method.md.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parent.parent / "docs/pictures")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    exam = make_phantom(SEED, SCAN)
    engine = Engine.load(device="cpu")
    region = prepare(exam.stack.without_labels(), engine.segment, engine.model.preset.size, engine.upright)
    slices(region, exam, folder / "slices.png")
    between(region, exam, engine, folder / "between.png")
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
    acquired = Acquired.segmented(region.images[0], engine.segment, region.located.frame.pixel_mm)
    drawn = {name: make_method(name, engine)(acquired, plan).images[0] for name in ("linear", "dmcvr")}
    panels = [
        (region.images[0][GAP], "acquired"),
        (drawn["linear"], "half way: linear"),
        (drawn["dmcvr"], "half way: dmcvr"),
        (_truth(region, exam, middle), "half way: the truth"),
        (region.images[0][GAP + 1], "acquired, 10 mm on"),
    ]
    _sheet(panels, len(panels), target, edge=32)


def long_axis(exam: Phantom, engine: Engine, target: Path) -> None:
    """A cut along the heart: as acquired, and as reconstructed."""
    scene = make_scene(dmcvr.reconstruct(exam.stack.without_labels(), engine=engine, phase="ED"))
    _, y, _ = scene.middle
    assert scene.as_acquired is not None
    before, after = (scene.grey(volume[0][::-1, y, :]) for volume in (scene.as_acquired, scene.image))
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
