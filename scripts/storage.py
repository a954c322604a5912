#!/usr/bin/env python
"""Whether volumes depend on how a file stores an exam: every order and direction of the axes, in several frames.

    python scripts/storage.py EXAM [EXAM ...] -o TABLE.csv

Each exam is written as NIfTI in 48 ways (6 orders of the axes, 8 directions) x 4 frames (a scanner's, in which pixels
and affine turn together; three placeholders, whose affine is diagonal whatever the pixels show) x ED alone, ES alone
and all phases; it is read, its heart found and its slices labelled. A row says by how much the volumes of LV cavity and
RV cavity leave the median over all ways, at most (%), and how often the picture is turned otherwise than in the median.
Ways that read as the same arrays are worked on once. Half an hour an exam on one core; `--ways 8` takes eight of the
48, others in each frame.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.geometry.locate import Region, locate_heart
from dmcvr.geometry.orient import from_scanner, turn
from dmcvr.geometry.region import plane_axes
from dmcvr.io.nifti import read_stack
from dmcvr.io.read import read_exam
from dmcvr.io.result import stack_volume

#: Signs of the placeholders' diagonals; the last one's true spacing is in the header's zooms alone.
PLACEHOLDERS = {"diag(-1,-1,1)": (-1, -1, 1), "diag(1,-1,1)": (1, -1, 1), "identity and zooms": (1, 1, 1)}

#: A patient's frame for exams that have none: the picture's right and down as they usually lie (RAS+).
RIGHT, DOWN = np.array([-0.78, -0.57, 0.26]), np.array([0.05, -0.47, -0.88])

#: Mean difference between two pictures in [-1, 1], of which one is turned.
TURNED = 0.1

#: Phases that are measured, of whole exams too.
PHASES = ("ED", "ES")


def ways(data: NDArray[np.float32], affine: NDArray[np.float64], frame: str) -> Iterator[Any]:
    """The exam (I, J, K, P) as 48 other files would store it."""
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            turned, world = data.transpose(*order, 3), affine[:, [*order, 3]].copy()
            for axis in np.flatnonzero(flips):
                turned = np.flip(turned, axis)
                world[:3, 3] += world[:3, axis] * (turned.shape[axis] - 1)
                world[:3, axis] *= -1
            zooms = np.linalg.norm(world[:3, :3], axis=0)
            if frame in PLACEHOLDERS:
                world = np.diag([*(PLACEHOLDERS[frame] * (zooms if "zooms" not in frame else np.ones(3))), 1.0])
            image = nib.Nifti1Image(np.ascontiguousarray(turned), world)
            image.header.set_zooms((*zooms, 1.0))
            yield image


def measured(stack: SliceStack, engine: Engine, phases: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """(phases, 2) LV and RV cavity in mL, and a small picture of all slices as they were turned."""
    size = engine.model.preset.size
    region = Region.of(stack, locate_heart(stack, engine.segment, size, engine.upright))
    frame = region.located.frame
    voxel_ml = frame.pixel_mm**2 * stack.spacing_mm / 1000
    labels = [Acquired.segmented(region.images[phase], engine.segment).labels for phase in phases]
    volumes = np.array([[np.count_nonzero(found == label) * voxel_ml for label in (1, 3)] for found in labels])
    return volumes, region.images[phases[0]].mean(axis=0)[::8, ::8]


def canonical(stack: SliceStack, engine: Engine) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The exam as ACDC would store it, (I, J, K, P), with a patient's affine: its own, or the usual one."""
    frame = locate_heart(stack, engine.segment, engine.model.preset.size, engine.upright).frame
    own = plane_axes(stack)
    i, j = (stack.affines[0, :3, axis] / stack.pixel_mm[axis] for axis in (0, 1))
    wanted = next(pair for pair in own if pair[0] @ frame.u > 0.9 and pair[1] @ frame.v > 0.9)
    images = np.stack([turn(phase, (i, j), wanted) for phase in stack.images])
    pixel = stack.pixel_mm if abs(i @ frame.u) > 0.5 else stack.pixel_mm[::-1]
    u, v, normal = frame.u, frame.v, stack.normal
    if not from_scanner(stack.normal):
        u = RIGHT / np.linalg.norm(RIGHT)
        v = DOWN - (DOWN @ u) * u
        v /= np.linalg.norm(v)
        normal = -np.cross(u, v)  # ACDC's slices run from base to apex
    affine = np.eye(4)
    affine[:3, :3] = np.stack([u * pixel[0], v * pixel[1], normal * stack.spacing_mm], axis=1)
    return np.moveaxis(images, (1, 0), (2, 3)), affine


