"""One way in: a file or a folder to a `SliceStack`, whatever layout it has. pydicom is imported for DICOM alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.io.acdc import find_acdc, is_acdc_exam
from dmcvr.io.archive import find_zip
from dmcvr.io.bids import find_bids, is_bids
from dmcvr.io.exam import Exam
from dmcvr.io.image import image_files, is_image, no_image
from dmcvr.io.mnms import cine_of, find_mnms
from dmcvr.io.mnms2 import find_mnms2, is_mnms2_patient
from dmcvr.io.nnunet import find_nnunet, is_nnunet
from dmcvr.io.parts import Part, exam_of
from dmcvr.io.sniff import is_hidden, kind_of
from dmcvr.io.sunnybrook import find_sunnybrook, is_sunnybrook
from dmcvr.io.ukbb import find_ukbb, is_ukbb_subject
from dmcvr.options import LayoutName

#: Files of a folder that are looked at to tell whether it holds DICOM.
LOOKED_AT = 200

#: Folders that are looked at to tell whether they are patients.
MAX_PATIENTS = 10_000

#: Layouts whose patients often lie many in one folder.
PATIENTS = ("acdc", "ukbb", "mnms2", "bids", "mnms", "sunnybrook")

#: Folders between such a folder and its patients, and the patients' own (Training/Labeled/A0S9V9).
PATIENTS_DOWN = 3


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

    An image file (NIfTI, NRRD, MetaImage ...; 3D: one phase; 4D: phases last), a folder in one of the layouts of
    `LAYOUTS`, a folder of DICOM, or a zip of any of them.
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
        if path.is_file() and kind_of(path) == "zip":
            return find_zip(path, lambda inside: find_exam(inside, layout=layout, series=series))
        if layout != "auto":
            return LAYOUTS[layout].exam(path, series)
        for name, candidate in LAYOUTS.items():
            if name == "dicom" and path.is_dir():
                _refuse_patients(path, least=2)  # before all of their files are looked at
            if candidate.recognise(path):
                return candidate.exam(path, series)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if path.is_file():
        raise InputError(no_image(path, kind_of(path)))
    _refuse_patients(path, least=1)
    raise InputError(
        f"The folder {path} holds {len(image_files(path))} images, no DICOM and no layout that is known "
        f"({', '.join(LAYOUTS)}): give the file of the short-axis stack, or the folder of one patient."
    )


def _refuse_patients(folder: Path, *, least: int) -> None:
    """Raise `InputError` for a folder of so many patients or more, in a layout that is known, some folders down."""
    below = [folder]
    for _ in range(PATIENTS_DOWN):
        below = _folders(below)
        for name in PATIENTS:
            found = [path for path in below if LAYOUTS[name].recognise(path)]
            if len(found) == 1 >= least:
                raise InputError(f"{folder} is no exam, but holds the folder of one ({name}): give {found[0]}.")
            if len(found) > 1:
                raise InputError(
                    f"{folder} holds {len(found)} patients ({name}), expected the folder of one: give one of them, "
                    f"such as {found[0]}, or go through them in a loop."
                )


def _folders(parents: list[Path]) -> list[Path]:
    """The folders in these, by name."""
    found = [path for parent in parents for path in sorted(parent.iterdir()) if path.is_dir() and path.name[0] != "."]
    return found[:MAX_PATIENTS]


def _is_nifti(path: Path) -> bool:
    """An image file of any format, or a folder with one; beside DICOM it is something made of that."""
    if path.is_file():
        return is_image(path)
    images = image_files(path)
    others = [file for file in sorted(path.iterdir()) if file.is_file() and file not in images and not is_hidden(file)]
    return len(images) == 1 and not any(_is_dicom(file) for file in others[:LOOKED_AT])


def _find_nifti(path: Path) -> Exam:
    files = image_files(path) if path.is_dir() else [path]
    if len(files) != 1:
        raise InputError(f"The folder {path} holds {len(files)} images: give the file of the short-axis stack.")
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
    "bids": Layout(is_bids, find_bids),
    "mnms": Layout(lambda path: cine_of(path) is not None, find_mnms),
    "nnunet": Layout(is_nnunet, find_nnunet),
    "sunnybrook": Layout(is_sunnybrook, find_sunnybrook, _find_sunnybrook),
    "nifti": Layout(_is_nifti, _find_nifti),
    "dicom": Layout(_is_dicom, _find_dicom, _find_dicom),
}
