"""One heart: stray pieces of a label map are removed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage


def keep_one_heart(labels: UInt8[np.ndarray, "A B C"]) -> UInt8[np.ndarray, "A B C"]:
    """Keep the largest connected piece of the whole LV, of its cavity and of the RV cavity in (A, B, C) labels.

    A stray piece of cavity inside the kept LV becomes myocardium, any other stray piece background.
    """
    whole = largest_component((labels == 1) | (labels == 2))
    cavity = largest_component((labels == 1) & whole)
    right = largest_component(labels == 3)
    return np.select([cavity, whole, right], [1, 2, 3], 0).astype(np.uint8)


def largest_component(mask: Bool[np.ndarray, "A B C"]) -> Bool[np.ndarray, "A B C"]:
    """The largest connected component of a 3D mask (an empty mask stays empty)."""
    components, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return np.asarray(components == sizes.argmax())
