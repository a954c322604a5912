"""nnU-Net's raw layout (Isensee et al., Nature Methods 2021): imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dmcvr.errors import InputError
from dmcvr.exam.structures import structure_of
from dmcvr.io.exam import Exam
from dmcvr.io.parts import Part, exam_of, nifti_files, nifti_named

_NAME = re.compile(r"^(?P<case>.+)_0000\.nii(\.gz)?$")
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
    channels = [p for p in nifti_files(image.parent) if re.fullmatch(re.escape(case) + r"_\d{4}\.nii(\.gz)?", p.name)]
    beside = [("another channel", "other", p, "only channel 0 is read") for p in channels if p != image]
    numbers = _label_map(root / "dataset.json")
    notes: tuple[str, ...] = ()
    if labels is not None and numbers is None:
        notes = ("dataset.json does not name LV, MYO and RV: give labels with --labels-in and --label-map.",)
    return exam_of("nnunet", [Part("channel 0", image, labels=labels)], beside=beside, notes=notes, label_map=numbers)


def _cases(path: Path) -> list[Path]:
    """The images of a dataset's folder, or of its imagesTr or imagesTs."""
    folders = [path] if path.name in _FOLDERS else [path / name for name in _FOLDERS]
    return [file for folder in folders if folder.is_dir() for file in nifti_files(folder) if _NAME.match(file.name)]


def _label_map(dataset: Path) -> dict[int, int] | None:
    """The file's values to ours, by the names in dataset.json (of nnU-Net v2 or v1); None where they do not tell."""
    try:
        names = json.loads(dataset.read_text(encoding="utf-8"))["labels"]
        pairs = [(name, value) if not str(name).isdecimal() else (value, name) for name, value in names.items()]
        found = {int(value): structure_of(str(name)) for name, value in pairs}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    known = {value: structure for value, structure in found.items() if structure is not None}
    hearts = sorted(structure for structure in known.values() if structure)
    return known if len(known) == len(found) and known.get(0) == 0 and hearts == [1, 2, 3] else None
