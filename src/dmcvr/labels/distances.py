"""Label maps as numbers that can be interpolated: signed distances of the structures (Raya & Udupa 1990), shares."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from scipy import ndimage
from scipy.special import softmax

#: A structure that a slice does not have lies this far (pixels) from everywhere.
ABSENT = 32.0


def signed_distances(labels: UInt8[np.ndarray, "N H W"]) -> Float32[np.ndarray, "N 3 H W"]:
    """(N, H, W) labels to (N, 3, H, W) distances in pixels, negative inside: LV cavity, whole LV, RV cavity.

    The border runs half a pixel outside the last pixel of a structure. The myocardium is the difference of
    the first two, so it never tears.
    """
    masks = (labels == 1, (labels == 1) | (labels == 2), labels == 3)
    return np.stack([_distance(mask) for mask in masks], axis=1)


def scores_of(distances: Float32[np.ndarray, "N 3 H W"]) -> Float32[np.ndarray, "N 4 H W"]:
    """(N, 3, H, W) distances to (N, 4, H, W) scores, one a label; the largest is the label.

    Scores are continuous where distances are, so they may be resampled before the largest is taken.
    """
    cavity, whole, right = distances[:, 0], distances[:, 1], distances[:, 2]
    background = np.minimum(whole, right)
    return np.stack([background, -cavity, np.minimum(-whole, cavity), -right], axis=1)


def margins(scores: Float32[np.ndarray, "4 ..."]) -> Float32[np.ndarray, "3 ..."]:
    """(4, ...) scores to (3, ...): by how much each structure loses, negative where it wins.

    In the order of `signed_distances`: LV cavity, whole LV, RV cavity. Continuous, and zero on the structures' borders.
    """
    background, cavity, muscle, right = scores
    rest = np.maximum(background, right)
    return np.stack(
        [
            np.maximum(rest, muscle) - cavity,
            rest - np.maximum(cavity, muscle),
            np.maximum(np.maximum(background, cavity), muscle) - right,
        ]
    )


def shares(labels: UInt8[np.ndarray, "N H W"]) -> Float32[np.ndarray, "N 4 H W"]:
    """(N, H, W) labels to (N, 4, H, W): 1 where a pixel has the label, else 0."""
    return np.stack([labels == c for c in range(4)], axis=1).astype(np.float32)


def probabilities(labels: UInt8[np.ndarray, "N H W"]) -> Float32[np.ndarray, "N 4 H W"]:
    """(N, H, W) labels to (N, 4, H, W) as unsure as a segmenter's: even on a border, sure some pixels away.

    Where two slices differ, a mean of those has its border between theirs; one of `shares` leaves the choice to chance.
    """
    return np.asarray(softmax(scores_of(signed_distances(labels)), axis=1), dtype=np.float32)


def _distance(masks: Bool[np.ndarray, "N H W"]) -> Float32[np.ndarray, "N H W"]:
    out = np.empty(masks.shape, dtype=np.float32)
    for n, mask in enumerate(masks):
        if not mask.any():
            out[n] = ABSENT
        elif mask.all():
            out[n] = -ABSENT
        else:
            outside = ndimage.distance_transform_edt(~mask)
            inside = ndimage.distance_transform_edt(mask)
            out[n] = np.where(mask, 0.5 - inside, outside - 0.5)
    return np.clip(out, -ABSENT, ABSENT)
