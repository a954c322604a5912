"""One heart for all: the vertices, faces and parts that every phase of every patient shares.

The left ventricle has rows from the mitral rim to the apex and columns around the long axis, counted from the anterior
insertion of the RV away from the septum, once for the endocardium and once for the epicardium. The right one has rows
from its rim to its apex and columns from its anterior to its inferior edge, once for the septal side and once for the
free wall, which share both edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Int, UInt8
from numpy.typing import NDArray

from dmcvr.clinical.wall import LEVELS

#: Rows and columns of the left ventricle, without its apex. Rows down to `LV_STRAIGHT` lie square to the long axis, one
#: third of its length each for `LV_STRAIGHT` / 2 rows; the others turn down from there to the apex.
LV_ROWS, LV_COLUMNS, LV_STRAIGHT = 24, 48, 16

#: The lowest rows, which with the apex are AHA segment 17.
CAP_ROWS = 2

#: Rows and columns of the right ventricle's septal side; the free wall has as many and shares the first and the last.
RV_ROWS, RV_COLUMNS = 16, 25

#: The parts, by the number that files give to each face.
PARTS = ("lv_endocardium", "lv_epicardium", "lv_base", "rv_septum", "rv_free_wall")


@dataclass(frozen=True)
class Template:
    """What all hearts have in common.

    =====  ======  =====================================================================================
    faces  (F, 3)  indices of vertices; seen from outside the cavity (of lv_base: from above) they turn
                   counter-clockwise
    part   (F,)    the part of each face: an index of `PARTS`
    aha    (V,)    AHA segment of each vertex of the left ventricle, 0 elsewhere
    endo   (R, C)  vertices of the LV endocardium by row and column; `endo_apex` is its last one
    epi    (R, C)  the same of the epicardium
    septum (R, C)  vertices of the RV's septal side
    free   (R, C)  of its free wall; the first and the last column are the septal side's
    sets           vertices by name, in order around: mitral_ring, epicardial_ring, tricuspid_ring; and the apices
    =====  ======  =====================================================================================
    """

    faces: Int[np.ndarray, "F 3"]
    part: UInt8[np.ndarray, " F"]
    aha: UInt8[np.ndarray, " V"]
    endo: Int[np.ndarray, "A B"]
    epi: Int[np.ndarray, "A B"]
    septum: Int[np.ndarray, "C D"]
    free: Int[np.ndarray, "C D"]
    sets: dict[str, NDArray[np.int64]]

    @property
    def count(self) -> int:
        """How many vertices there are."""
        return len(self.aha)


@cache
def template() -> Template:
    """The template: the same for every heart."""
    endo = np.arange(LV_ROWS * LV_COLUMNS).reshape(LV_ROWS, LV_COLUMNS)
    endo_apex = endo.size
    epi, epi_apex = endo + endo.size + 1, 2 * endo.size + 1
    start = epi_apex + 1
    septum = start + np.arange(RV_ROWS * RV_COLUMNS).reshape(RV_ROWS, RV_COLUMNS)
    inner = start + septum.size + np.arange(RV_ROWS * (RV_COLUMNS - 2)).reshape(RV_ROWS, RV_COLUMNS - 2)
    free = np.concatenate([septum[:, :1], inner, septum[:, -1:]], axis=1)
    rv_apex = int(inner[-1, -1]) + 1

    rims = np.stack([epi[0], endo[0]])
    parts = [
        np.concatenate([_grid(endo, closed=True), _fan(endo[-1], endo_apex, closed=True)]),
        np.concatenate([_grid(epi, closed=True), _fan(epi[-1], epi_apex, closed=True)]),
        _grid(rims, closed=True),
        np.concatenate([_grid(septum), _fan(septum[-1], rv_apex)]),
        np.concatenate([_grid(free), _fan(free[-1], rv_apex)])[:, ::-1],
    ]
    aha = np.zeros(rv_apex + 1, dtype=np.uint8)
    aha[endo], aha[epi] = _segments(), _segments()
    aha[[endo_apex, epi_apex]] = 17
    sets = {
        "mitral_ring": endo[0],
        "epicardial_ring": epi[0],
        "tricuspid_ring": np.concatenate([septum[0], free[0, -2:0:-1]]),
        "lv_endocardial_apex": np.array([endo_apex]),
        "lv_epicardial_apex": np.array([epi_apex]),
        "rv_apex": np.array([rv_apex]),
    }
    part = np.repeat(np.arange(len(parts)), [len(faces) for faces in parts]).astype(np.uint8)
    return Template(np.concatenate(parts), part, aha, endo, epi, septum, free, sets)


def _grid(index: Int[np.ndarray, "A B"], *, closed: bool = False) -> Int[np.ndarray, "F 3"]:
    """Two triangles for each cell of rows and columns; `closed`: the last column is followed by the first."""
    if closed:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    return np.concatenate([np.stack([a, c, b], axis=1), np.stack([a, d, c], axis=1)])


def _fan(row: Int[np.ndarray, " B"], tip: int, *, closed: bool = False) -> Int[np.ndarray, "F 3"]:
    """Triangles from a row to one vertex below it."""
    if closed:
        row = np.append(row, row[0])
    return np.stack([row[:-1], np.full(len(row) - 1, tip), row[1:]], axis=1)


def _segments() -> UInt8[np.ndarray, "A B"]:
    """(LV_ROWS, LV_COLUMNS) AHA segment of each row and column."""
    aha = np.empty((LV_ROWS, LV_COLUMNS), dtype=np.uint8)
    degrees = (np.arange(LV_COLUMNS) + 0.5) * 360 / LV_COLUMNS
    thirds = (LV_STRAIGHT // 2, LV_STRAIGHT)
    for rows, (numbers, first_deg) in zip(np.split(aha, thirds), LEVELS, strict=True):
        rows[:] = np.array(numbers)[((degrees - first_deg) % 360 * len(numbers) / 360).astype(int)]
    aha[-CAP_ROWS:] = 17
    return aha
