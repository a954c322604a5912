"""A BIDS dataset's heart: sub-01[/ses-1]/<datatype>/sub-01[_ses-1][_acq-sax]_cine.nii.gz.

BIDS has no finished extension for cardiac MRI (BEP045 is being written), so what people do is understood: the short
axis is said by an entity (acq-sax, view-sa, acq-cineShortAxis ...) or by the suffix, in a folder of any name; without
such a word a lone _cine is taken whose name does not say another view.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dmcvr.errors import InputError
from dmcvr.exam.source import LONG_AXIS_CINE
from dmcvr.exam.stack import Patient
from dmcvr.io.exam import Exam
from dmcvr.io.image import is_named_nifti, nifti_files, nifti_stem, read_header
from dmcvr.io.long_axis import long_axis_cine, view_of_name
from dmcvr.io.parts import Beside, Part, body_size, exam_of

#: What a suffix or an entity's value may say beside the view.
_BESIDE = re.compile(r"cine|b?ssfp|trufi|fiesta|bffe|stack|retro|breathhold|[0-9]+")
_SHORT_AXIS = ("sa", "sax", "shax", "shortax", "shortaxis")
_LONG_AXIS = re.compile(r"^(lax?|longaxis|[234]c|[234]ch|[234]chamber|lvot|rvot|ao.*|.*ch)$")

#: What is left of a view's word: 4ch of acq-lax4chCine.
_CHAMBERS = re.compile(r"^(?:cine|la|lax)*([234])(?:c|ch|chamber)(?:cine)?$")

#: Entities that say the view.
_VIEWS = ("acq", "view", "plane", "orient", "desc", "task", "rec")

#: Suffixes and words of other contrasts and of what is no picture.
_OTHER = re.compile(
    r"^(dseg|mask|probseg|.*map|.*lge.*|.*psir.*|.*flow.*|.*perf.*|.*tag.*|.*t1rho.*|scout|localizer|phase|dwi)$"
)

#: In metres, a height is less than this.
TALLEST_M = 3.0


@dataclass(frozen=True)
class Name:
    """A file's name, parsed: sub-01_acq-sax_cine is {"sub": "01", "acq": "sax"} and "cine"."""

    entities: dict[str, str]
    suffix: str

    @classmethod
    def of(cls, path: Path) -> Name | None:
        """None where it is no name of BIDS."""
        *pairs, suffix = nifti_stem(path).split("_")
        parts = [pair.split("-", 1) for pair in pairs]
        if not is_named_nifti(path) or not parts or parts[0][0] != "sub" or any(len(pair) != 2 for pair in parts):
            return None
        return cls(dict(parts), suffix)

    @property
    def words(self) -> list[str]:
        """What may say the view and the contrast, in small letters."""
        return [self.suffix.lower(), *(self.entities[key].lower() for key in _VIEWS if key in self.entities)]

    @property
    def short_axis(self) -> bool:
        """Whether it says that this is the short axis."""
        return any(_BESIDE.sub("", word) in _SHORT_AXIS for word in self.words)

    @property
    def long_axis(self) -> bool:
        """Whether it says that this is another view."""
        return any(_LONG_AXIS.match(re.sub("cine", "", word)) for word in self.words)

    @property
    def cine(self) -> bool:
        """Whether it says that this is a cine."""
        return any("cine" in word for word in self.words)

    @property
    def other(self) -> bool:
        """Whether it says that this is another contrast, or none."""
        return self.entities.get("part") == "phase" or any(_OTHER.match(word) for word in self.words)


def short_axes(folder: Path) -> list[Path]:
    """The short-axis cines of a subject's or session's folder, by name."""
    found = [(path, name) for path, name in _images(folder) if not name.other and not name.long_axis]
    said = [(path, name) for path, name in found if name.short_axis]
    cines = [path for path, name in said or found if name.cine]
    return cines or [path for path, _ in said]


def sessions(subject: Path) -> list[Path]:
    """The folders of a subject's sessions; the subject's own where it has none."""
    return sorted(path for path in subject.glob("ses-*") if path.is_dir()) or [subject]


def is_bids(path: Path) -> bool:
    """Whether a path is a session's folder (or a subject's without sessions) with a short-axis cine, or the file."""
    if path.is_file():
        name = Name.of(path)
        return name is not None and not name.other and _subject(path) is not None
    at_home = path.name.startswith("ses-") or (path.name.startswith("sub-") and sessions(path) == [path])
    return at_home and _subject(path) is not None and bool(short_axes(path))


def find_bids(path: Path) -> Exam:
    """The cine of one session, with the person's size where participants.tsv says it; raises `InputError`."""
    if not is_bids(path):
        raise InputError(
            f"{path} is no session of BIDS: expected a folder sub-01 or sub-01/ses-1 with a file like anat/"
            "sub-01_acq-sax_cine.nii.gz, or that file."
        )
    files = [path] if path.is_file() else short_axes(path)
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:3])
        raise InputError(f"The folder {path} holds {len(files)} short-axis cines ({names}): give one of these files.")
    part, count = Part("SA cine", files[0]), read_header(files[0]).phases
    fractions = {str(n): n / count for n in range(count)}
    beside, planes = [], []
    for file, name in _images(path.parent if path.is_file() else path):
        if name.long_axis and not name.other:
            view = next(filter(None, (view_of_name(_CHAMBERS.sub(r"\1c", word)) for word in name.words)), "")
            why = f"the {view} view" if view else "recognised as a long-axis view"
            beside.append(Beside("LA cine", LONG_AXIS_CINE, file, why, view, count))
            planes.append(long_axis_cine(view, file, fractions))
    return exam_of("bids", [part], patient=_patient(files[0]), beside=beside, long_axis=planes)


def _images(folder: Path) -> list[tuple[Path, Name]]:
    """The images of a folder and of its folders of datatypes."""
    folders = [folder, *sorted(path for path in folder.iterdir() if path.is_dir() and path.name[:4] not in ("ses-",))]
    named = [(path, Name.of(path)) for inside in folders for path in nifti_files(inside)]
    return [(path, name) for path, name in named if name is not None]


def _subject(path: Path) -> Path | None:
    """The folder of the subject that a path is or lies in, at most three folders up."""
    above = [path.absolute(), *path.absolute().parents[:3]]
    return next((folder for folder in above if re.fullmatch(r"sub-[^_]+", folder.name)), None)


def _patient(path: Path) -> Patient:
    """Sex, height (cm) and weight (kg) from participants.tsv beside the subject's folder, where it is there."""
    subject = _subject(path)
    row = {} if subject is None else _participants(subject.parent / "participants.tsv").get(subject.name, {})
    height = body_size(row.get("height", ""))
    return Patient(
        sex={"m": "M", "male": "M", "f": "F", "female": "F"}.get(row.get("sex", "").lower()),
        height_cm=100 * height if height is not None and height < TALLEST_M else height,
        weight_kg=body_size(row.get("weight", "")),
    )


@lru_cache(maxsize=4)
def _participants(table: Path) -> dict[str, dict[str, str]]:
    """Rows by participant_id, with columns in small letters; none where there is no such table."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    small = [{str(k).lower(): str(v).strip() for k, v in row.items() if v} for row in rows]
    return {row["participant_id"]: row for row in small if "participant_id" in row}
