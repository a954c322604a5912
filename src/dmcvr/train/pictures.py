"""Sample pictures: rows of slices, with label contours where there are labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from dmcvr.labels.colours import COLOURS


def save_tiles(path: Path, rows: list[NDArray[Any]], labels: list[NDArray[Any]] | None = None) -> None:
    """Write a PNG of rows of (B, H, W) slices in [-1, 1], shown as a short-axis view (first axis to the right)."""
    drawn = []
    for r, row in enumerate(rows):
        grey = np.clip((row + 1) * 127.5, 0, 255).astype(np.uint8)
        colour = np.repeat(grey[..., None], 3, axis=-1)
        if labels is not None:
            for value, rgb in COLOURS.items():
                mask = labels[r] == value
                inside = np.stack([ndimage.binary_erosion(m) for m in mask])
                colour[mask & ~inside] = rgb
        drawn.append(np.concatenate(list(colour.swapaxes(1, 2)), axis=1))
    Image.fromarray(np.concatenate(drawn, axis=0)).save(path)
