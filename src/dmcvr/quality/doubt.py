"""How likely each label of a dense heart is to be another: a map that says what it means.

Where a method gives probabilities, the largest is brought to what was found true: on slices left out of stacks, the
share of pixels whose label was right, by the probability and by how far the nearest acquired slice is. Where anatomy
completed a slice, or a method interpolates distances, the distance to the nearest border tells instead.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from scipy import ndimage
from scipy.special import ndtr

#: Share of pixels whose label was right (rows: mm to the nearest acquired slice; columns: the largest probability), on
#: slices left out of the 5 mm and the 10 mm stacks of ACDC's training and development patients, around the heart.
AWAY_MM = np.array([0.0, 5.0, 10.0])
LARGEST = np.array([0.25, 0.5, 0.7, 0.85, 0.92, 0.96, 1.0])
RIGHT = np.array(
    [
        LARGEST,
        [0.25, 0.44, 0.67, 0.76, 0.92, 0.99, 0.998],
        [0.25, 0.41, 0.63, 0.71, 0.76, 0.946, 0.998],
    ]
)

#: How far (mm, SD) a border lies from where distances or the anatomy put it.
BORDER_MM = 3.0


def doubt(
    scores: Float32[np.ndarray, "M 4 S S"], away_mm: Float64[np.ndarray, " M"], pixel_mm: float
) -> Float32[np.ndarray, "M S S"]:
    """(M, S, S) the probability that the label, the largest of the scores (M, 4, S, S), is another one.

    `away_mm` (M,) is how far the nearest acquired slice is.
    """
    return np.stack(
        [
            _by_probability(slice_.max(axis=0), away) if _are_probabilities(slice_) else _by_border(slice_, pixel_mm)
            for slice_, away in zip(scores, away_mm, strict=True)
        ]
    )


def _are_probabilities(slice_: Float32[np.ndarray, "4 S S"]) -> bool:
    return bool(slice_.min() >= 0 and np.abs(slice_.sum(axis=0) - 1).max() < 0.01)


def _by_probability(largest: Float32[np.ndarray, "S S"], away_mm: float) -> Float32[np.ndarray, "S S"]:
    right = [np.interp(away_mm, AWAY_MM, column) for column in RIGHT.T]
    return np.asarray(1 - np.interp(largest, LARGEST, right), dtype=np.float32)


def _by_border(slice_: Float32[np.ndarray, "4 S S"], pixel_mm: float) -> Float32[np.ndarray, "S S"]:
    """An even chance on a border, less the farther from it."""
    labels = slice_.argmax(axis=0)
    inside = np.ones(labels.shape, dtype=bool)
    for axis in (0, 1):
        a, b = np.moveaxis(labels, axis, 0)[:-1], np.moveaxis(labels, axis, 0)[1:]
        edge = np.moveaxis(inside, axis, 0)
        edge[:-1] &= a == b
        edge[1:] &= a == b
    if inside.all():
        return np.zeros(labels.shape, dtype=np.float32)
    distance = np.maximum(ndimage.distance_transform_edt(inside), 0.5) * pixel_mm
    return np.asarray(ndtr(-distance / BORDER_MM), dtype=np.float32)
