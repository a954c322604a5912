"""Neighbours aligned by name: by grey values and labels, or by grey values alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from dmcvr.geometry.plan import Plan
from dmcvr.options import AlignBy
from dmcvr.registration.itk import paths_by_grey
from dmcvr.registration.paths import Paths, paths_by_labels


def find_paths(
    images: Float32[np.ndarray, "N H W"], labels: UInt8[np.ndarray, "N H W"], plan: Plan, by: AlignBy
) -> Paths:
    """The paths between the neighbours of every gap that the plan has positions in."""
    return paths_by_labels(images, labels, plan) if by == "labels" else paths_by_grey(images, plan)
