"""intervals: whether the true value lies in the interval as often as it says.

Patients: an exam is reconstructed from the segmenter's labels and from the manual ones; the true value is the second's,
so this is what annotators say of the segmentation's part. The shipped calibration knows the validation patients, so
each is judged by the others' scores alone (`inside` at the level, leaving one out); `inside whole` is the interval that
a user sees, which is wider, for it also holds what no annotator knows. Synthetic hearts (no --data): slices 8, 10 and
12 mm apart, shifted by 1 mm SD; labels given, or found; the true volumes are exact, and the interval is the one that a
user sees. Hearts are filled by shape, every 2.5 mm, which takes seconds: between the slices our labels have nearly the
same volumes, and what the intervals are made of is the same. Half widths are means. A row is one measure of one exam.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dmcvr.clinical.measures import MYOCARDIAL_DENSITY_G_PER_ML, measure_wall
from dmcvr.evaluate.case import Bench, Case, Findings, Row
from dmcvr.evaluate.contenders import Contender
from dmcvr.evaluate.tables import Table
from dmcvr.exam.volume import Volume
from dmcvr.options import Options
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.quality.intervals import KINDS, LEVEL, QUANTITIES, SAME_AS, Calibration, by_kind, quantile
from dmcvr.reconstruction import Reconstruction, reconstruct

SPACINGS_MM = (8.0, 10.0, 12.0)

#: Breath-holds of synthetic exams (mm, SD along each axis).
SHIFT_MM = 1.0

#: How hearts are filled here.
OPTIONS = Options(method="shape", spacing_mm=2.5)


def intervals(case: Case, bench: Bench) -> Findings:
    """A row for each measure; nothing without both ED and ES."""
    if case.phantom is not None:
        return of_phantom(case, bench)
    if not {"ED", "ES"} <= set(case.stack.phases):
        return Findings()
    found = reconstruct(case.stack.without_labels(), OPTIONS, engine=bench.engine)
    true = reconstruct(case.stack, OPTIONS, engine=bench.engine)
    values = {name: m["value"] for name, m in true.measures["intervals"]["measures"].items()}
    return Findings(_rows(found, values, {**case.about, "task": "patients, labels found"}))


def of_phantom(case: Case, bench: Bench, *, kinds: tuple[str, ...] = ("given", "found")) -> Findings:
    """Of a synthetic heart under every scan, with labels given or found."""
    assert case.phantom is not None
    rows: list[Row] = []
    for spacing_mm in SPACINGS_MM:
        exam = make_phantom(case.phantom.seed, Scan(spacing_mm=spacing_mm, shift_mm=SHIFT_MM))
        for labels in kinds:
            stack = exam.stack if labels == "given" else exam.stack.without_labels()
            heart = reconstruct(stack, OPTIONS, engine=bench.engine)
            about = {**case.about, "group": exam.heart.kind, "spacing_mm": spacing_mm}
            rows += _rows(heart, _true(exam, heart), {**about, "task": f"synthetic, labels {labels}"})
    return Findings(rows)


def _true(exam: Phantom, heart: Reconstruction) -> dict[str, float]:
    """From the closed form; the wall's thickness from the exact labels on the result's grid."""
    ed, es = exam.shapes[exam.ed], exam.shapes[exam.es]
    left = ed.lv_cavity_volume_ml(), es.lv_cavity_volume_ml()
    right = ed.rv_cavity_volume_ml(), es.rv_cavity_volume_ml()
    found = {"lv_mass_g": MYOCARDIAL_DENSITY_G_PER_ML * ed.lv_myocardial_volume_ml()}
    for side, (full, emptied) in (("lv", left), ("rv", right)):
        found |= {f"{side}_edv_ml": full, f"{side}_esv_ml": emptied, f"{side}_sv_ml": full - emptied}
        found[f"{side}_ef_percent"] = 100 * (full - emptied) / full
    labels = exam.labels_on(heart.labels.affine, heart.labels.data.shape[1:], exam.ed)
    anterior = -np.array(heart.run["heart"]["picture_down_ras"])
    wall = measure_wall(Volume(labels[None], heart.labels.affine), 0, "ED", anterior, "")
    return found | {"wall_mean_mm": wall["mean_mm"], "wall_max_mm": wall["max_mm"]}


def _rows(heart: Reconstruction, true: dict[str, float], about: Row) -> list[Row]:
    rows = []
    for name, found in heart.measures["intervals"]["measures"].items():
        row = {**about, "measure": name, "value": found["value"], "true": true[name]}
        rows.append(row | {f"sd_{kind}": sd for kind, sd in by_kind(found["sd"]).items()})
    return rows


def coverage(rows: pd.DataFrame, contenders: tuple[Contender, ...]) -> list[Table]:
    """How often the true value lies inside, by measure; then by group and by slice distance."""
    del contenders
    tables = [Table("How often the true value lies inside", "coverage", _covered(rows, []))]
    for key in ("group", "spacing_mm"):
        if key in rows and rows[key].nunique() > 1:
            tables.append(Table(f"By {key.removesuffix('_mm')}", "coverage", _covered(rows, [key]), further=True))
    return tables


def with_ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `low` and `high` of the interval that a user sees, by the package's own calibration."""
    known = Calibration.read()
    segmentation, geometry = (
        rows[f"sd_{kind}"].to_numpy() * np.array([known.reach(kind, name) for name in rows["measure"]])
        for kind in KINDS
    )
    half = np.hypot(segmentation, geometry)
    return rows.assign(low=rows["value"] - half, high=rows["value"] + half)


def _covered(rows: pd.DataFrame, extra: list[str]) -> pd.DataFrame:
    of_rows = with_ends(rows)
    of_rows = of_rows.assign(
        error=(rows["value"] - rows["true"]).abs(),
        inside=(of_rows["low"] <= rows["true"]) & (rows["true"] <= of_rows["high"]),
        half=(of_rows["high"] - of_rows["low"]) / 2,
    )
    of_rows["inside_part"] = np.nan
    of_rows["half_part"] = np.nan
    for _, members in of_rows[of_rows["task"].str.startswith("patients")].groupby("measure", sort=False):
        scores = members["error"].to_numpy() / np.maximum(members["sd_segmentation"].to_numpy(), 1e-9)
        if len(scores) > 1 and members["patient"].is_unique:
            reach = np.array([quantile(np.delete(scores, n), LEVEL) for n in range(len(scores))])
            of_rows.loc[members.index, "inside_part"] = (scores <= reach).astype(float)
            of_rows.loc[members.index, "half_part"] = reach * members["sd_segmentation"].to_numpy()
    lines: list[dict[str, Any]] = []
    for key, members in of_rows.groupby(["task", "measure", *extra], sort=False, dropna=False):
        numbers = {
            name: float(members[name].mean()) for name in ("error", "inside_part", "half_part", "inside", "half")
        }
        about = dict(zip(["task", "measure", *extra], key, strict=True))
        lines.append({**about, "patients": members["patient"].nunique(), "exams": len(members), **numbers})
    return pd.DataFrame(lines)


def scores_of(rows: pd.DataFrame, kind: str) -> dict[str, list[float]]:
    """|error| over the standard deviation of one kind of truth, by measure."""
    found = {}
    for name in (name for name in QUANTITIES if name not in SAME_AS):
        members = rows[rows["measure"] == name].dropna(subset=["true"])
        error = (members["value"] - members["true"]).abs().to_numpy()
        found[name] = sorted(float(s) for s in error / np.maximum(members[f"sd_{kind}"].to_numpy(), 1e-9))
    return found
