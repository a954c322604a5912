"""A contour that was drawn on a picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

ENDOCARDIUM = "LV endocardium"
EPICARDIUM = "LV epicardium"
RV_ENDOCARDIUM = "RV endocardium"

#: Points of one contour, and contours of one exam: more is no person's work.
MAX_POINTS, MAX_CONTOURS = 100_000, 100_000


@dataclass(frozen=True)
class Outline:
    """One closed contour: its structure, and its points (N, 2) as (column, row) in pixels from 0."""

    structure: str
    points: Float64[np.ndarray, "N 2"]


@dataclass(frozen=True)
class Drawn:
    """What a reader drew: contours by picture, whose names are UIDs or instance numbers, and what was passed over."""

    outlines: dict[str, list[Outline]]
    by_uid: bool
    ignored: dict[str, int] = field(default_factory=dict)
