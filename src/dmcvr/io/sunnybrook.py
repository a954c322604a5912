"""Sunnybrook cardiac data: a folder of DICOM as the scanner wrote it, beside it labels whose names give the phase."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.source import LABELS, Piece
from dmcvr.exam.stack import SliceStack, same_grid
from dmcvr.io.exam import Exam
from dmcvr.io.image import nifti_files, read_header, read_stack
from dmcvr.io.labels import to_internal

_LABELS = re.compile(r"^(?P<case>.+)_(?P<name>ED|ES)_frame(?P<phase>\d{1,3})_gt\.nii(\.gz)?$", re.IGNORECASE)


def is_sunnybrook(path: Path) -> bool:
    """Whether a folder holds CASE_dicom/ and CASE_ED_frame18_gt.nii.gz or the like."""
    if not path.is_dir():
        return False
    cases = {match["case"] for file in nifti_files(path) if (match := _LABELS.match(file.name))}
    return any((path / f"{case}_dicom").is_dir() for case in cases)


def find_sunnybrook(path: Path, *, series: str | None = None) -> Exam:
    """The cine of one case; labels, where asked for, come with their phases alone (ED and ES)."""
    from dmcvr.io.dicom.read import find_dicom

    if not path.is_dir():
        raise InputError(f"There is no folder {path}: give a case's folder.")
    files = [(file, match) for file in nifti_files(path) if (match := _LABELS.match(file.name))]
    folders = sorted({path / f"{match['case']}_dicom" for _, match in files})
    if len(folders) > 1:
        raise InputError(f"{path} holds {len(folders)} cases: give the DICOM folder of one.")
    exam = find_dicom(folders[0] if folders and folders[0].is_dir() else path, layout="sunnybrook", series=series)
    pieces = []
    for file, match in files:
        why = f"phase {int(match['phase'])}, taken if asked for"
        pieces.append(
            Piece(name=f"labels {match['name']}", kind=LABELS, slices=read_header(file).shape[2], phases=1, why=why)
        )
    source = replace(exam.source, pieces=exam.source.pieces + tuple(pieces))
    chosen = [(file, match["name"], int(match["phase"])) for file, match in files]
    labelled = (lambda: _labelled(exam.load(), chosen)) if chosen else None
    return replace(exam, source=source, load_labels=labelled, numbering="acdc")


def _labelled(stack: SliceStack, files: list[tuple[Path, str, int]]) -> SliceStack:
    """The labelled phases, named as the label files name them."""
    beyond = [phase for _, _, phase in files if phase >= len(stack.phases)]
    if beyond:
        raise InputError(f"Labels are named for phase {beyond[0]}; the cine has {len(stack.phases)}, counted from 0.")
    chosen = stack.select_phases([phase for _, _, phase in files])
    labels = []
    for file, name, _ in files:
        given = read_stack(file)
        if not same_grid(given, stack):
            raise InputError(f"The {name} labels have another shape or place than the cine.")
        labels.append(to_internal(given.images[0], "acdc"))
    return replace(chosen, labels=np.stack(labels), phases=tuple(name for _, name, _ in files))
