"""Workspaces of Circle's cvi42, exported as XML (.cvi42wsx): contours by the pictures' SOP Instance UIDs.

`ImageStates` holds an item for each picture, whose `Contours` hold one for each contour: `Points`, in pixels times
`SubpixelResolution`. The structure is that of the public parsers (github.com/baiwenjia/ukbb_cardiac,
data/parse_cvi42_xml.py; github.com/UOA-Heart-Mechanics-Research/biv-me, preprocessing/cvi42).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.io.outlines import ENDOCARDIUM, EPICARDIUM, MAX_CONTOURS, MAX_POINTS, RV_ENDOCARDIUM, Drawn, Outline
from dmcvr.io.sniff import content

#: A workspace of a whole exam takes some ten megabytes.
MAX_WORKSPACE_BYTES = 2**27

#: What cvi42 calls the short axis' contours; a number may follow, and the open ones, of the base, are closed straight.
_NAMES = {
    "saendocardial": ENDOCARDIUM,
    "saepicardial": EPICARDIUM,
    "sarvendocardial": RV_ENDOCARDIUM,
}
_NAME = re.compile(r"^(sa(?:rv)?(?:endo|epi)cardial)(?:Open)?Contour\d*$", re.IGNORECASE)


def read_workspace(path: Path) -> Drawn:
    """The short-axis contours of a workspace, by UID; raises `InputError`."""
    data = content(path, limit=MAX_WORKSPACE_BYTES + 1)
    if len(data) > MAX_WORKSPACE_BYTES:
        raise InputError(
            f"{path.name} is larger than any workspace ({MAX_WORKSPACE_BYTES >> 20} MiB): export one exam."
        )
    if re.search(rb"<!(DOCTYPE|ENTITY)", data) or b"\0" in data:
        raise InputError(f"{path.name} defines entities, which no workspace does: export it again from cvi42.")
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path.name} cannot be read as a cvi42 workspace: it is damaged; export it again.") from error
    outlines: dict[str, list[Outline]] = defaultdict(list)
    ignored: Counter[str] = Counter()
    for count, (uid, name, contour) in enumerate(_contours(root)):
        if count >= MAX_CONTOURS:
            raise InputError(f"{path.name} holds more than {MAX_CONTOURS} contours: export one exam.")
        match = _NAME.match(name)
        structure = _NAMES.get(match[1].lower()) if match else None
        if structure is None:
            ignored["papillary muscles" if "papil" in name.lower() else "other structures"] += 1
            continue
        points = _points(contour, path.name)
        if len(points) >= 3:
            outlines[uid].append(Outline(structure, points))
    if not outlines:
        raise InputError(
            f"{path.name} holds no short-axis contour (saendocardialContour and the like): draw them in cvi42 and "
            "export the workspace again."
        )
    return Drawn(dict(outlines), True, dict(ignored))


def _contours(root: ET.Element) -> Iterator[tuple[str, str, ET.Element]]:
    """UID, name and element of every contour."""
    for states in root.iter():
        if _key(states) == "ImageStates":
            for picture in states:
                for part in picture:
                    if _key(part) == "Contours":
                        for contour in part:
                            yield _key(picture), _key(contour), contour


def _points(contour: ET.Element, name: str) -> np.ndarray:
    """(N, 2) columns and rows in pixels."""
    resolution, points = 1.0, []
    try:
        for part in contour:
            if _key(part) == "SubpixelResolution":
                resolution = float(part.text or "")
            elif _key(part) == "Points":
                if len(part) > MAX_POINTS:
                    raise ValueError("too many points")
                for point in part:
                    values = {child.tag.rpartition("}")[2].rpartition(":")[2]: child.text or "" for child in point}
                    points.append((float(values["x"]), float(values["y"])))
    except (ValueError, KeyError) as error:
        raise InputError(f"A contour in {name} is damaged: export the workspace again from cvi42.") from error
    found = np.array(points, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(resolution) or not 0 < resolution < 1e4 or not (np.abs(found) < 1e9).all():
        raise InputError(f"A contour in {name} is damaged: export the workspace again from cvi42.")
    found /= resolution
    if not (np.abs(found) < 1e5).all():
        raise InputError(f"A contour in {name} lies far outside any picture: export the workspace again from cvi42.")
    return found


def _key(element: ET.Element) -> str:
    """The name that cvi42 gives an element: its attribute `Hash:key`."""
    for name, value in element.attrib.items():
        if name.rpartition("}")[2] == "key":
            return value
    return ""
