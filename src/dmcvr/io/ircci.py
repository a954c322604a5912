"""Sunnybrook's public contours (Radau et al., MIDAS Journal 2009): one text file a contour, `x y` a line.

IM-0001-0059-icontour-manual.txt is the LV endocardium (i) of the picture whose instance number is 59; o is the
epicardium, p1 and p2 are papillary muscles. They lie in contours-manual/IRCCI-expert.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from dmcvr.errors import InputError
from dmcvr.io.limits import MAX_FILES
from dmcvr.io.outlines import ENDOCARDIUM, EPICARDIUM, MAX_POINTS, Drawn, Outline

_NAME = re.compile(r"^IM-(\d{1,6})-(\d{1,6})-(i|o|p\d)contour-(manual|auto)\.txt$", re.IGNORECASE)
_STRUCTURES = {"i": ENDOCARDIUM, "o": EPICARDIUM}

MAX_FILE_BYTES = 4_000_000


def contour_files(path: Path) -> list[Path]:
    """The contour files at a path or below it; those drawn by a person before those of a program."""
    files = [path] if path.is_file() else islice(path.rglob("IM-*.txt"), MAX_FILES) if path.is_dir() else []
    found = sorted(file for file in files if _NAME.match(file.name) and file.is_file())
    manual = [file for file in found if "-manual" in file.name.lower()]
    return manual or found


def read_contour_files(path: Path) -> Drawn:
    """The contours at a path (a file, or a folder of them), by instance number; raises `InputError`."""
    outlines: dict[str, list[Outline]] = defaultdict(list)
    ignored: Counter[str] = Counter()
    seen: dict[tuple[int, str], Path] = {}
    for file in contour_files(path):
        match = _NAME.match(file.name)
        if match is None:
            continue
        number, kind = int(match[2]), match[3].lower()
        if kind not in _STRUCTURES:
            ignored["papillary muscles"] += 1
            continue
        if (number, kind) in seen:
            raise InputError(f"{path.name} holds {file.name} twice: give the contour folder of one patient.")
        seen[number, kind] = file
        outlines[str(number)].append(Outline(_STRUCTURES[kind], _points(file)))
    if not outlines:
        raise InputError(
            f"{path.name} holds no contour of the LV: expected files like IM-0001-0059-icontour-manual.txt."
        )
    return Drawn(dict(outlines), False, dict(ignored))


def _points(file: Path) -> Float64[np.ndarray, "N 2"]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{file.name} is larger than any contour: it is another kind of file.")
        text = file.read_text(encoding="utf-8", errors="replace")
        rows = [[float(word) for word in line.replace(",", " ").split()] for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"{file.name} cannot be read ({error.strerror}): check its permissions.") from error
    except ValueError as error:
        raise InputError(f"{file.name} is damaged: expected two numbers a line; copy it again.") from error
    if not 3 <= len(rows) <= MAX_POINTS or any(len(row) != 2 for row in rows):
        raise InputError(f"{file.name} is damaged: expected three or more lines of two numbers; copy it again.")
    points = np.array(rows, dtype=np.float64)
    if not (np.abs(points) < 1e5).all():
        raise InputError(f"{file.name} is damaged: points lie far outside any picture; copy it again.")
    return points
