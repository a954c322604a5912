"""One way in: a file or a folder to a `SliceStack`, whatever layout it has. pydicom is imported for DICOM alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack, same_grid
from dmcvr.io.acdc import find_acdc, is_acdc_exam
from dmcvr.io.exam import Exam
from dmcvr.io.labels import to_internal
from dmcvr.io.mnms import cine_of, find_mnms
from dmcvr.io.mnms2 import find_mnms2, is_mnms2_patient
from dmcvr.io.nifti import read_stack
from dmcvr.io.nnunet import find_nnunet, is_nnunet
from dmcvr.io.parts import SUFFIXES, Part, exam_of, nifti_files
from dmcvr.io.sunnybrook import find_sunnybrook, is_sunnybrook
from dmcvr.io.ukbb import find_ukbb, is_ukbb_subject
from dmcvr.options import LayoutName

#: Files of a folder that are looked at to tell whether it holds DICOM.
LOOKED_AT = 200


@dataclass(frozen=True)
class Layout:
    """How one kind of dataset lies on disk: whether a path is one of its exams, and the exam.

    `find_series` is there where an exam may hold several stacks: the one that a series is part of.
    """

    recognise: Callable[[Path], bool]
    find: Callable[[Path], Exam]
    find_series: Callable[[Path, str], Exam] | None = None

    def exam(self, path: Path, series: str | None) -> Exam:
        """The exam at a path, of the stack that a series is part of; raises `InputError`."""
        if series is None:
            return self.find(path)
        if self.find_series is None:
            raise InputError("--series chooses among the series of DICOM, and this exam is none: leave it out.")
        return self.find_series(path, series)


def read_exam(path: Path | str, *, layout: LayoutName = "auto", labels: bool = False) -> SliceStack:
    """The exam at `path`; with `labels`, the labelled phases with the dataset's own labels.

    A NIfTI file (3D: one phase; 4D: phases last), a folder in one of the layouts of `LAYOUTS`, or a folder of DICOM.
    Raises `InputError` for anything else, and where labels are asked for that are not there.
    """
    return find_exam(Path(path), layout=layout).read(labels=labels)


def find_exam(path: Path, *, layout: LayoutName = "auto", series: str | None = None) -> Exam:
    """What lies at `path`, understood from headers alone; raises `InputError` where it is no exam.

    Of several short-axis stacks among DICOM, `series` asks for the one that this series is part of.
    """
    if layout not in get_args(LayoutName):
        raise InputError(f"Unknown layout {layout!r}: choose one of {', '.join(get_args(LayoutName))}.")
    if not path.exists():
        raise InputError(f"There is no file or folder {path}: check the path.")
    try:
        if layout != "auto":
            return LAYOUTS[layout].exam(path, series)
        for candidate in LAYOUTS.values():
            if candidate.recognise(path):
                return candidate.exam(path, series)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if path.is_file():
        raise InputError(f"{path.name} is not a NIfTI file (.nii or .nii.gz) nor DICOM: convert the exam first.")
    raise InputError(
        f"The folder {path} holds {len(nifti_files(path))} NIfTI files, no DICOM and no layout that is known "
        f"({', '.join(LAYOUTS)}): give the file of the short-axis stack, or the folder of one patient."
    )


def with_labels(stack: SliceStack, path: Path, convention: str) -> SliceStack:
    """The stack with labels from a NIfTI file of the same grid, in a named convention.

    Raises `InputError` where shape or values do not fit.
    """
    given = read_stack(path)  # sorts the slices as it sorts those of the image
    if given.images.shape != stack.images.shape:
        raise InputError(
            f"The labels in {path.name} have {_shape(given.images.shape)}, the image has "
            f"{_shape(stack.images.shape)}: give labels for just the phases that are reconstructed (--phase)."
        )
    if not same_grid(given, stack):
        raise InputError(f"The labels in {path.name} lie elsewhere than the image: their headers differ.")
    return replace(stack, labels=to_internal(given.images, convention))


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} phase(s), {shape[1]} slices of {shape[2]} x {shape[3]} pixels"


def _is_nifti(path: Path) -> bool:
    """A NIfTI file, or a folder with one."""
    return path.name.endswith(SUFFIXES) if path.is_file() else len(nifti_files(path)) == 1


def _find_nifti(path: Path) -> Exam:
    files = nifti_files(path) if path.is_dir() else [path]
    if len(files) != 1:
        raise InputError(f"The folder {path} holds {len(files)} NIfTI files: give the file of the short-axis stack.")
    return exam_of("nifti", [Part("file", files[0])])


def _is_dicom(path: Path) -> bool:
    """A DICOM file, or a folder whose first files have one among them."""
    from itertools import islice

    from dmcvr.io.dicom.headers import files_under, is_dicom

    return any(is_dicom(file) for file in ([path] if path.is_file() else islice(files_under(path), LOOKED_AT)))


def _find_dicom(path: Path, series: str | None = None) -> Exam:
    from dmcvr.io.dicom.read import find_dicom

    return find_dicom(path, series=series)


def _find_sunnybrook(path: Path, series: str) -> Exam:
    return find_sunnybrook(path, series=series)


#: In the order in which `auto` tries them: the more particular first.
LAYOUTS: dict[str, Layout] = {
    "acdc": Layout(is_acdc_exam, find_acdc),
    "ukbb": Layout(is_ukbb_subject, find_ukbb),
    "mnms2": Layout(is_mnms2_patient, find_mnms2),
    "mnms": Layout(lambda path: cine_of(path) is not None, find_mnms),
    "nnunet": Layout(is_nnunet, find_nnunet),
    "sunnybrook": Layout(is_sunnybrook, find_sunnybrook, _find_sunnybrook),
    "nifti": Layout(_is_nifti, _find_nifti),
    "dicom": Layout(_is_dicom, _find_dicom, _find_dicom),
}
