"""How far the ventricles' bases move: mitral and tricuspid annular plane systolic excursion, from the dense labels.

Over the middle of a ventricle, each column of voxels along the stack ends at its valve. The mean height where it ends,
over the same columns in every phase, is the height of the valve's plane; sub-voxel, for it is a mean of many.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from dmcvr.clinical.cycle import MIN_PHASES
from dmcvr.exam.volume import Volume
from dmcvr.labels.base import base_is_first

#: Columns count that hold so many mm of the ventricle in every phase: they end at the valve, not at a wall.
LEAST_MM = 25.0

#: Where more of the columns than this share reach the grid's end, the stack does not show the valve.
OPEN_SHARE = 0.25

#: The right ventricle's columns: the share that lies farthest from the left one, where the free wall's annulus is.
LATERAL_SHARE = 0.5

METHOD = (
    "Mean height, along the stack, at which the columns of voxels over the middle of a ventricle end towards the base "
    "(those that hold 25 mm of it in every phase; of the RV, the half farther from the LV), at ED less that at ES. "
    "Where no slice cuts a valve its height is an estimate (see observed.nii.gz). Echocardiography and long-axis views "
    "measure at the annulus itself and along the long axis."
)

#: Stands in place of what the left ventricle's base is needed for, where only an estimate of it is there.
BASE_UNSEEN = (
    "MAPSE and longitudinal strain are not measured: no long-axis view shows in every phase how far the left "
    "ventricle's base has come down, and short-axis slices alone leave that to an estimate."
)


def valve_planes(
    labels: Volume, phases: tuple[str, ...], ed_phase: str | None, es_phase: str | None, *, base_seen: bool = True
) -> dict[str, Any] | None:
    """MAPSE and TAPSE, ready for JSON, in mm, rounded to 0.01; None where ED and ES are not known.

    "mapse_mm" and "tapse_mm" (None where a ventricle is short, or its valve lies beyond the stack; MAPSE also where the
    left ventricle's base is an estimate, not `base_seen`); "method"; "not_measured", the sentence that says so, else
    None; and of three or more phases
    "excursion_mm": by valve, how far its plane lies nearer to the apex than at ED, a list with a number for each phase.
    """
    if ed_phase is None or es_phase is None:
        return None
    ed, es = phases.index(ed_phase), phases.index(es_phase)
    mitral = base_depth_mm(labels, 1) if base_seen else None
    depths = {"mitral": mitral, "tricuspid": base_depth_mm(labels, 3)}
    result: dict[str, Any] = {
        name: None if depth is None else _number(depth[es] - depth[ed])
        for name, depth in zip(("mapse_mm", "tapse_mm"), depths.values(), strict=True)
    }
    result |= {"method": METHOD, "not_measured": None if base_seen else BASE_UNSEEN}
    if len(phases) >= MIN_PHASES:
        result["excursion_mm"] = {
            valve: None if depth is None else [_number(one - depth[ed]) for one in depth]
            for valve, depth in depths.items()
        }
    return result


def base_depth_mm(labels: Volume, label: int) -> Float64[np.ndarray, " P"] | None:
    """(P,) how far towards the apex a ventricle's base lies (mm along the stack, from a fixed plane); None if short.

    nan in phases in which it lies beyond the grid.
    """
    step_mm = float(np.linalg.norm(labels.affine[:3, 2]))
    from_base = labels.data if base_is_first(np.moveaxis(labels.data, 3, 1)) else labels.data[..., ::-1]
    inside = from_base == label
    columns = (inside.sum(axis=3) * step_mm >= LEAST_MM).all(axis=0)
    if label == 3 and columns.any():
        columns = _lateral(columns, from_base)
    if not columns.any():
        return None
    first = inside[:, columns].argmax(axis=2)
    depth_mm = first.mean(axis=1) * step_mm
    return np.where((first == 0).mean(axis=1) > OPEN_SHARE, np.nan, depth_mm)


def _lateral(columns: np.ndarray[Any, np.dtype[np.bool_]], labels: UInt8[np.ndarray, "P I J K"]) -> Any:
    """The columns farther from the left ventricle."""
    left = np.argwhere(np.isin(labels, (1, 2)).any(axis=(0, 3)))
    if len(left) == 0:
        return columns
    places = np.argwhere(columns)
    away = np.linalg.norm(places - left.mean(axis=0), axis=1)
    found = np.zeros_like(columns)
    found[tuple(places[away >= np.quantile(away, 1 - LATERAL_SHARE)].T)] = True
    return found


def _number(value: float) -> float | None:
    """Rounded to 0.01; None where it is not known."""
    return round(float(value), 2) if np.isfinite(value) else None
