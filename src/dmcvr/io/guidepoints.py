"""A result as guide points of biv-me (github.com/UOA-Heart-Mechanics-Research/biv-me): contours in the patient's frame.

GPFile_007.txt has a line for each point of phase 7: x, y, z (mm, DICOM's LPS), the contour's type, the slice's number,
weight, and time frame. SliceInfoFile.txt has the place of each slice. Columns and names of the types are those of its
writer and reader (src/bivme/preprocessing/dicom/src/guidepointprocessing.py, src/bivme/fitting/GPDataSet.py).

biv-me needs valves and apex, which it draws on long-axis views. A result has none: they are estimated from the labels,
the valves by the rim of each cavity on the plane where it ends, the apex by the last plane of the LV.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dmcvr.errors import InputError
from dmcvr.io.dicom.planes import Planes, read_heart
from dmcvr.io.folder import check_output_folder, whole_folder

#: Stands in a folder of ours, so that a later run may replace it.
MARKER = "export.json"

#: The RV's endocardium this near to the LV's epicardium is septum, and that epicardium is no outer surface.
SEPTUM_MM = 3.0

#: Points of one contour are about so far apart.
POINT_MM = 1.5

#: Points of a valve's rim, spread evenly.
VALVE_POINTS = 6

#: A contour of fewer pixels is a speck.
MIN_PIXELS = 12

_NOTE = (
    "MITRAL_VALVE, TRICUSPID_VALVE and APEX_POINT are estimated from short-axis labels, not drawn on long-axis views. "
    "Research software, not a medical device."
)


@dataclass(frozen=True)
class Contour:
    """Points (N, 2) of one type on one plane, as (row, column) in pixels."""

    kind: str
    points: Float64[np.ndarray, "N 2"]


def export_guidepoints(result: Path, output: Path, *, phase: str = "all") -> Path:
    """Write a result folder's labels as guide points into `output`, which appears whole or not at all.

    `phase` is a phase's name, or "all". Raises `InputError` where the result is not whole or has no heart.
    """
    check_output_folder(output, marker=MARKER)
    heart = read_heart(result)
    phases = [index for index, name in enumerate(heart.phases) if phase in ("all", name)]
    if not phases:
        raise InputError(f"Phase {phase!r} is not in this result: choose one of {', '.join(heart.phases)} or all.")
    labels = heart.labels
    planes = acquired_planes(labels, heart.positions_mm)
    with whole_folder(output, marker=MARKER) as partial:
        for index in phases:
            lines = guide_points(labels, planes, index)
            if not lines:
                raise InputError(
                    f"Phase {heart.phases[index]} of this result has no heart: there is nothing to contour."
                )
            text = "x\ty\tz\tcontour type\tframeID\tweight\ttime frame\n" + "".join(lines)
            (partial / f"GPFile_{index:03d}.txt").write_text(text, encoding="utf-8")
        (partial / "SliceInfoFile.txt").write_text(_slice_info(labels, planes), encoding="utf-8")
        about = {"to": "guidepoints", "phases": [heart.phases[index] for index in phases], "notice": _NOTE}
        (partial / MARKER).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return output


def acquired_planes(labels: Planes, positions_mm: tuple[float, ...] | None) -> list[int]:
    """The dense planes nearest to the acquired slices, in order; all of them where those are not known."""
    normal = np.cross(labels.axes[:3], labels.axes[3:])
    normal /= np.linalg.norm(normal)
    ras = normal * [-1, -1, 1]
    heights = labels.corners @ normal * np.sign(ras[np.abs(ras).argmax()])
    if not positions_mm:
        return list(range(len(heights)))
    within = [p for p in positions_mm if np.abs(heights - p).min() <= labels.spacing_mm[2]]
    return sorted({int(np.abs(heights - p).argmin()) for p in within})


def guide_points(labels: Planes, planes: list[int], phase: int) -> list[str]:
    """The lines of one phase: contours of the acquired slices, then valves and apex."""
    volume = labels.pictures[phase]
    lines: list[str] = []
    for number, k in enumerate(planes, start=1):
        for contour in slice_contours(volume[k], labels.spacing_mm[:2]):
            lines += _lines(labels, k, contour, number, phase)
    landmarks = _landmarks(volume, labels.spacing_mm[:2]) if lines else []
    for k, contour in landmarks:
        nearest = 1 + int(np.abs(np.array(planes) - k).argmin())
        lines += _lines(labels, k, contour, nearest, phase)
    return lines


def slice_contours(picture: NDArray[np.uint8], spacing_mm: tuple[float, float]) -> list[Contour]:
    """The contours of one plane (rows, columns): the LV's, and the RV's parted into septum and free wall."""
    endo = _outline(picture == 1, spacing_mm)
    epi = _outline((picture == 1) | (picture == 2), spacing_mm) if (picture == 2).any() else None
    rv = _outline(picture == 3, spacing_mm)
    found = [Contour("SAX_LV_ENDOCARDIAL", endo)] if endo is not None else []
    if rv is None or epi is None:
        found += [Contour("SAX_LV_EPICARDIAL", epi)] if epi is not None else []
        found += [Contour("SAX_RV_FREEWALL", rv)] if rv is not None else []
        return found
    septal = _near(rv, epi, spacing_mm)
    inserts = [rv[n] for n in np.flatnonzero(septal != np.roll(septal, 1))]
    parts = {
        "SAX_LV_EPICARDIAL": epi[~_near(epi, rv, spacing_mm)],
        "SAX_RV_SEPTUM": rv[septal],
        "SAX_RV_FREEWALL": rv[~septal],
        "RV_INSERT": np.array(inserts).reshape(-1, 2) if len(inserts) == 2 else np.empty((0, 2)),
    }
    return found + [Contour(kind, points) for kind, points in parts.items() if len(points)]


def _outline(mask: Bool[np.ndarray, "J I"], spacing_mm: tuple[float, float]) -> NDArray[np.float64] | None:
    """The longest contour around a structure, its points evenly spread; None for a speck."""
    from skimage.measure import find_contours

    if np.count_nonzero(mask) < MIN_PIXELS:
        return None
    contours = find_contours(np.pad(mask, 1).astype(float), 0.5)
    closed = max(contours, key=len) - 1
    steps = np.linalg.norm(np.diff(closed, axis=0) * spacing_mm, axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    count = max(int(along[-1] / POINT_MM), 8)
    places = np.arange(count) * along[-1] / count
    return np.column_stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)])


def _near(
    points: NDArray[np.float64], others: NDArray[np.float64], spacing_mm: tuple[float, float]
) -> NDArray[np.bool_]:
    distances, _ = cKDTree(others * spacing_mm).query(points * spacing_mm)
    return np.asarray(distances < SEPTUM_MM)


def _landmarks(volume: NDArray[np.uint8], spacing_mm: tuple[float, float]) -> list[tuple[int, Contour]]:
    """Valves and apex with their planes; the base is the end of the LV where it is wider."""
    areas = np.array([np.count_nonzero((plane == 1) | (plane == 2)) for plane in volume])
    lv = np.flatnonzero(areas >= MIN_PIXELS)
    if len(lv) < 3:
        return []
    third = max(len(lv) // 3, 1)
    basal_first = areas[lv[:third]].sum() > areas[lv[-third:]].sum()
    apex = int(lv[-1] if basal_first else lv[0])
    found = [(apex, Contour("APEX_POINT", np.argwhere(np.isin(volume[apex], (1, 2))).mean(axis=0)[None]))]
    for label, kind in ((1, "MITRAL_VALVE"), (3, "TRICUSPID_VALVE")):
        held = np.flatnonzero([np.count_nonzero(plane == label) >= MIN_PIXELS for plane in volume])
        if len(held):
            k = int(held[0] if basal_first else held[-1])
            rim = _outline(volume[k] == label, spacing_mm)
            if rim is not None:
                chosen = np.linspace(0, len(rim), VALVE_POINTS, endpoint=False).astype(int)
                found.append((k, Contour(kind, rim[chosen])))
    return found


def _lines(labels: Planes, k: int, contour: Contour, number: int, phase: int) -> list[str]:
    """One line a point: LPS mm, type, slice, weight, time frame."""
    down, right, _ = labels.spacing_mm
    world = (
        labels.corners[k]
        + contour.points[:, :1] * down * labels.axes[3:]
        + contour.points[:, 1:] * right * labels.axes[:3]
    )
    return [f"{x:.5f}\t{y:.5f}\t{z:.5f}\t{contour.kind}\t{number}\t1.0\t{phase}\n" for x, y, z in world]


def _slice_info(labels: Planes, planes: list[int]) -> str:
    """The place of each slice, as biv-me finds the words in it."""
    axes = "\t".join(f"{value:.8f}" for value in labels.axes)
    spacing = "\t".join(f"{size:.6f}" for size in labels.spacing_mm[:2])
    lines = []
    for number, k in enumerate(planes, start=1):
        corner = "\t".join(f"{value:.5f}" for value in labels.corners[k])
        lines.append(
            f"slice-{number:03d}\tsliceID: \t{number}\tImagePositionPatient\t{corner}\tImageOrientationPatient\t{axes}"
            f"\tPixelSpacing\t{spacing}\n"
        )
    return "".join(lines)
