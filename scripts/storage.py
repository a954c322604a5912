#!/usr/bin/env python
"""Whether volumes depend on how a file stores an exam: every order and direction of the axes, in several frames.

    python scripts/storage.py EXAM [EXAM ...] -o TABLE.csv

Each exam is written as NIfTI in 48 ways (6 orders of the axes, 8 directions) x 4 frames (a scanner's, in which pixels
and
affine turn together; three placeholders, whose affine is diagonal whatever the pixels show) x ED alone, ES alone and
all
phases; it is read, its heart found and its slices labelled. A row says by how much the volumes of LV cavity and RV
cavity leave the median over all ways, at most (%), and how often the picture is turned otherwise than in the median.
Ways that read as the same arrays are worked on once. About twenty minutes an exam on one core.
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

#: Phases that are measured, of whole exams too.
PHASES = ("ED", "ES")


def ways(data: NDArray[np.float32], affine: NDArray[np.float64], frame: str) -> Iterator[tuple[str, Any]]:
    """The exam (I, J, K, P) as other files would store it: a name, and the image."""
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
            yield f"{order} {flips}", image


def measured(stack: SliceStack, engine: Engine, phases: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """(phases, 2) LV and RV cavity in mL, and a small picture of the middle slice as it was turned."""
    size = engine.model.preset.size
    region = Region.of(stack, locate_heart(stack, engine.segment, size, engine.upright))
    frame = region.located.frame
    voxel_ml = frame.pixel_mm**2 * stack.spacing_mm / 1000
    labels = [Acquired.segmented(region.images[phase], engine.segment).labels for phase in phases]
    volumes = np.array([[np.count_nonzero(found == label) * voxel_ml for label in (1, 3)] for found in labels])
    middle = region.images[phases[0]][len(stack.positions_mm) // 2 :][:1]
    return volumes, middle[0, ::8, ::8]


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


def examine(path: Path, engine: Engine) -> Iterator[dict[str, Any]]:
    """The rows of one exam."""
    stack = read_exam(path)
    if stack_volume(stack) is None:
        raise InputError(f"The slices of {path.name} are unequally spaced: NIfTI cannot express that.")
    data, affine = canonical(stack, engine)
    curve, _ = measured(stack, engine, list(range(len(stack.phases))))
    marks = [int(curve[:, 0].argmax()), int(curve[:, 0].argmin())]
    shown = {"ED alone": [marks[0]], "ES alone": [marks[1]], "all phases": list(range(len(stack.phases)))}
    frames = ("a scanner's", *PLACEHOLDERS)
    found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    turned: dict[tuple[str, str], list[NDArray[np.float32]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for (taken, phases), frame in itertools.product(shown.items(), frames):
            known: dict[str, Any] = {}
            for _, image in ways(data[..., phases], affine, frame):
                nib.save(image, Path(folder) / "exam.nii")
                again = read_stack(Path(folder) / "exam.nii")
                key = hashlib.sha256(again.images.tobytes() + np.round(again.affines, 6).tobytes()).hexdigest()
                if key not in known:
                    known[key] = measured(again, engine, marks if len(phases) > 1 else [0])
                found.setdefault((taken, frame), []).append(known[key][0])
                turned.setdefault((taken, frame), []).append(known[key][1])
    for phase, name in enumerate(PHASES):
        rows = {
            key: np.array([v[phase if len(v) > 1 else 0] for v in values])
            for key, values in found.items()
            if key[0] in (f"{name} alone", "all phases")
        }
        for taken in (f"{name} alone", "all phases"):
            middle = np.median(np.concatenate([v for key, v in rows.items() if key[0] == taken]), axis=0)
            usual = np.median(np.concatenate([turned[taken, frame] for frame in frames]), axis=0)
            for frame in frames:
                away = np.abs(rows[taken, frame] / middle - 1).max(axis=0) * 100
                other = sum(np.abs(picture - usual).mean() > 0.1 for picture in turned[taken, frame])
                yield {
                    "exam": path.name, "phase": name, "given": taken, "frame": frame, "ways": len(rows[taken, frame]),
                    "lv_ml": round(middle[0], 2), "rv_ml": round(middle[1], 2),
                    "lv_away_percent": round(away[0], 3), "rv_away_percent": round(away[1], 3), "turned": other,
                }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exams", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the table, as CSV")
    given = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine.load(device="cpu")
    rows: list[dict[str, Any]] = []
    for path in given.exams:
        rows += examine(path, engine)
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
