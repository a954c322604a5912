"""Labelled patients to train on, whatever the folder: ACDC's way, nnU-Net's raw folders, or Sunnybrook's slices.

Labels may be partial: which structures were looked for is known of each patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.io.acdc import list_patients, read_acdc, read_patient
from dmcvr.io.nnunet import is_nnunet, known_labels, list_labelled, read_labelled
from dmcvr.io.sunnybrook_slices import is_sunnybrook_slices, list_sunnybrook_slices, read_sunnybrook_slices

#: What follows the patient in the name of a case: "patient001_frame01" and "A1D0J0_ED" are phases.
_PHASE = re.compile(r"[_-](?P<phase>frame\d+|ED|ES|phase\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class LabelledPatient:
    """A patient by name: the disease group ("" if not known), the structures that were looked for, and the exams."""

    name: str
    group: str
    known: tuple[int, ...]
    load: Callable[[], list[SliceStack]]


def labelled_patients(data: Path) -> list[LabelledPatient]:
    """Those under a folder, by name; nothing is read yet. Raises `InputError` where there is none."""
    if is_sunnybrook_slices(data):
        return [
            LabelledPatient(folder.name, "", (1,), partial(read_sunnybrook_slices, folder))
            for folder in list_sunnybrook_slices(data)
        ]
    if is_nnunet(data):
        return _of_nnunet(data)
    return [
        LabelledPatient(folder.name, read_patient(folder).group or "", tuple(LABEL_NAMES), partial(_acdc, folder))
        for folder in list_patients(data)
    ]


def _acdc(folder: Path) -> list[SliceStack]:
    return [read_acdc(folder, with_labels=True)]


def _of_nnunet(data: Path) -> list[LabelledPatient]:
    """Cases whose names differ in the phase alone are one patient."""
    numbers = known_labels(data)
    known = tuple(sorted(set(numbers.values()) - {0}))
    cases: dict[str, list[tuple[str, Path, Path]]] = {}
    for case, image, labels in list_labelled(data):
        match = _PHASE.search(case)
        phase = match["phase"] if match else "0"
        cases.setdefault(_PHASE.sub("", case), []).append((phase, image, labels))
    return [
        LabelledPatient(name, "", known, partial(_cases, tuple(files), numbers))
        for name, files in sorted(cases.items())
    ]


def _cases(files: tuple[tuple[str, Path, Path], ...], numbers: dict[int, int]) -> list[SliceStack]:
    found = []
    for phase, image, labels in files:
        stack = read_labelled(image, labels, numbers)
        found.append(replace(stack, phases=(phase,)) if len(stack.phases) == 1 else stack)
    return found
