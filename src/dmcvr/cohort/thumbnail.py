"""A picture the size of a thumb: the mid-ventricular slice with the label map's outlines."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.measure import find_contours

from dmcvr.exam.volume import Volume
from dmcvr.labels.colours import COLOURS
from dmcvr.report.phase import first_phase
from dmcvr.report.scene import make_scene
from dmcvr.result import Result

#: Pixels a side.
SIZE = 96

#: Drawn so many times larger and then reduced: smooth lines.
FINER = 3

#: Kept around the heart, in mm.
MARGIN_MM = 10.0

#: No thumbnail has more bytes, before base64.
MOST_BYTES = 3072


def thumbnail(result: Result) -> str | None:
    """A square WebP picture of the slice through the middle of the heart at ED, as base64; None without a heart."""
    scene = make_scene(_one_phase(result))
    z = scene.middle[2]
    labels = scene.labels[0, :, :, z]
    if not labels.any():
        return None
    padding, window = _square(labels, MARGIN_MM / scene.spacing_mm)
    grey = scene.grey(scene.image[0, :, :, z])
    return _encoded(_drawn(np.pad(grey, padding)[window], np.pad(labels, padding)[window]))


def _one_phase(result: Result) -> Result:
    phase = first_phase(result.measures, result.phases)
    one = slice(phase, phase + 1)
    return replace(
        result,
        image=Volume(result.image.data[one], result.image.affine),
        labels=Volume(result.labels.data[one], result.labels.affine),
        acquired=None if result.acquired is None else result.acquired.select_phases([phase]),
        observed=None,
    )


def _square(labels: NDArray[np.uint8], margin: float) -> tuple[int, tuple[slice, slice]]:
    """Voxels to pad (X, Y) labels with, and then the square window around what is labelled."""
    where = np.argwhere(labels)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    half = int(np.ceil((high - low).max() / 2 + margin))
    x, y = (int(middle) for middle in (low + high) // 2)  # where the window begins, once padded by half of its size
    return half, (slice(x, x + 2 * half), slice(y, y + 2 * half))


def _drawn(grey: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Image.Image:
    """(N, N) bytes, x to the picture's left and y up, with contours."""
    grey, labels = grey[::-1], labels[::-1]
    size, factor = SIZE * FINER, SIZE * FINER / len(grey)
    image = Image.fromarray(np.ascontiguousarray(grey.T[::-1])).resize((size, size), Image.Resampling.BICUBIC)
    image = image.convert("RGB")
    draw = ImageDraw.Draw(image)
    for label in (2, 3, 1):  # the cavity's outline on the wall's inner one
        soft = ndimage.gaussian_filter((np.pad(labels, 1) == label).astype(np.float32), 0.6)
        for line in find_contours(soft, 0.5):
            points = (line - 0.5) * factor
            draw.line([(a, size - b) for a, b in points], fill=COLOURS[label], width=FINER + 1, joint="curve")
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image) -> str:
    """As WebP, as good as the bytes allow."""
    for quality in (60, 40, 20):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MOST_BYTES:
            break
    return base64.b64encode(buffer.getvalue()).decode("ascii")
