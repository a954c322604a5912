"""How files number the heart's structures, and what people call them. No numpy: the command line checks words by it.

Inside the package 0 is background, 1 the LV cavity, 2 the LV myocardium, 3 the RV cavity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dmcvr.errors import InputError

#: A file's value to ours.
Numbering = Mapping[int, int]

#: For each named convention.
LABEL_MAPS: dict[str, Numbering] = {
    "dmcvr": {0: 0, 1: 1, 2: 2, 3: 3},
    "acdc": {0: 0, 1: 3, 2: 2, 3: 1},
    "mnms": {0: 0, 1: 1, 2: 2, 3: 3},
    "ukbb": {0: 0, 1: 1, 2: 2, 3: 3, 4: 3},
}

#: Each of ours as `--label-map` writes it.
SHORT = {0: "ignore", 1: "lv", 2: "myo", 3: "rv"}

#: SNOMED CT's code and meaning of each, as DICOM (PS3.16, CID 7152 and 12305) and 3D Slicer name them.
SNOMED = {
    1: ("87878005", "Left ventricle"),
    2: ("49848007", "Left Ventricle Myocardium"),
    3: ("53085002", "Right ventricle"),
}

#: What people, datasets and segments call them: letters alone, in lower case.
_NAMES = {
    "background": 0, "bg": 0, "back": 0, "none": 0, "ignore": 0, "void": 0,
    "lv": 1, "lvc": 1, "lvcavity": 1, "lvbp": 1, "lvbloodpool": 1, "leftventricle": 1, "leftventriclecavity": 1,
    "leftventricularcavity": 1, "leftventricularbloodpool": 1, "lvendo": 1, "lvendocardium": 1,
    "heartventricleleft": 1, "leftventricleofheart": 1,
    "myo": 2, "mlv": 2, "lvm": 2, "lvmyo": 2, "lvmyocardium": 2, "myocardium": 2, "leftventriclemyocardium": 2,
    "leftventricularmyocardium": 2, "lvwall": 2, "leftventricularwall": 2, "heartmyocardium": 2,
    "myocardiumofleftventricle": 2,
    "rv": 3, "rvc": 3, "rvcavity": 3, "rvbp": 3, "rvbloodpool": 3, "rightventricle": 3, "rightventriclecavity": 3,
    "rightventricularcavity": 3, "rightventricularbloodpool": 3, "rvendo": 3, "rvendocardium": 3,
    "heartventricleright": 3, "rightventricleofheart": 3,
}  # fmt: skip


def structure_of(name: str) -> int | None:
    """Our number of a structure by any of its names; 0 for background; None for a name that is not known."""
    return _NAMES.get(re.sub(r"[^a-z]", "", name.lower()))


def check_label_map(text: str) -> None:
    """Raise `InputError` for a `--label-map` that neither numbers structures nor names segments."""
    if not naming_of(text):
        numbering_of(text)


def naming_of(text: str) -> Mapping[str, int]:
    """`--label-map` for segments, `Segment_1=rv,Fat=ignore`: a segment's name (in lower case) or value to ours.

    Empty where a pair is none of those: then it is a named convention, or a numbering the other way round.
    """
    found: dict[str, int] = {}
    for pair in text.split(","):
        name, _, structure = pair.rpartition("=")
        ours = structure_of(structure)
        if not name.strip() or ours is None:
            return {}
        found[name.strip().lower()] = ours
    return found


def numbering_of(text: str) -> Numbering:
    """What `--label-map` says: a named convention, or `1=rv,2=myo,3=lv`, either side first, `4=ignore` for background.

    Raises `InputError`, with what is expected, for anything else.
    """
    if text in LABEL_MAPS:
        return LABEL_MAPS[text]
    if "=" not in text:
        raise InputError(
            f"Unknown label map {text!r}: choose one of {', '.join(LABEL_MAPS)}, or number the structures as in "
            "--label-map 1=rv,2=myo,3=lv,4=ignore."
        )
    found: dict[int, int] = {}
    for pair in text.split(","):
        value, structure = _pair(pair)
        if found.setdefault(value, structure) != structure:
            raise InputError(f"The value {value} has two meanings in --label-map {text}: give it once.")
    if not {1, 2, 3} & set(found.values()):
        raise InputError(f"--label-map {text} names no structure of the heart: name lv, myo or rv.")
    return {0: 0} | found


def written(numbering: Numbering) -> str:
    """A numbering as `--label-map` takes it, without the background."""
    return ",".join(f"{value}={SHORT[ours]}" for value, ours in sorted(numbering.items()) if value or ours)


def named(numbering: Numbering, values: Iterable[int]) -> str:
    """The first named convention that gives these values the same meaning; else the numbering as it is written."""
    wanted = {value: numbering[value] for value in values if value}
    for name, known in LABEL_MAPS.items():
        if all(known.get(value) == ours for value, ours in wanted.items()):
            return name
    return written(wanted)


def _pair(text: str) -> tuple[int, int]:
    """`1=rv` or `rv=1` as (1, 3)."""
    sides = [side.strip() for side in text.split("=")]
    if len(sides) == 2:
        value, name = sides if re.fullmatch(r"[+-]?\d{1,9}", sides[0]) else sides[::-1]
        structure = structure_of(name)
        if re.fullmatch(r"[+-]?\d{1,9}", value) and structure is not None:
            return int(value), structure
    raise InputError(
        f"Expected --label-map pairs of a number and one of lv, myo, rv, background or ignore, as in "
        f"1=rv,2=myo,3=lv; got {text.strip()!r}."
    )
