"""Labels that the user gives for the acquired slices, carried to the slices between."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from dmcvr.geometry.plan import Plan, blend
from dmcvr.labels.distances import scores_of, signed_distances


def follow_given(
    scores: Float32[np.ndarray, "_ 4 S S"], given: UInt8[np.ndarray, "N S S"], plan: Plan
) -> Float32[np.ndarray, "_ 4 S S"]:
    """Where the given labels (N, S, S) differ from ours at the acquired slices, carry the difference in between.

    `scores` (N + M, 4, S, S) are those of the acquired slices, then of the plan's; the difference is one of signed
    distances.
    """
    count = len(given)
    distances = signed_distances(scores.argmax(axis=1).astype(np.uint8))
    difference = signed_distances(given) - distances[:count]
    return scores_of(distances + np.concatenate([difference, blend(difference, plan)]))
