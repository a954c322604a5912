"""Which exams a protocol measures: none that was trained on, none twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.evaluate.case import Case
from dmcvr.evaluate.settings import EXAMS, Settings
from dmcvr.io.acdc import list_patients, read_acdc
from dmcvr.io.mnms2 import read_mnms2
from dmcvr.io.read import read_exam
from dmcvr.io.sunnybrook_slices import is_sunnybrook_slices, list_sunnybrook_slices, read_sunnybrook_slices
from dmcvr.phantom import Scan, make_phantom
from dmcvr.train.split import BUNDLED_SPLIT, Split
from dmcvr.train.twins import find_twins

#: A case is read when its turn comes.
Load = Callable[[], Case]


@dataclass(frozen=True)
class Cases:
    """The exams of an evaluation by name, and why others of those asked for are left out."""

    load: dict[str, Load] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def find_cases(settings: Settings) -> Cases:
    """The cases that the settings ask for; raises `InputError` where there is none, or one that was trained on."""
    seeds = range(EXAMS if settings.exams is None else settings.exams)
    phantoms: dict[str, Load] = {f"phantom{seed:03d}": partial(_phantom, seed) for seed in seeds}
    if settings.source == "phantoms":
        return Cases(phantoms)
    assert settings.data is not None
    split = Split.read(settings.split or BUNDLED_SPLIT)
    if settings.source == "patients":
        patients = _patients(settings, settings.data, split)
        return replace(patients, load=patients.load | phantoms) if settings.protocol == "paper" else patients
    found = _cines(settings.data) if settings.source == "cines" else _with_views(settings.data)
    load: dict[str, Load] = {}
    for name, path, read in found:
        _refuse_trained(path, split)
        if name in load:
            raise InputError(f"Two exams under {settings.data} are named {name}: rename or move one of them.")
        load[name] = read
    return Cases(load)


def content_of(case: Case) -> str:
    """SHA-256 of all that is measured of a case: pictures, labels, geometry, phases."""
    stack = case.stack
    arrays: list[NDArray[Any] | None] = [stack.images, stack.affines, stack.labels, case.second]
    arrays += [part for view in case.views for part in (view.image, view.affine, view.labels)]
    digest = hashlib.sha256(repr((stack.phases, stack.thickness_mm, stack.patient.group)).encode())
    digest.update(repr([(view.name, view.phase) for view in case.views]).encode())
    for array in arrays:
        digest.update(repr(None if array is None else (array.shape, array.dtype.str)).encode())
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _patients(settings: Settings, data: Path, split: Split) -> Cases:
    if is_sunnybrook_slices(data):
        return _pictured(settings, data, split)
    found = {folder.name: folder for folder in list_patients(data)}
    asked = settings.patients or "development"
    names: Iterable[str] = getattr(split, asked) if asked in ("development", "validation") else found
    chosen = [name for name in found if name in names and (asked == "everyone" or name not in split.train)]
    trained = [] if asked == "everyone" else [name for name in found if name in split.train]
    pairs: list[tuple[str, str]] = []
    chosen, left_out = _without_twins({name: found[name] for name in chosen}, {name: found[name] for name in trained})
    if settings.limit is not None and settings.limit < len(chosen):
        chosen = [chosen[n * len(chosen) // settings.limit] for n in range(settings.limit)]
    if settings.protocol == "segmentation":
        pairs = sorted(_twins(list(found.values())).items())
    if not chosen:
        why = "; ".join(f"{name} is {reason}" for name, reason in left_out.items()) or (
            "give a split with --split, or take all that were not trained on (--patients unseen)"
        )
        raise InputError(f"None of the split's {asked} patients under {data} can be measured: {why}.")
    load: dict[str, Load] = {name: partial(_labelled, found[name]) for name in chosen}
    load |= {f"{a} = {b}": partial(_twice_labelled, found[a], found[b]) for b, a in pairs}
    return Cases(load, left_out)


def _pictured(settings: Settings, data: Path, split: Split) -> Cases:
    """Partly labelled slices of each phase: for the protocol that asks for no more."""
    if settings.protocol not in ("segmentation", "trust"):
        raise InputError(f"{data} has labels of the LV's cavity alone: only segmentation and trust can use it.")
    asked = settings.patients or "development"
    names = getattr(split, asked) if asked in ("development", "validation") else None
    load: dict[str, Load] = {}
    for folder in list_sunnybrook_slices(data):
        if folder.name in split.train or (names is not None and folder.name not in names):
            continue
        for stack in read_sunnybrook_slices(folder):
            case = Case(folder.name, stack, judged=(1,))
            load[f"{folder.name} {stack.phases[0]}"] = partial(_same, case)
    if not load:
        raise InputError(
            f"None of the split's {asked} patients is under {data}: take all that were not trained on "
            "(--patients unseen)."
        )
    return Cases(load)


def _same(case: Case) -> Case:
    return case


def _without_twins(chosen: dict[str, Path], trained: dict[str, Path]) -> tuple[list[str], dict[str, str]]:
    """The chosen patients, each scan once and none that was trained on; and why others are left out."""
    twins = _twins([*trained.values(), *chosen.values()])
    left_out = {
        name: f"the same scan as {twins[name]}" + (", which was trained on" if twins[name] in trained else "")
        for name in chosen
        if name in twins
    }
    return [name for name in chosen if name not in left_out], left_out


def _twins(folders: Iterable[Path]) -> dict[str, str]:
    """Patients who are one scan with an earlier one, by that one's name."""
    found = list(folders)
    groups = find_twins({folder.name: partial(_pictures, folder) for folder in found})
    rank = {folder.name: n for n, folder in enumerate(found)}
    ordered = [sorted(group, key=rank.__getitem__) for group in groups]
    return {name: first for first, *others in ordered for name in others}


def _refuse_trained(path: Path, split: Split) -> None:
    """Raise `InputError` for a file or folder that is named after a patient who was trained on."""
    whole = "/".join(path.resolve().parts)
    for name in split.train:
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![0-9])", whole):
            raise InputError(f"{path} is of {name}, who was trained on: measure an exam that the networks never saw.")


def _cines(data: Path) -> Iterator[tuple[str, Path, Load]]:
    """The 4D exams at `data`: the files named so, or else the one exam that it is."""
    files = sorted(data.rglob("*4d.nii*")) if data.is_dir() else []
    for file in files or [data]:
        inside = file.relative_to(data) if files else Path(file.name)
        name = inside.as_posix().split(".nii")[0]
        yield name, file, partial(_cine, name, file)


def _with_views(data: Path) -> Iterator[tuple[str, Path, Load]]:
    """The M&Ms-2 patients under `data`, or the one that it is."""
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir()) if data.is_dir() else []
    for folder in folders or [data]:
        yield folder.name, folder, partial(_viewed, folder)


def _phantom(seed: int) -> Case:
    exam = make_phantom(seed, Scan(long_axis=True))
    return Case(f"phantom{seed:03d}", exam.stack, exam, exam.views)


def _pictures(folder: Path) -> list[NDArray[np.float32]]:
    return [read_acdc(folder).images]


def _labelled(folder: Path) -> Case:
    return Case(folder.name, read_acdc(folder, with_labels=True))


def _twice_labelled(one: Path, other: Path) -> Case:
    case = _labelled(one)
    return replace(case, name=f"{one.name} = {other.name}", second=_labelled(other).manual)


def _cine(name: str, file: Path) -> Case:
    return Case(name, read_exam(file))


def _viewed(folder: Path) -> Case:
    stack, views = read_mnms2(folder)
    return Case(folder.name, stack, views=views)
