"""UK Biobank as ukbb_cardiac converts it (Bai et al., JCMR 2018): sa.nii.gz, sa_ED, sa_ES, la_2ch, la_4ch."""

from __future__ import annotations

from pathlib import Path

from dmcvr.errors import InputError
from dmcvr.exam.source import LONG_AXIS, LONG_AXIS_CINE, SHORT_AXIS_CINE
from dmcvr.io.exam import Exam
from dmcvr.io.image import nifti_files, nifti_named, nifti_stem
from dmcvr.io.parts import Part, exam_of


def is_ukbb_subject(path: Path) -> bool:
    """Whether a folder holds sa.nii.gz, or sa_ED.nii.gz or sa_ES.nii.gz."""
    return path.is_dir() and any(nifti_named(path, name) for name in ("sa", "sa_ED", "sa_ES"))


def find_ukbb(path: Path) -> Exam:
    """ED and ES where they are files of their own, else the whole cine; raises `InputError`."""
    if not is_ukbb_subject(path):
        raise InputError(f"{path} is no subject of UK Biobank: expected a folder with sa.nii.gz or sa_ED.nii.gz.")
    parts = []
    for phase in ("ED", "ES"):
        file = nifti_named(path, f"sa_{phase}")
        if file is not None:
            parts.append(Part(f"SA {phase}", file, (phase,), labels=_labels(path, f"sa_{phase}")))
    cine = nifti_named(path, "sa")
    beside = []
    if not parts and cine is not None:
        parts.append(Part("SA cine", cine, labels=_labels(path, "sa")))
    elif cine is not None:
        beside.append(("SA cine", SHORT_AXIS_CINE, cine, "ED and ES are files of their own; give this file for all"))
    for file in nifti_files(path):
        stem = nifti_stem(file)
        if stem.startswith("la_"):
            kind = LONG_AXIS if stem.endswith(("_ED", "_ES")) else LONG_AXIS_CINE
            name = "LA " + " ".join(word for word in stem.split("_")[1:] if word in ("2ch", "3ch", "4ch", "ED", "ES"))
            beside.append((name, kind, file, "recognised; not part of the short-axis stack"))
    return exam_of("ukbb", parts, beside=beside, label_map="ukbb")


def _labels(folder: Path, stem: str) -> Path | None:
    """Manual labels (label_sa_ED) before those of a network (seg_sa_ED)."""
    return nifti_named(folder, f"label_{stem}") or nifti_named(folder, f"seg_{stem}")
