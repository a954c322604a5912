"""A patient's labelled slices as pictures, as Sunnybrook's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def pictured(
    root: Path, name: str = "SC-X-01", *, ed: tuple[int, ...] = (2, 3, 5), es: tuple[int, ...] = (3, 5)
) -> Path:
    """ED is frame 19, where the cavity is larger; ES frame 7."""
    folder = root / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for slices, frame, side in ((ed, 19, 12), (es, 7, 6)):
        for n in slices:
            number = 20 * n + frame + 1
            mask = np.zeros((40, 48), np.uint8)
            mask[10 : 10 + side, 20 : 20 + side] = 255
            Image.fromarray(rng.integers(0, 255, mask.shape, dtype=np.uint8)).save(folder / f"{number:04d}.png")
            Image.fromarray(mask).save(folder / f"{number:04d}_lv.png")
    return folder
