"""A written result as DICOM: a derived image series, SEG and a report that refer to the source or to that series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset

from dmcvr.errors import InputError
from dmcvr.exam.volume import MIRRORED
from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.image import NOTICE, write_image
from dmcvr.io.dicom.planes import identity_of, read_heart, read_source, referenced
from dmcvr.io.dicom.report import write_report
from dmcvr.io.dicom.seg import require_highdicom, write_seg
from dmcvr.io.folder import check_output_folder, whole_folder

#: What is written: the image, the labels, the measures, or all of them in one study.
DicomKind = Literal["dicom", "dicom-seg", "dicom-sr", "dicom-all"]

#: Stands in a folder of ours, so that a later run may replace it.
MARKER = "export.json"


@lenient()
def export(
    result: Path,
    output: Path,
    *,
    to: DicomKind,
    source: Path | None = None,
    phase: str = "all",
    keep_identity: bool = False,
    series: str | None = None,
) -> Path:
    """Write a result folder as DICOM into `output`, which appears whole or not at all.

    =============  ==========================================================================================
    to             "dicom": the image, one MR file a picture; "dicom-seg": the labels, one SEG a phase; "dicom-sr": the
                   measures, an Enhanced SR; "dicom-all": these three
    source         the DICOM that the exam was read from: it is referred to, and shares its frame of reference;
                   without it SEG and SR refer to the image series, which is written beside them
    phase          a phase's name, or "all"
    keep_identity  patient and study are the source's; otherwise placeholders in a new study
    series         of the source, where the result was made of another stack than the first choice (--series)
    =============  ==========================================================================================

    Raises `InputError` where the result is not whole, the source is another exam, or highdicom is missing.
    """
    check_output_folder(output, marker=MARKER)
    if to != "dicom":
        require_highdicom()
    heart = read_heart(result)
    selection = None if source is None else read_source(source, heart, series=series)
    identity = identity_of(selection, keep=keep_identity)
    phases = [index for index, name in enumerate(heart.phases) if phase in ("all", name)]
    if not phases:
        raise InputError(f"Phase {phase!r} is not in this result: choose one of {', '.join(heart.phases)} or all.")
    sources: list[list[Dataset]] = [[] for _ in phases] if selection is None else []
    if selection is not None:
        count = len(selection.slices[0])
        for index in phases:
            name = heart.phases[index]
            if not name.isdecimal() or int(name) >= count:
                raise InputError(f"Phase {name!r} of the result is not one of the {count} phases of the source.")
            sources.append(referenced([slice_[int(name)] for slice_ in selection.slices], identity))
    about = MIRRORED if heart.mirrored else ""
    with whole_folder(output, marker=MARKER) as partial:
        if to in ("dicom", "dicom-all") or selection is None:
            pictures = write_image(
                partial,
                heart.image,
                phases,
                identity,
                times_ms=heart.times_ms,
                sources=sources,
                heart=heart.labels.pictures,
                about=about,
            )
            sources = pictures if selection is None else sources
        measured = [source for of_phase in sources for source in of_phase]
        if to in ("dicom-seg", "dicom-all"):
            measured = write_seg(partial, heart.labels, phases, sources=sources, about=about)
        if to in ("dicom-sr", "dicom-all"):
            write_report(partial, heart.measures, measured, given=heart.given, about=about)
        record = {
            "to": to,
            "phases": [heart.phases[index] for index in phases],
            "identity_kept": identity.kept,
            "mirrored": heart.mirrored,
            "notice": NOTICE,
        }
        (partial / MARKER).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return output
