"""The chosen frames' pixels, as a stack."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dmcvr.exam.stack import Picture, SliceStack
from dmcvr.io.dicom.choose import Selection, select
from dmcvr.io.dicom.headers import DicomFrame
from dmcvr.io.dicom.long_axis import planes_of_views
from dmcvr.io.dicom.phases import slices_in_words
from dmcvr.io.dicom.pixels import read_pixels, smoothest
from dmcvr.io.exam import Exam
from dmcvr.io.limits import check_size

#: Slices of one stack whose thicknesses differ by more are said to be mixed.
SAME_THICKNESS_MM = 0.1


def find_dicom(path: Path, *, layout: str = "dicom", series: str | None = None) -> Exam:
    """The short-axis cine among the DICOM under a folder (or in one enhanced file), or the stack with `series`.

    Raises `InputError`.
    """
    selection = select(path, layout=layout, series=series)
    names = [(frame.instance, str(phase)) for slice_ in selection.slices for phase, frame in enumerate(slice_)]
    telling = len(names) == len(dict(names))  # in enhanced files, pictures share a name
    return Exam(
        selection.source,
        lambda: load(selection),
        long_axis=planes_of_views(selection.views),
        pictures=dict(names) if telling else {},
    )


def load(selection: Selection) -> SliceStack:
    """The selection's pixels, rescaled, on one grid, with phases "0".."P-1" in order of time."""
    frames = [frame for slice_ in selection.slices for frame in slice_]
    columns, rows = selection.grid.frame.shape
    slices, phases = len(selection.slices), len(selection.slices[0])
    check_size((phases, slices, columns, rows), "The short-axis cine")
    by_frame = read_pixels(frames)
    notes: list[str] = []
    reordered: dict[str, list[int]] = {}
    shown: list[list[Picture]] = []
    images = np.empty((phases, slices, columns, rows), dtype=np.float32)
    for n, (slice_, others) in enumerate(zip(selection.slices, selection.others, strict=True)):
        pictures = [selection.grid.picture(frame, by_frame[frame.path, frame.index]) for frame in slice_]
        name, order = smoothest(pictures, others)
        if name:
            reordered.setdefault(name, []).append(n + 1)
        images[:, n] = np.stack(pictures)[list(order)]
        shown.append([_picture(slice_[p]) for p in order])
    for name, which in reordered.items():
        notes.append(
            f"{slices_in_words(which)}: pictures follow one another by far smaller steps in the order of their {name}, "
            "which was taken."
        )
    thicknesses = [frame.thickness_mm for frame in frames if frame.thickness_mm is not None]
    spacings = np.diff(selection.affines[:, :3, 3] @ selection.grid.normal)
    if not thicknesses:
        notes.append("The headers give no slice thickness: the distance between slices was taken.")
    elif np.ptp(thicknesses) > SAME_THICKNESS_MM:
        notes.append(f"Slices are {min(thicknesses):g} to {max(thicknesses):g} mm thick: the median was taken.")
    return SliceStack(
        images=images,
        affines=selection.affines,
        thickness_mm=float(np.median(thicknesses if thicknesses else np.abs(spacings))),
        phases=tuple(str(phase) for phase in range(phases)),
        times_ms=selection.times_ms,
        patient=selection.patient,
        warnings=tuple(notes),
        pictures=tuple(zip(*shown, strict=True)),
    )


def _picture(frame: DicomFrame) -> Picture:
    return Picture(frame.instance, frame.number, frame.affine)
