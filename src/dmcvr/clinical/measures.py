"""Clinical measures: volumes, ejection fraction and mass, each with the convention it was made by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from dmcvr.clinical.cycle import MIN_PHASES, Cycle, find_cycle
from dmcvr.clinical.reference import compare
from dmcvr.clinical.wall import METHOD, wall_thickness
from dmcvr.errors import InputError
from dmcvr.exam.stack import LABEL_NAMES, Patient
from dmcvr.exam.volume import Volume

#: Density of myocardium (Schulz-Menger et al., J Cardiovasc Magn Reson 2020, 22:19).
MYOCARDIAL_DENSITY_G_PER_ML = 1.05

#: Stands beside the numbers in every report.
CONVENTIONS = {
    "papillary_muscles": (
        "Papillary muscles and trabeculae are counted as the label map counts them; the bundled segmenter is "
        "trained on ACDC, whose contours include them in the cavity."
    ),
    "base": (
        "A basal slice counts as left ventricle where at least half of the wall is there, as in ACDC's contours, which "
        "the bundled segmenter has learnt; labels that are given are taken as they are."
    ),
    "density": f"LV mass is myocardial volume times {MYOCARDIAL_DENSITY_G_PER_ML} g/mL; lv.mass_g is at ED.",
    "dense_volume": "Voxels of the reconstructed dense label map, counted, times the volume of one voxel.",
    "slice_summation": (
        "Summation of discs over the acquired slices: area times slab, where a slab reaches half way to each "
        "neighbour and an end slice counts its one gap on both sides."
    ),
    "ed_es": (
        "In a cine, ED and ES are the largest and the smallest LV cavity over a lightly smoothed curve; the "
        "volumes themselves are not smoothed. The RV is measured at the LV's ED and ES. EF is null where the "
        "end-diastolic volume is zero."
    ),
    "consistency": (
        "Muscle weighs the same at every phase, and a heart has one ejection fraction: mass_drift_percent is the "
        "largest less the smallest LV mass of any phase over their mean, ef_gap_points the ejection fraction of the "
        "dense volume less that of the summed slices. ACDC's manual labels, on which the bundled segmenter is "
        "trained, have 15 % more mass at ES than at ED in the median."
    ),
    "body_surface_area": "Mosteller: sqrt(height in cm * weight in kg / 3600), in m2.",
}


@dataclass(frozen=True)
class PhaseVolumes:
    """Volumes of one phase in mL."""

    lv_cavity_ml: float
    lv_myocardium_ml: float
    rv_cavity_ml: float

    @property
    def lv_mass_g(self) -> float:
        """Mass of the LV myocardium in g."""
        return self.lv_myocardium_ml * MYOCARDIAL_DENSITY_G_PER_ML


def dense_volumes(labels: Volume) -> tuple[PhaseVolumes, ...]:
    """Volumes of each phase by counting the voxels of a dense label map (P, I, J, K)."""
    return tuple(
        PhaseVolumes(
            **{
                f"{name}_ml": float(np.count_nonzero(phase == label) * labels.voxel_ml)
                for label, name in LABEL_NAMES.items()
            }
        )
        for phase in labels.data
    )


def slabs_mm(positions_mm: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """(N,) how thick a slab each slice at these ascending positions stands for: half way to each neighbour; at an end,
    its one gap on both sides."""
    gaps = np.diff(positions_mm)
    around = np.concatenate([gaps[:1], gaps, gaps[-1:]])
    return np.asarray((around[:-1] + around[1:]) / 2)


def slice_summation(
    stack_labels: UInt8[np.ndarray, "P N I J"], positions_mm: Float64[np.ndarray, " _"], pixel_mm: tuple[float, float]
) -> tuple[PhaseVolumes, ...]:
    """Volumes of each phase as the clinic sums them: the area of each acquired slice times its slab.

    ============  ============  ===========================================================
    stack_labels  (P, N, I, J)  uint8, the package's labels
    positions_mm  (N,)          ascending positions of the slices along their normal
    pixel_mm      2             in-plane pixel size along i and j
    ============  ============  ===========================================================

    A slab reaches half way to each neighbour; an end slice counts its one gap on both sides, so with equal
    spacing every slab is the spacing. Raises `InputError` for fewer than two slices, for positions that do
    not ascend, and for another number of positions than slices.
    """
    gaps = np.diff(positions_mm)
    if len(gaps) < 1 or gaps.min() <= 0 or len(positions_mm) != stack_labels.shape[1]:
        raise InputError(
            f"Expected at least two ascending positions, one a slice ({stack_labels.shape[1]}); "
            f"got {np.asarray(positions_mm).tolist()}: sort the slices by position."
        )
    weight_ml = slabs_mm(positions_mm) * pixel_mm[0] * pixel_mm[1] / 1000
    return tuple(
        PhaseVolumes(
            **{
                f"{name}_ml": float(np.count_nonzero(phase == label, axis=(1, 2)) @ weight_ml)
                for label, name in LABEL_NAMES.items()
            }
        )
        for phase in stack_labels
    )


def choose_ed_es(
    found: tuple[PhaseVolumes, ...],
    phases: tuple[str, ...],
    *,
    ed: int | None = None,
    es: int | None = None,
    by: str = "dense volume",
) -> tuple[Cycle | None, str | None]:
    """ED and ES and how they were chosen; None where nothing tells.

    Given indices win, then phases named ED and ES, then, among three or more other phases, the largest and the
    smallest LV cavity by the volumes that were found; `by` names how.
    """
    cavity = np.array([volumes.lv_cavity_ml for volumes in found])
    if ed is not None and es is not None:
        return find_cycle(cavity, ed=ed, es=es), "given"
    named = {"ED", "ES"} & set(phases)
    if ed is None and es is None and len(named) == 2:
        return find_cycle(cavity, ed=phases.index("ED"), es=phases.index("ES")), "phase names"
    if len(phases) < MIN_PHASES or named:
        return None, None
    given = "".join(f"; {name} given" for name, index in (("ED", ed), ("ES", es)) if index is not None)
    return find_cycle(cavity, ed=ed, es=es), f"largest and smallest LV cavity ({by}){given}"


def measures(
    dense: tuple[PhaseVolumes, ...],
    summed: tuple[PhaseVolumes, ...],
    phases: tuple[str, ...],
    patient: Patient,
    *,
    times_ms: tuple[float, ...] | None = None,
    ed: int | None = None,
    es: int | None = None,
    filled: Sequence[int] | None = None,
) -> dict[str, Any]:
    """What the report says of function and mass, ready for JSON, rounded to 0.01.

    ======================  ================================================================================
    ed_phase, es_phase      names of the phases measured as ED and ES, or None
    ed_es_chosen_by         how those were chosen, or None
    ed_es_warnings          sentences, where the volumes over the heartbeat look wrong
    bsa_m2                  body surface area, or None
    dense_volume            {"phases": {name: volumes and LV mass}}, and with ED and ES known "lv" and "rv":
                            edv_ml, esv_ml, sv_ml, ef_percent, for the LV mass_g; and with bsa_m2 known the
                            same over it: edv_ml_per_m2, esv_ml_per_m2, sv_ml_per_m2, mass_g_per_m2
    slice_summation         the same from the acquired slices, of all phases that were segmented
    consistency             "mass_ed_g", "mass_es_g" (None where those are not known), "mass_least_g", "mass_most_g",
                            "mass_drift_percent" (None for one phase); "lv" and "rv" (None without ED and ES), each
                            "ef_dense_percent", "ef_slices_percent", "ef_gap_points"
    volume_time             of three or more phases "phases", "times_ms" (or None), "lv_cavity_ml" and
                            "rv_cavity_ml", a list each, and their "convention": dense_volume, or slice_summation
                            where not all phases were filled; else None
    reference               published normal values beside the patient's (see `dmcvr.clinical.reference`)
    conventions             sentences that belong beside the numbers
    ======================  ================================================================================

    `summed` holds one entry a phase, `dense` one for each that was `filled` (indices; default: all); another number
    raises `ValueError`. `ed` and `es` are given indices; both conventions compare the same phases (see `choose_ed_es`).
    """
    whole = filled is None or len(filled) == len(phases)
    heart = dict(zip(range(len(phases)) if filled is None else filled, dense, strict=True))
    slices = dict(zip(range(len(phases)), summed, strict=True))
    curve, convention = (dense, "dense_volume") if whole else (summed, "slice_summation")
    cycle, chosen_by = choose_ed_es(curve, phases, ed=ed, es=es, by=convention.replace("_", " "))
    bsa_m2 = body_surface_area_m2(patient)
    by_volume = _by_one_convention(heart, phases, cycle, bsa_m2)
    by_slices = _by_one_convention(slices, phases, cycle, bsa_m2)
    return {
        "ed_phase": None if cycle is None else phases[cycle.ed],
        "es_phase": None if cycle is None else phases[cycle.es],
        "ed_es_chosen_by": chosen_by,
        "ed_es_warnings": [] if cycle is None else list(cycle.warnings),
        "bsa_m2": None if bsa_m2 is None else _rounded(bsa_m2),
        "dense_volume": by_volume,
        "slice_summation": by_slices,
        "consistency": _mass_over_the_cycle(heart, cycle)
        | {side: _ef_both_ways(by_volume.get(side), by_slices.get(side)) for side in ("lv", "rv")},
        "volume_time": _volume_time(curve, phases, times_ms, convention),
        "reference": compare(by_volume, patient.sex),
        "conventions": dict(CONVENTIONS),
    }


def measure_wall(
    labels: Volume, phase: int, name: str, anterior: Float64[np.ndarray, " 3"], oriented: str
) -> dict[str, Any]:
    """Wall thickness of one phase of dense labels, ready for JSON, in mm, rounded to 0.01.

    "phase" (its `name`), "segments_mm" (AHA segments "1" to "17"; None where a segment cannot be seen), "mean_mm",
    "max_mm" (None without a ring of myocardium), "method" and "orientation" (how anterior is known), two sentences.
    `anterior` is the world direction that the picture shows as up, `oriented` the sentence.
    """
    found = wall_thickness(labels.data[phase], labels.affine, anterior)
    segments = dict.fromkeys(range(1, 18)) if found is None else found.segments_mm
    return {
        "phase": name,
        "segments_mm": {str(n): None if value is None else _rounded(value) for n, value in segments.items()},
        "mean_mm": None if found is None else _rounded(found.mean_mm),
        "max_mm": None if found is None else _rounded(found.max_mm),
        "method": METHOD,
        "orientation": oriented,
    }


def body_surface_area_m2(patient: Patient) -> float | None:
    """Body surface area by Mosteller (N Engl J Med 1987, 317:1098); None without a height and a weight."""
    height_cm, weight_kg = patient.height_cm or 0.0, patient.weight_kg or 0.0
    if not (height_cm > 0 and weight_kg > 0):
        return None
    return float(np.sqrt(height_cm * weight_kg / 3600))


def _by_one_convention(
    volumes: dict[int, PhaseVolumes],
    phases: tuple[str, ...],
    cycle: Cycle | None,
    bsa_m2: float | None,
) -> dict[str, Any]:
    """Volumes of every phase that has them and, with those of ED and ES known, the function of both ventricles."""
    result: dict[str, Any] = {
        "phases": {
            phases[index]: {key: _rounded(value) for key, value in asdict(of_phase).items()}
            | {"lv_mass_g": _rounded(of_phase.lv_mass_g)}
            for index, of_phase in volumes.items()
        }
    }
    if cycle is not None and {cycle.ed, cycle.es} <= set(volumes):
        at_ed, at_es = volumes[cycle.ed], volumes[cycle.es]
        result["lv"] = _ventricle(at_ed.lv_cavity_ml, at_es.lv_cavity_ml, at_ed.lv_mass_g, bsa_m2)
        result["rv"] = _ventricle(at_ed.rv_cavity_ml, at_es.rv_cavity_ml, None, bsa_m2)
    return result


def _mass_over_the_cycle(dense: dict[int, PhaseVolumes], cycle: Cycle | None) -> dict[str, float | None]:
    """LV mass where it is reported, and its extremes over the phases."""
    masses = {index: volumes.lv_mass_g for index, volumes in dense.items()}
    known = cycle is not None and {cycle.ed, cycle.es} <= set(masses)
    least, most = min(masses.values()), max(masses.values())
    drift = 200 * (most - least) / (most + least) if len(masses) > 1 and most > 0 else None
    return {
        "mass_ed_g": _rounded(masses[cycle.ed]) if cycle is not None and known else None,
        "mass_es_g": _rounded(masses[cycle.es]) if cycle is not None and known else None,
        "mass_least_g": _rounded(least),
        "mass_most_g": _rounded(most),
        "mass_drift_percent": None if drift is None else _rounded(drift),
    }


def _ef_both_ways(
    dense: dict[str, float | None] | None, summed: dict[str, float | None] | None
) -> dict[str, float] | None:
    """A ventricle's ejection fraction by voxels and by slices; None where either is not known."""
    if dense is None or summed is None:
        return None
    a, b = dense["ef_percent"], summed["ef_percent"]
    if a is None or b is None:
        return None
    return {"ef_dense_percent": a, "ef_slices_percent": b, "ef_gap_points": _rounded(a - b)}


