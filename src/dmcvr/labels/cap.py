"""The cap of muscle that closes the left ventricle, where a segmenter sees a cavity and a wall in it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

#: A wall with less than this share of the brightness of the one before it is lung; a cavity with less than this many
#: times of it holds no blood. Of 40 ACDC patients' 786 slices with a wall that the bundled segmenter found, none has
#: both (the nearest: a wall with .45 of it); of six synthetic hearts', all that lie beyond the apex do (.37 at most).
LUNG, BLOOD = 0.4, 1.3


def with_cap(labels: UInt8[np.ndarray, "N H W"], images: Float32[np.ndarray, "N H W"]) -> UInt8[np.ndarray, "N H W"]:
    """Labels (N, H, W) of slices whose images are in [-1, 1]: beyond the last blood, what looks like muscle is muscle.

    A slice through the cap shows a disc of muscle in lung or fat. Taken for cavity and wall, the wall is darker than
    any muscle, the cavity as dark as muscle. From the widest cavity to both ends, each wall is compared with the last
    one that was real.
    """
    area = np.count_nonzero(labels == 1, axis=(1, 2))
    kept, widest = labels.copy(), int(area.argmax())
    if area[widest] == 0 or not (labels[widest] == 2).any():
        return kept
    for way in (range(widest + 1, len(labels)), range(widest - 1, -1, -1)):
        wall = _brightness(images[widest], labels[widest] == 2)
        for n in way:
            muscle, cavity = labels[n] == 2, labels[n] == 1
            if not muscle.any():
                continue
            here = _brightness(images[n], muscle)
            bloodless = not cavity.any() or _brightness(images[n], cavity) < BLOOD * wall
            if here < LUNG * wall and bloodless:
                kept[n][muscle], kept[n][cavity] = 0, 2
            else:
                wall = here
    return kept


def _brightness(image: Float32[np.ndarray, "H W"], mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    """Median above black."""
    return float(np.median(image[mask])) + 1
