"""Pictures with outlines, as SVG inside the page: grey values as PNG or JPEG, and lines that are sharp in print."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.measure import find_contours

from dmcvr.labels.colours import COLOURS, css

#: Smooth pictures are enlarged so often: a browser's own way from there on is smooth enough.
ENLARGED = 2

#: Label maps are softened by this (SD in pixels) before their outline is taken.
SOFT_PX = 0.6

#: Outlines of fewer points are specks.
LEAST_POINTS = 6

#: Width of an outline on a picture of a hundred pixels; wider pictures have wider ones.
LINE_PX = 0.55


@dataclass(frozen=True)
class Figure:
    """One picture: `drawn` is what stands inside an SVG element of `width` by `height` pixels of grey.

    It holds numbers, colours and encoded pictures only. `alt` says what it shows, `caption` is what stands below it.
    """

    drawn: str
    width: int
    height: int
    alt: str
    caption: str = ""


def figure(
    grey: NDArray[np.uint8],
    alt: str,
    *,
    caption: str = "",
    sharp: bool = False,
    labels: NDArray[np.uint8] | None = None,
    completed: NDArray[np.bool_] | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
    line_px: float = LINE_PX,
) -> Figure:
    """(A, B) bytes with the first axis to the right and the second up, with the outlines of `labels` (A, B).

    Outlines are drawn `shift` pixels further along both axes; what is `completed` (A, B) is hatched. `sharp` pixels
    are seen as they are. `line_px` is an outline's width on a picture of a hundred pixels.
    """
    width, height = grey.shape
    line = line_px * max(1.0, width / 100)
    pixelated = ' style="image-rendering:pixelated"' if sharp else ""
    parts = [
        f'<image href="{_encoded(grey, sharp=sharp)}" width="{width}" height="{height}" preserveAspectRatio="none"'
        f"{pixelated}/>"
    ]
    hatched = "" if completed is None or not completed.any() else outline(completed, shift)
    if hatched:
        step, name = 5 * line, f"h{crc32(hatched.encode()):x}"
        parts.append(
            f'<defs><pattern id="{name}" width="{step:.2f}" height="{step:.2f}" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate(45)"><path d="M0 0V{step:.2f}" stroke="#fff" stroke-opacity=".75" '
            f'stroke-width="{1.6 * line:.2f}"/></pattern></defs>'
            f'<path d="{hatched}" fill="url(#{name})" fill-rule="evenodd"/>'
        )
    for label, path in ({} if labels is None else outlines(labels, shift)).items():
        drawn = f'fill="none" stroke="{css(COLOURS[label])}" stroke-width="{line:.2f}" stroke-linejoin="round"'
        parts.append(f'<path d="{path}" {drawn}/>')
    return Figure("".join(parts), width, height, alt, caption)


def outlines(labels: NDArray[np.uint8], shift: tuple[float, float] = (0.0, 0.0)) -> dict[int, str]:
    """Label to SVG path, of (A, B) labels with the second axis up."""
    found = {label: outline(labels == label, shift) for label in COLOURS if (labels == label).any()}
    return {label: path for label, path in found.items() if path}


def outline(mask: NDArray[np.bool_], shift: tuple[float, float] = (0.0, 0.0)) -> str:
    """The border of an (A, B) mask as an SVG path, in pixels, the second axis up; closed at the picture's edge."""
    soft = ndimage.gaussian_filter(np.pad(mask, 1).astype(np.float32), SOFT_PX)
    lines = [line for line in find_contours(soft, 0.5) if len(line) >= LEAST_POINTS]
    return "".join(_path(line - 0.5 + shift, mask.shape[1]) for line in lines)


def _path(line: NDArray[np.float64], height: int) -> str:
    """Every other point of a long line is enough: they lie half a pixel apart."""
    points = line[:-1:2] if len(line) > 4 * LEAST_POINTS else line[:-1]
    return "M" + "L".join(f"{a:.1f} {height - b:.1f}" for a, b in points) + "Z"


def _encoded(grey: NDArray[np.uint8], *, sharp: bool) -> str:
    """(A, B) bytes, the second axis up, as a data URI: sharp pixels as PNG, smooth ones enlarged as JPEG."""
    image = Image.fromarray(np.ascontiguousarray(grey.T[::-1]))
    if sharp:
        return data_uri(image, "png")
    size = (image.width * ENLARGED, image.height * ENLARGED)
    return data_uri(image.resize(size, Image.Resampling.BICUBIC), "jpeg", quality=88)


def data_uri(image: Image.Image, kind: str = "png", **options: int) -> str:
    """A picture inside the page, as PNG or JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, kind.upper(), optimize=kind == "jpeg", **options)
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
