"""nnU-Net's raw layout (Isensee et al., Nature Methods 2021): imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.structures import structure_of
from dmcvr.io.exam import Exam
from dmcvr.io.image import nifti_files, nifti_named, nifti_stem
from dmcvr.io.parts import Beside, Part, exam_of

_NAME = re.compile(r"^(?P<case>.+)_0000\.nii(\.gz)?$", re.IGNORECASE)
_FOLDERS = {"imagesTr": "labelsTr", "imagesTs": "labelsTs"}


def case_of(path: Path) -> Path | None:
    """The image of one case: the file itself, or the only one of a dataset; None where this is not nnU-Net's."""
    if path.is_file():
        return path if path.parent.name in _FOLDERS and _NAME.match(path.name) else None
    cases = _cases(path)
    return cases[0] if len(cases) == 1 else None


def is_nnunet(path: Path) -> bool:
    """Whether `path` is a dataset's folder with images, or the file of one case."""
    return case_of(path) is not None or len(_cases(path)) > 0


def find_nnunet(path: Path) -> Exam:
    """One case: channel 0, all its phases; raises `InputError` where there is none, or a choice to make."""
    image = case_of(path)
    if image is None:
        raise InputError(
            f"{path} holds {len(_cases(path))} cases of nnU-Net: give the file of one, "
            "such as imagesTr/CASE_0000.nii.gz."
        )
    match = _NAME.match(image.name)
    case = match["case"] if match else ""
    root = image.parent.parent
    folder = root / _FOLDERS.get(image.parent.name, "labelsTr")
    labels = nifti_named(folder, case)
    channels = [p for p in nifti_files(image.parent) if re.fullmatch(re.escape(case) + r"_\d{4}", nifti_stem(p))]
    beside = [Beside("another channel", "other", p, "only channel 0 is read") for p in channels if p != image]
    numbers = _label_map(root / "dataset.json")
    notes: tuple[str, ...] = ()
    if labels is not None and numbers is None:
        notes = ("dataset.json does not name LV, MYO and RV: give labels with --labels-in and --label-map.",)
    return exam_of("nnunet", [Part("channel 0", image, labels=labels)], beside=beside, notes=notes, label_map=numbers)


def _cases(path: Path) -> list[Path]:
    """The images of a dataset's folder, or of its imagesTr or imagesTs."""
    folders = [path] if path.name in _FOLDERS else [path / name for name in _FOLDERS]
    return [file for folder in folders if folder.is_dir() for file in nifti_files(folder) if _NAME.match(file.name)]


def list_labelled(root: Path) -> list[tuple[str, Path, Path]]:
    """The training cases of a dataset's folder that have labels: name, image (channel 0) and labels."""
    found = [(match["case"], file) for file in _cases(root) if (match := _NAME.match(file.name))]
    pairs = [(case, image, nifti_named(root / "labelsTr", case)) for case, image in found]
    return [(case, image, labels) for case, image, labels in pairs if labels is not None]


def read_labelled(image: Path, labels: Path, numbers: dict[int, int]) -> SliceStack:
    """One case with its labels, whose values `numbers` gives ours; raises `InputError`."""
    exam = exam_of("nnunet", [Part("channel 0", image, labels=labels)], label_map=numbers)
    return exam.read(labels=True)


def known_labels(root: Path) -> dict[int, int]:
    """The file's values to ours, by the names in dataset.json: structures that have none of ours' names are 0.

    Raises `InputError` where it names none of LV cavity, myocardium and RV cavity, or one of them twice.
    """
    numbers = {value: structure or 0 for value, structure in (_numbers(root / "dataset.json") or {}).items()}
    ours = sorted(structure for structure in numbers.values() if structure)
    if numbers.get(0) != 0 or not ours or len(set(ours)) < len(ours):
        raise InputError(
            f"{root / 'dataset.json'} does not tell which labels are LV, MYO and RV: name those there are so, each "
            "once, and the background 0."
        )
    return numbers


def _label_map(dataset: Path) -> dict[int, int] | None:
    """The file's values to ours, where dataset.json names all three structures and no other; else None."""
    found = _numbers(dataset) or {}
    known = {value: structure for value, structure in found.items() if structure is not None}
    hearts = sorted(structure for structure in known.values() if structure)
    return known if len(known) == len(found) and known.get(0) == 0 and hearts == [1, 2, 3] else None


def _numbers(dataset: Path) -> dict[int, int | None] | None:
    """The file's values to ours, None for a name we do not know, by dataset.json (of nnU-Net v2 or v1).

    None where that cannot be read.
    """
    try:
        names = json.loads(dataset.read_text(encoding="utf-8"))["labels"]
        pairs = [(name, value) if not str(name).isdecimal() else (value, name) for name, value in names.items()]
        return {int(value): structure_of(str(name)) for name, value in pairs}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
