"""Reading the report's pictures back."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from dmcvr.report.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"


def opened(drawn: Figure) -> ElementTree.Element:
    """The SVG of a figure."""
    return ElementTree.fromstring(f'<svg xmlns="{SVG.strip("{}")}">{drawn.drawn}</svg>')


def grey_of(drawn: Figure) -> np.ndarray:
    """(H, W) of the grey picture inside."""
    image = opened(drawn).find(f"{SVG}image")
    assert image is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image.attrib["href"].split(",")[1]))))


def paths(root: ElementTree.Element) -> list[str]:
    """The data of its paths."""
    return [path.attrib["d"] for path in root.findall(f"{SVG}path")]


def corners(path: str) -> np.ndarray:
    """(N, 2) of a path."""
    return np.array([[float(v) for v in pair] for pair in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)])