def _volume_time(
    found: tuple[PhaseVolumes, ...], phases: tuple[str, ...], times_ms: tuple[float, ...] | None, convention: str
) -> dict[str, Any] | None:
    if len(phases) < MIN_PHASES:
        return None
    return {
        "phases": list(phases),
        "times_ms": None if times_ms is None else [_rounded(time) for time in times_ms],
        "lv_cavity_ml": [_rounded(volumes.lv_cavity_ml) for volumes in found],
        "rv_cavity_ml": [_rounded(volumes.rv_cavity_ml) for volumes in found],
        "convention": convention,
    }


def _ventricle(edv_ml: float, esv_ml: float, mass_g: float | None, bsa_m2: float | None) -> dict[str, float | None]:
    """Function of one ventricle; its sizes over body surface area as well where that is known."""
    sizes = {"edv_ml": edv_ml, "esv_ml": esv_ml} | ({} if mass_g is None else {"mass_g": mass_g})
    sv_ml = edv_ml - esv_ml
    result: dict[str, float | None] = {key: _rounded(value) for key, value in sizes.items()}
    result["sv_ml"] = _rounded(sv_ml)
    result["ef_percent"] = _rounded(100 * sv_ml / edv_ml) if edv_ml > 0 else None
    if bsa_m2 is not None:
        indexed = sizes | {"sv_ml": sv_ml}
        result |= {f"{key}_per_m2": _rounded(value / bsa_m2) for key, value in indexed.items()}
    return result


def _rounded(value: float) -> float:
    """To 0.01: finer than any segmentation is."""
    return round(float(value), 2)
