"""The exams below a folder, one after the other: of a hundred thousand, the first is there at once."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath

from dmcvr.errors import InputError
from dmcvr.io.image import image_files, is_image, nifti_stem
from dmcvr.io.nnunet import is_nnunet
from dmcvr.io.read import LAYOUTS, LOOKED_AT, PATIENTS
from dmcvr.io.sniff import kind_of

#: nnU-Net's folders of cases, and those of labels, which hold no exam.
CASES, CASE_LABELS = ("imagesTr", "imagesTs"), ("labelsTr", "labelsTs")

#: Names of files with labels of an image beside them.
LABELS = re.compile(r"(^|[_-])(gt|seg|mask|labels?)([_-]|$)", re.IGNORECASE)

#: Folders in a folder that are looked into, to tell whether they are one exam's series or exams of their own.
SERIES_LOOKED_AT = 16

#: Folders within folders, at most.
DEPTH = 24

#: What a folder's name may be made of, without being changed.
_PLAIN = re.compile(r"[A-Za-z0-9._=@ -]{1,100}")


@dataclass(frozen=True)
class Found:
    """An exam: its path, where that is below the cohort's input ("site1/patient001"), and the name it gets."""

    path: Path
    source: str
    name: str


@dataclass(frozen=True)
class Wanted:
    """Which exams of those that are found.

    ========  ============================================================================================
    include   patterns of which one must fit the exam's place below the input, or its last name; none: all
    exclude   patterns of which none may; a folder that fits is not looked into
    part      (k, n): the k-th of n parts, from 1, by a hash of the name
    ========  ============================================================================================
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    part: tuple[int, int] = (1, 1)

    def __contains__(self, exam: Found) -> bool:
        k, n = self.part
        wanted = not self.include or _fits(exam.source, self.include)
        return wanted and not _fits(exam.source, self.exclude) and part_of(exam.name, n) == k


def part_of(name: str, parts: int) -> int:
    """Which of so many parts, from 1, an exam is in: the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % parts + 1


def find_exams(root: Path, wanted: Wanted, *, besides: Path | None = None) -> Iterator[Found]:
    """The exams at or below `root`, by name; links are followed. `besides` is not looked into: the output.

    What cannot be looked at is given too, as an exam that will say why. Raises `InputError` where there is no `root`.
    """
    if not root.exists():
        raise InputError(f"There is no file or folder {root}: check the path.")
    skipped = None if besides is None else besides.resolve()
    walk = _below(root, root, wanted.exclude, skipped, frozenset()) if root.is_dir() else iter([root])
    for path in walk:
        exam = found_at(path, root)
        if exam in wanted:
            yield exam


def listed_exams(listing: Path, root: Path, wanted: Wanted) -> Iterator[Found]:
    """The exams of a list, a path a line, relative to `root` unless absolute; "-" is the standard input.

    Raises `InputError` where the list cannot be read.
    """
    try:
        source = nullcontext(sys.stdin) if str(listing) == "-" else listing.open(encoding="utf-8")
        with source as lines:
            for line in lines:
                text = line.rstrip("\r\n")
                if text.strip() and (exam := found_at(root / text, root)) in wanted:
                    yield exam
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {listing} cannot be read ({type(error).__name__}): give a text file.") from error


def found_at(path: Path, root: Path) -> Found:
    """The exam at a path, and its name: the folders' below `root`, joined by "+"; alone it is the folder's.

    A name depends on the path alone, so that it is the same in every run. Where characters had to be left out, or a "+"
    could be mistaken, a hash of the path follows it; and likewise where the exam is not below `root`.
    """
    path = Path(os.path.normpath(path))
    root = Path(os.path.normpath(root))
    inside = path.is_relative_to(root)
    source = path.relative_to(root).as_posix() if inside else path.absolute().as_posix()
    if source == ".":  # the input is one exam
        source = path.absolute().name
    parts = list(PurePosixPath(source).parts) if inside else [path.name]
    if parts[-1].lower().endswith(".nii.gz") and not path.with_name(nifti_stem(path)).exists():
        parts[-1] = nifti_stem(path)
    clean = "+".join(re.sub(r"[^A-Za-z0-9._=@ -]", "_", part) for part in parts)[:180]
    if not inside or clean.startswith(".") or not all(_PLAIN.fullmatch(part) for part in parts):
        clean = f"{clean.lstrip('.')}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:8]}"
    return Found(path, os.fsencode(source).decode("utf-8", "replace"), clean)


