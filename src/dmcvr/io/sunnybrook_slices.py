"""Sunnybrook's labelled slices as pictures: NNNN.png and NNNN_lv.png, the cavity of the LV alone, a folder a patient.

NNNN is the picture's number in a cine of 20 phases that the scanner wrote slice by slice: it tells slice and phase. How
large a pixel is and how far the slices are apart got lost; they are taken to be as usual in that data (Radau et al.
2009, doi 10.54294/g80ruo).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack

_LABEL = re.compile(r"^(?P<number>\d{4})_lv\.png$")

#: Of a cine there.
PHASES = 20

#: Usual there: side of a pixel, distance between slices, and their thickness.
PIXEL_MM, SPACING_MM, THICKNESS_MM = 1.3, 10.0, 8.0


def is_sunnybrook_slices(path: Path) -> bool:
    """Whether a folder holds patients' folders of such pictures."""
    return path.is_dir() and any(_is_patient(folder) for folder in path.iterdir())


def list_sunnybrook_slices(path: Path) -> list[Path]:
    """The patients' folders in it, by name."""
    return sorted(folder for folder in path.iterdir() if _is_patient(folder))


def read_sunnybrook_slices(folder: Path) -> list[SliceStack]:
    """The labelled slices of a patient: a stack each for ED and ES (not of the same slices), where it has two at least.

    Labels are 1 in the LV's cavity, and 0 elsewhere. Raises `InputError` where pictures are missing or do not fit.
    """
    from PIL import Image

    numbers = sorted(int(m["number"]) for f in folder.iterdir() if (m := _LABEL.match(f.name)))
    if not numbers:
        raise InputError(f"There are no labelled slices (NNNN_lv.png) in {folder}.")
    try:
        pictures = {n: np.asarray(Image.open(folder / f"{n:04d}.png").convert("L")) for n in numbers}
        masks = {n: np.asarray(Image.open(folder / f"{n:04d}_lv.png").convert("L")) > 0 for n in numbers}
    except OSError as error:
        raise InputError(f"A picture in {folder} is missing or damaged: copy the folder again.") from error
    if len({part.shape for part in (*pictures.values(), *masks.values())}) > 1:
        raise InputError(f"The pictures in {folder} differ in size: expected one size for a patient.")
    area = Counter[int]()
    for n in numbers:
        area[_phase(n)] += int(masks[n].sum())
    first = max(area, key=lambda phase: area[phase])
    stacks = []
    for phase in sorted(area, key=lambda p: -area[p])[:2]:
        chosen = [n for n in numbers if _phase(n) == phase]
        if len(chosen) < 2:
            continue
        affines = np.tile(np.diag([-PIXEL_MM, -PIXEL_MM, 1.0, 1.0]), (len(chosen), 1, 1))
        affines[:, 2, 3] = [SPACING_MM * ((n - 1) // PHASES) for n in chosen]
        stacks.append(
            SliceStack(
                images=np.stack([pictures[n].T for n in chosen])[None].astype(np.float32),
                labels=np.stack([masks[n].T for n in chosen])[None].astype(np.uint8),
                affines=affines,
                thickness_mm=THICKNESS_MM,
                phases=("ED" if phase == first else "ES",),
            )
        )
    return stacks


def _phase(number: int) -> int:
    return (number - 1) % PHASES


def _is_patient(folder: Path) -> bool:
    return folder.is_dir() and any(_LABEL.match(file.name) for file in folder.iterdir())
