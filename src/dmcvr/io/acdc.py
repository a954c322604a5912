"""ACDC's folder layout (Bernard et al., IEEE TMI 2018): one folder a patient, ED and ES named in Info.cfg."""

from __future__ import annotations

import re
from pathlib import Path

from dmcvr.errors import InputError
from dmcvr.exam.source import LONG_AXIS_CINE, SHORT_AXIS_CINE
from dmcvr.exam.stack import Patient, SliceStack
from dmcvr.io.exam import Exam, LongAxis
from dmcvr.io.image import is_image, nifti_files, nifti_named, nifti_stem, read_header
from dmcvr.io.long_axis import long_axis_cine, view_of_name
from dmcvr.io.parts import Beside, Part, body_size, exam_of, manual_labels

_VIEW = re.compile(r"_LA_(?P<view>[234]c|rvot)$", re.IGNORECASE)
_FRAME = re.compile(r"_frame(\d+)$", re.IGNORECASE)


def is_acdc_patient(folder: Path) -> bool:
    """Whether a folder looks like one ACDC patient."""
    return (folder / "Info.cfg").is_file()


def list_patients(root: Path) -> list[Path]:
    """The ACDC patient folders under `root`, by name; raises `InputError` where there is none."""
    if not root.is_dir():
        raise InputError(f"There is no folder {root}: give the folder that holds the patients.")
    found = sorted(folder for folder in root.iterdir() if is_acdc_patient(folder))
    if not found:
        raise InputError(f"No ACDC-style patient (a folder with Info.cfg) under {root}.")
    return found


def is_acdc_exam(path: Path) -> bool:
    """Whether `path` is an ACDC patient's folder, or a NIfTI file in one."""
    return is_acdc_patient(path) or (path.is_file() and is_acdc_patient(path.parent) and is_image(path))


def find_acdc(path: Path) -> Exam:
    """The ED and ES frames of a patient's folder, or one file of it, its phase named by the Info.cfg beside it.

    A patient without the one or the other frame gives the frame there is. Raises `InputError` where files
    are missing or do not fit each other.
    """
    folder = path if path.is_dir() else path.parent
    info = _read_info(folder)
    if path.is_file():
        match = _FRAME.search(nifti_stem(path))
        number = int(match.group(1)) if match else None
        name = next((p for p in ("ED", "ES") if p in info and int(info[p]) == number), None)
        part = Part(f"{name} frame" if name else "file", path, (name,) if name else None, labels=manual_labels(path))
        fractions = _fractions(info)
        if name is not None:
            fractions = {phase: share for phase, share in fractions.items() if phase == name}
        elif match is None:
            count = read_header(path).phases
            fractions = {str(n): n / count for n in range(count)}
        views, planes = _views(folder, fractions)
        return exam_of("acdc", [part], patient=_patient(info), beside=views, label_map="acdc", long_axis=planes)
    parts: list[Part] = []
    for phase in ("ED", "ES"):
        if phase in info:
            frame = _frame_path(folder, int(info[phase]))
            parts.append(Part(f"{phase} frame", frame, (phase,), labels=manual_labels(frame)))
    if not parts:
        raise InputError(f"{folder / 'Info.cfg'} names neither an ED nor an ES frame.")
    cine = nifti_named(folder, f"{folder.name}_4d")
    why = "ED and ES were taken; give this file for all phases"
    beside = [Beside("4D cine", SHORT_AXIS_CINE, cine, why)] if cine is not None else []
    views, planes = _views(folder, _fractions(info))
    return exam_of("acdc", parts, patient=_patient(info), beside=beside + views, label_map="acdc", long_axis=planes)


def _views(folder: Path, fractions: dict[str, float]) -> tuple[list[Beside], list[LongAxis]]:
    """Long-axis cines as `dmcvr phantom` writes them, for phases at these fractions of the heartbeat."""
    found = [(file, match["view"]) for file in nifti_files(folder) if (match := _VIEW.search(nifti_stem(file)))]
    why = "the {} view" if fractions else "a {} view; Info.cfg does not say of how many frames (NbFrame)"
    beside, planes = [], []
    for file, word in found:
        name = view_of_name(word)
        beside.append(Beside(f"LA {word}", LONG_AXIS_CINE, file, why.format(name), name, len(fractions)))
        planes.append(long_axis_cine(name, file, fractions))
    return beside, planes


def _fractions(info: dict[str, str]) -> dict[str, float]:
    """Where in the heartbeat ED and ES are, of NbFrame frames; nothing where Info.cfg does not tell."""
    frames = int(info["NbFrame"]) if re.fullmatch(r"[1-9][0-9]{0,5}", info.get("NbFrame", "")) else 0
    return {phase: (int(info[phase]) - 1) / frames for phase in ("ED", "ES") if phase in info and frames}


def read_acdc(folder: Path, *, with_labels: bool = False) -> SliceStack:
    """The ED and ES frames of one patient, with the manual labels if asked for; raises `InputError`."""
    return find_acdc(folder).read(labels=with_labels)


def read_patient(folder: Path) -> Patient:
    """Body size and disease group as Info.cfg gives them."""
    return _patient(_read_info(folder))


def _read_info(folder: Path) -> dict[str, str]:
    try:
        text = (folder / "Info.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{folder / 'Info.cfg'} cannot be read ({error.strerror}).") from error
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, value in pairs}
    for phase in ("ED", "ES"):
        if phase in info and not re.fullmatch(r"[0-9]{1,6}", info[phase]):
            raise InputError(
                f"{folder / 'Info.cfg'} gives {info[phase][:20]!r} as the {phase} frame; expected a number."
            )
    return info


def _patient(info: dict[str, str]) -> Patient:
    height_cm, weight_kg = (body_size(info.get(key, "")) for key in ("Height", "Weight"))
    return Patient(height_cm=height_cm, weight_kg=weight_kg, group=info.get("Group"))


def _frame_path(folder: Path, number: int) -> Path:
    """The frame of that number: named as its folder, or the only one there, where the folder was renamed."""
    stem = f"{folder.name}_frame{number:02d}"
    frames = [file for file in nifti_files(folder) if (m := _FRAME.search(nifti_stem(file))) and int(m[1]) == number]
    path = nifti_named(folder, stem) or (frames[0] if len(frames) == 1 else None)
    if path is None:
        raise InputError(f"Info.cfg names frame {number}, but {folder} has no {stem}.nii.gz.")
    return path
