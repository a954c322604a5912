"""Global strain of the left ventricle from a mesh in correspondence: how much shorter, narrower and thicker it gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from dmcvr.clinical.valves import BASE_UNSEEN

Array = NDArray[np.float64]

#: Stands beside the numbers.
METHOD = (
    "Engineering (Lagrangian) strain, 100 (L - L_ED) / L_ED, of the whole ventricle (Voigt et al., J Am Soc "
    "Echocardiogr 2015, 28:183): lengths are averaged over the ventricle first, then compared with end-diastole. "
    "Longitudinal: the lines from base plane to apex, on the endocardium and half way through the wall. "
    "Circumferential: the rings of the lower half of the basal level and of the mid one, on both. Radial: the wall's "
    "mean thickness there. Lines and rings are those of the template at equal shares of the long axis, from borders "
    "alone: torsion is not seen. A peak is the extreme of all phases but end-diastole."
)

#: The names of the curves, and the sign of what is their peak.
CURVES = {
    "gls_endocardial": -1,
    "gls_midwall": -1,
    "gcs_endocardial": -1,
    "gcs_midwall": -1,
    "grs": 1,
}


def measure_strain(
    endo: Float64[np.ndarray, "P R C 3"],
    epi: Float64[np.ndarray, "P R C 3"],
    apices: Float64[np.ndarray, "P 2 3"],
    thickness_mm: Float64[np.ndarray, "P R C"],
    *,
    rows: slice,
    reference: int,
    phases: Sequence[str],
    base_seen: bool = True,
) -> dict[str, Any]:
    """Strain of P phases against one of them, in percent, ready for JSON, rounded to 0.01.

    ============  ============  ==============================================================================
    endo, epi     (P, R, C, 3)  points of the wall in mm: rows from base to apex, columns around the long axis
    apices        (P, 2, 3)     where the columns end: on the endocardium and on the epicardium
    thickness_mm  (P, R, C)     of the wall
    rows                        those of circumferential and radial strain
    reference                   index of end-diastole
    base_seen                   whether the first row's height is known; else longitudinal strain is not
    ============  ============  ==============================================================================

    Gives "reference_phase"; for each of `CURVES` "<name>_percent", a list with one value a phase, and
    "<name>_peak_percent", the extreme of the other phases, which has the other sign where none is shorter than the
    reference (thicker, for radial strain); None for what is not known; "method", sentences; and "not_measured", a
    sentence that says why longitudinal strain is not, else None.
    """
    middle = (endo + epi) / 2
    lengths = {
        "gls_endocardial": _along(endo, apices[:, 0]) if base_seen else np.full(len(endo), np.nan),
        "gls_midwall": _along(middle, apices.mean(axis=1)) if base_seen else np.full(len(endo), np.nan),
        "gcs_endocardial": _around(endo[:, rows]),
        "gcs_midwall": _around(middle[:, rows]),
        "grs": thickness_mm[:, rows].mean(axis=(1, 2)),
    }
    found: dict[str, Any] = {"reference_phase": phases[reference], "phases": list(phases)}
    for name, sign in CURVES.items():
        length = lengths[name]
        rest = float(length[reference])
        percent = 100 * (length - rest) / rest if rest > 0 else np.full(len(length), np.nan)
        values = [round(float(value), 2) if np.isfinite(value) else None for value in percent]
        found[f"{name}_percent"] = values
        others = [value for n, value in enumerate(values) if n != reference and value is not None]
        found[f"{name}_peak_percent"] = sign * max(sign * value for value in others) if others else None
    return found | {"method": METHOD, "not_measured": None if base_seen else BASE_UNSEEN}


def _along(points: Float64[np.ndarray, "P R C 3"], apex: Float64[np.ndarray, "P 3"]) -> Array:
    """(P,) mean length in mm of the columns, from the first row to the apex."""
    tip = np.broadcast_to(apex[:, None, None], (len(points), 1, points.shape[2], 3))
    steps = np.diff(np.concatenate([points, tip], axis=1), axis=1)
    return np.asarray(np.linalg.norm(steps, axis=-1).sum(axis=1).mean(axis=1))


def _around(points: Float64[np.ndarray, "P R C 3"]) -> Array:
    """(P,) mean length in mm of the rows, closed around."""
    steps = np.roll(points, -1, axis=2) - points
    return np.asarray(np.linalg.norm(steps, axis=-1).sum(axis=2).mean(axis=1))