def examine(path: Path, engine: Engine, few: int) -> Iterator[dict[str, Any]]:
    """The rows of one exam."""
    stack = read_exam(path)
    if stack_volume(stack) is None:
        raise InputError(f"The slices of {path.name} are unequally spaced: NIfTI cannot express that.")
    data, affine = canonical(stack, engine)
    curve, _ = measured(stack, engine, list(range(len(stack.phases))))
    marks = [int(curve[:, 0].argmax()), int(curve[:, 0].argmin())]
    rng = np.random.default_rng(0)
    for taken, phases, wanted in (
        ("ED alone", marks[:1], [0]),
        ("ES alone", marks[1:], [0]),
        ("all phases", list(range(len(stack.phases))), marks),
    ):
        found = {
            frame: tried(data[..., phases], affine, frame, engine, wanted, set(rng.permutation(48)[:few].tolist()))
            for frame in ("a scanner's", *PLACEHOLDERS)
        }
        volumes = np.median([v for results in found.values() for v, _ in results], axis=0)
        shown = np.median([picture for results in found.values() for _, picture in results], axis=0)
        for frame, results in found.items():
            away = np.abs(np.array([v for v, _ in results]) / volumes - 1).max(axis=0) * 100
            turned = sum(np.abs(picture - shown).mean() > TURNED for _, picture in results)
            for n, phase in enumerate(PHASES if len(wanted) > 1 else [taken[:2]]):
                yield {
                    "exam": path.name, "given": taken, "frame": frame, "ways": len(results), "phase": phase,
                    "lv_ml": round(volumes[n, 0], 2), "rv_ml": round(volumes[n, 1], 2),
                    "lv_away_percent": round(away[n, 0], 3), "rv_away_percent": round(away[n, 1], 3), "turned": turned,
                }  # fmt: skip


def tried(
    data: NDArray[np.float32],
    affine: NDArray[np.float64],
    frame: str,
    engine: Engine,
    phases: list[int],
    numbers: set[int],
) -> list[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """What is measured in these of the 48 ways, in one frame."""
    known: dict[str, Any] = {}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for image in (image for number, image in enumerate(ways(data, affine, frame)) if number in numbers):
            nib.save(image, Path(folder) / "exam.nii")
            stack = read_stack(Path(folder) / "exam.nii")
            key = hashlib.sha256(stack.images.tobytes() + np.round(stack.affines, 6).tobytes()).hexdigest()
            if key not in known:
                known[key] = measured(stack, engine, phases)
            found.append(known[key])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exams", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the table, as CSV")
    parser.add_argument("--ways", type=int, default=48, metavar="N", help="only N of the 48 in each frame")
    given = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine.load(device="cpu")
    rows: list[dict[str, Any]] = []
    for path in given.exams:
        rows += examine(path, engine, given.ways)
        with given.output.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        worst = max(max(row["lv_away_percent"], row["rv_away_percent"]) for row in rows if row["exam"] == path.name)
        print(f"{path.name}: at most {worst:.2f} % from the median", flush=True)
    if any(row["turned"] for row in rows):
        sys.exit("Some ways were turned otherwise.")


if __name__ == "__main__":
    main()