def _below(
    folder: Path, root: Path, exclude: Sequence[str], skipped: Path | None, above: frozenset[tuple[int, int]]
) -> Iterator[Path]:
    """The paths of exams at or below a folder; `above` are the folders on the way, so that no link leads round."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in above or len(above) > DEPTH or folder.resolve() == skipped:
            return
        if _is_result(folder):
            return
        if _is_exam(folder):
            yield folder
            return
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, InputError):
        yield folder
        return
    names = [entry.name for entry in entries if not entry.name.startswith(".")]
    folders = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    for name in names:
        path = folder / name
        if _fits(path.relative_to(root).as_posix(), exclude) or (folder.name in CASES and "_0000." not in name):
            continue
        if name in folders:
            if name not in CASE_LABELS:
                yield from _below(path, root, exclude, skipped, above | {(status.st_dev, status.st_ino)})
        elif _is_exam_file(path):
            yield path


def _is_exam(folder: Path) -> bool:
    """Whether a folder is one exam, whatever else it holds."""
    if any(LAYOUTS[name].recognise(folder) for name in PATIENTS):
        return True
    if is_nnunet(folder):
        return False
    files = [Path(entry.path) for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_file()]
    folders = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_dir())
    images = [file for file in image_files(folder) if not _is_labels(file)] if len(files) < LOOKED_AT else []
    if len(images) == 1 and len(image_files(folder)) == 1 and not folders:
        return True
    return _holds_dicom(files) or _is_study(folders)


def _holds_dicom(files: Sequence[Path]) -> bool:
    from dmcvr.io.dicom.headers import is_dicom, is_dicomdir

    return any(is_dicom(file) and not is_dicomdir(file) for file in sorted(files)[:LOOKED_AT])


def _is_study(folders: Sequence[Path]) -> bool:
    """Whether folders are the series of one exam: most of those with DICOM are of one study."""
    if len(folders) < 2:
        return False
    studies = [study for study in map(_study_below, folders[:SERIES_LOOKED_AT]) if study is not None]
    return len(studies) > 1 and len(set(studies)) <= (len(studies) + 1) // 2


def _study_below(folder: Path) -> str | None:
    """The study that the first DICOM below a folder is of; None where there is none."""
    from pydicom import dcmread

    from dmcvr.io.dicom.headers import files_under, is_dicom, lenient

    for file in islice(files_under(folder), LOOKED_AT):
        if is_dicom(file):
            try:
                with lenient():
                    found = dcmread(file, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
                return str(found.get("StudyInstanceUID", "")) or None
            except Exception:  # pydicom raises many kinds for a damaged file
                return None
    return None


def _is_exam_file(path: Path) -> bool:
    """Whether a file among others is an exam of its own: an image that is nobody's labels, or a zip."""
    if path.suffix.lower() == ".zip":
        return kind_of(path) == "zip"
    return path.is_file() and is_image(path) and not _is_labels(path)


def _is_labels(path: Path) -> bool:
    return LABELS.search(nifti_stem(path)) is not None


def _is_result(folder: Path) -> bool:
    """Whether a folder is what `dmcvr reconstruct` wrote."""
    return (folder / "run.json").is_file() and (folder / "measures.json").is_file()


def _fits(source: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in (source, PurePosixPath(source).name))
