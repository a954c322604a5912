"""A segmenter's labels made one heart: one left and one right ventricle, one piece of each in a slice."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from dmcvr.labels.components import keep_one_heart

#: Of a structure in a slice, pieces smaller than this share of its largest there are specks.
SPECK_SHARE = 0.25

#: A whole ventricle smaller than this in a slice is a crumb: an apex that is worth its name is larger.
CRUMB_CM2 = 0.3


def tidy_labels(labels: UInt8[np.ndarray, "N H W"], pixel_mm: float) -> UInt8[np.ndarray, "N H W"]:
    """Labels (N, H, W) of a stack as a segmenter found them, without stray pieces, specks and crumbs.

    1. Over the stack, one whole LV, one cavity in it, one RV: the largest (`keep_one_heart`).
    2. In each slice, specks beside the largest piece go: those of the cavity inside the LV become myocardium.
    3. What is left of a ventricle in a slice goes where it is a crumb.
    """
    kept = keep_one_heart(labels)
    for slice_ in kept:  # each a view
        slice_[_specks((slice_ == 1) | (slice_ == 2))] = 0
        slice_[_specks(slice_ == 1)] = 2
        slice_[_specks(slice_ == 3)] = 0
        for ventricle in ((1, 2), (3,)):
            whole = np.isin(slice_, ventricle)
            if np.count_nonzero(whole) * pixel_mm**2 / 100 < CRUMB_CM2:
                slice_[whole] = 0
    return kept


def _specks(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return np.zeros_like(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(mask & (sizes < SPECK_SHARE * sizes.max())[pieces])
