"""UK Biobank as ukbb_cardiac converts it (Bai et al., JCMR 2018): sa.nii.gz, sa_ED, sa_ES, la_2ch, la_3ch, la_4ch.

All cines begin with the R wave and span a heartbeat each. ED and ES, where they are files of their own, are frames of
sa.nii.gz: which, their voxels tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.source import LONG_AXIS, LONG_AXIS_CINE, SHORT_AXIS_CINE
from dmcvr.io.exam import Exam, LongAxis
from dmcvr.io.image import nifti_files, nifti_named, nifti_stem, read_header, read_image
from dmcvr.io.long_axis import Frames, in_beat, long_axis_files, view_of_name
from dmcvr.io.parts import Beside, Part, exam_of

#: la_2ch.nii.gz, la_4ch_ED.nii.gz; what lies beside them as seg_la_4ch_ED is none.
_VIEW = re.compile(r"la_(?P<view>[234]ch)(?:_(?P<phase>ED|ES))?", re.IGNORECASE)


def is_ukbb_subject(path: Path) -> bool:
    """Whether a folder holds sa.nii.gz, or sa_ED.nii.gz or sa_ES.nii.gz; or a file of these, beside long-axis views."""
    if path.is_file():
        return _named(path) is not None and bool(_long_axis(path.parent))
    return path.is_dir() and any(nifti_named(path, name) for name in ("sa", "sa_ED", "sa_ES"))


def find_ukbb(path: Path) -> Exam:
    """ED and ES where they are files of their own, else the whole cine; or the file that is given.

    Raises `InputError`.
    """
    if not is_ukbb_subject(path):
        raise InputError(f"{path} is no subject of UK Biobank: expected a folder with sa.nii.gz or sa_ED.nii.gz.")
    folder, given = (path, None) if path.is_dir() else (path.parent, _named(path))
    parts = []
    for phase in ("ED", "ES"):
        file = nifti_named(folder, f"sa_{phase}")
        if file is not None and given in (None, f"sa_{phase}"):
            parts.append(Part(f"SA {phase}", file, (phase,), labels=_labels(folder, f"sa_{phase}")))
    cine = nifti_named(folder, "sa")
    beside = []
    if not parts and cine is not None:
        parts.append(Part("SA cine", cine, labels=_labels(folder, "sa")))
    elif cine is not None and given is None:
        why = "ED and ES are files of their own; give this file for all"
        beside.append(Beside("SA cine", SHORT_AXIS_CINE, cine, why))
    views, planes = _views(folder, parts, cine)
    return exam_of("ukbb", parts, beside=beside + views, label_map="ukbb", long_axis=planes)


def _named(path: Path) -> str | None:
    """Which of the subject's stacks a file is by its name."""
    return next((name for name in ("sa", "sa_ED", "sa_ES") if name.lower() == nifti_stem(path).lower()), None)


def _long_axis(folder: Path) -> dict[str, dict[str, Path]]:
    """For each view by its short name the file of its cine (""), and those of ED and ES."""
    found: dict[str, dict[str, Path]] = {}
    for file in nifti_files(folder):
        match = _VIEW.fullmatch(nifti_stem(file))
        if match is not None:
            found.setdefault(match["view"].lower(), {})[(match["phase"] or "").upper()] = file
    return found


def _views(folder: Path, parts: list[Part], cine: Path | None) -> tuple[list[Beside], list[LongAxis]]:
    """The views, as far as they are known to show the phases of these parts."""
    marked = {phase: part.path for part in parts for phase in part.phases or ()}
    count = 0 if marked or cine is None else read_header(cine).phases

    @cache
    def fractions() -> dict[str, float]:
        return _frames_of(marked, cine) if marked else {str(n): n / count for n in range(count)}

    beside, planes = [], []
    for word, files in _long_axis(folder).items():
        name = view_of_name(word)
        for phase, file in files.items():
            rest = count or (len(marked.keys() - files.keys()) if cine else 0)
            used = int(phase in marked) if phase else rest
            why = f"the {name} view" if used else f"recognised as a {name} view; not needed"
            kind = LONG_AXIS if phase else LONG_AXIS_CINE
            beside.append(Beside(f"LA {word} {phase}".strip(), kind, file, why, name, used))
        planes.append(long_axis_files(name, partial(_frames, files, fractions)))
    return beside, planes


def _frames(files: dict[str, Path], fractions: Callable[[], dict[str, float]], phases: Sequence[str]) -> Frames:
    """Of ED and ES their own files, else the frame of the view's cine."""
    own = {phase: (files[phase], 0) for phase in phases if phase in files}
    others = [phase for phase in phases if phase not in own]
    if not others or "" not in files:
        return own
    return own | in_beat(files[""], {phase: share for phase, share in fractions().items() if phase in others})


def _frames_of(marked: dict[str, Path], cine: Path | None) -> dict[str, float]:
    """Where in the heartbeat ED and ES are: the frames of the cine that have their voxels; without one, nowhere."""
    if cine is None:
        return {}
    frames = np.moveaxis(read_image(cine).data, 3, 0)
    found = {}
    for phase, file in marked.items():
        voxels = read_image(file).data[..., 0]
        same = [n for n, frame in enumerate(frames) if np.array_equal(frame, voxels)]
        if same:
            found[phase] = same[0] / len(frames)
    return found


def _labels(folder: Path, stem: str) -> Path | None:
    """Manual labels (label_sa_ED) before those of a network (seg_sa_ED)."""
    return nifti_named(folder, f"label_{stem}") or nifti_named(folder, f"seg_{stem}")
