"""M&Ms' layout (Campello et al., IEEE TMI 2021): one 4D file a patient, ED and ES named in a CSV table above it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from dmcvr.errors import InputError
from dmcvr.exam.stack import Patient
from dmcvr.io.exam import Exam
from dmcvr.io.image import nifti_files
from dmcvr.io.parts import Part, body_size, exam_of, manual_labels

_NAME = re.compile(r"^(?P<code>.+)_sa\.nii(\.gz)?$", re.IGNORECASE)

#: The table lies at most this many folders above the patient (Training/Labeled/A0S9V9).
LEVELS_UP = 4

MAX_TABLE_BYTES = 10_000_000


def cine_of(path: Path) -> Path | None:
    """The 4D file of a patient's folder (or the file itself); None where this is not M&Ms."""
    if path.is_dir():
        found = [p for p in nifti_files(path) if _NAME.match(p.name)]
        return found[0] if len(found) == 1 else None
    return path if _NAME.match(path.name) and path.is_file() and find_row(path) is not None else None


def find_mnms(path: Path) -> Exam:
    """The ED and ES phases of one patient, or all phases where no table names them; raises `InputError`."""
    cine = cine_of(path)
    if cine is None:
        raise InputError(f"{path} is no patient of M&Ms: expected a folder with one file like A0S9V9_sa.nii.gz.")
    labels = manual_labels(cine)
    row = find_row(cine)
    if row is None:
        note = "No table names this patient's ED and ES: all phases were taken, numbered."
        return exam_of("mnms", [Part("SA cine", cine, labels=labels)], notes=(note,), label_map="mnms")
    frames = tuple(_index(row, phase) for phase in ("ED", "ES"))
    part = Part("SA cine", cine, ("ED", "ES"), frames, labels)
    return exam_of("mnms", [part], patient=_patient(row), label_map="mnms")


def find_row(cine: Path) -> dict[str, str] | None:
    """This patient's row, by lower-case column, from the first table above that names the patient; or None."""
    match = _NAME.match(cine.name)
    for folder in list(cine.absolute().parents)[:LEVELS_UP] if match else ():
        for table in sorted(folder.glob("*.csv")):
            for row in _rows(table):
                if match and match["code"] in (row.get("external code"), row.get("code"), row.get("external_code")):
                    return row
    return None


def _rows(table: Path) -> list[dict[str, str]]:
    """The table's rows with lower-case column names; raises `InputError` for a file that is no table."""
    try:
        if table.stat().st_size > MAX_TABLE_BYTES:
            return []
        text = table.read_text(encoding="utf-8-sig", errors="replace")
        delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
        rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    except (OSError, csv.Error) as error:
        raise InputError(f"The table {table.name} cannot be read ({error}): export it again as CSV.") from error
    return [{str(key).strip().lower(): str(value).strip() for key, value in row.items()} for row in rows]


def _index(row: dict[str, str], phase: str) -> int:
    value = row.get(phase.lower(), "")
    if not re.fullmatch(r"[0-9]{1,4}(\.0)?", value):
        raise InputError(f"The table gives {value[:20]!r} as the {phase} frame; expected a number from 0.")
    return int(float(value))


def _patient(row: dict[str, str]) -> Patient:
    sex = row.get("sex", "")[:1].upper()
    return Patient(
        height_cm=body_size(row.get("height", "")),
        weight_kg=body_size(row.get("weight", "")),
        sex=sex if sex in ("F", "M") else None,
        group=row.get("pathology") or None,
    )
