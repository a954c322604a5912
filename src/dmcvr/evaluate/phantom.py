"""phantom: synthetic exams whose 3D truth is exact, as the slices move apart.

The same hearts are scanned with slices 5, 8, 10 and 12 mm apart (8 mm thick, or as thick as apart), once `clean` and
once `disturbed`: each slice shifted in its plane by its own breath-hold (2 mm SD along each axis) and twice the
noise. Each method fills the stack every 2.5 mm; its labels are compared in 3D with the truth on the same grid, which
knows no shifts: Dice, average symmetric surface distance, HD95, volume error (percent of the truth), LV mass error
(g) and, over both phases, LV EF error (percentage points). A row is one phase of one exam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.clinical.measures import MYOCARDIAL_DENSITY_G_PER_ML
from dmcvr.evaluate.case import Bench, Case, Findings, Row
from dmcvr.evaluate.dense import DenseHeart, dense_hearts
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.quality.metrics import assd_mm, dice, hd95_mm

SPACINGS_MM = (5.0, 8.0, 10.0, 12.0)

#: Shift (mm SD) and noise of the two kinds of scan.
CONDITIONS = {"clean": (0.0, 0.02), "disturbed": (2.0, 0.04)}


def phantom(case: Case, bench: Bench) -> Findings:
    """Rows of one synthetic heart under every scan."""
    assert case.phantom is not None
    rows: list[Row] = []
    for spacing_mm in SPACINGS_MM:
        for condition, (shift_mm, noise) in CONDITIONS.items():
            scan = Scan(spacing_mm=spacing_mm, thickness_mm=min(8.0, spacing_mm), shift_mm=shift_mm, noise=noise)
            exam = make_phantom(case.phantom.seed, scan)
            rows += _of_scan(case, exam, bench, f"{spacing_mm:g} mm, {condition}")
    return Findings(rows)


def _of_scan(case: Case, exam: Phantom, bench: Bench, task: str) -> list[Row]:
    rows: list[Row] = []
    ejected: dict[str, list[tuple[float, float]]] = {}
    for phase, contender, heart in dense_hearts(exam.stack, bench):
        shape = exam.shapes[exam.stack.phases.index(phase)]
        truth = truth_on(heart, exam, phase)
        row = {**case.about, "phase": phase, "task": task, "method": contender.name}
        voxel_ml = float(np.prod(heart.spacing_mm)) / 1000
        exact = (shape.lv_cavity_volume_ml(), shape.lv_myocardial_volume_ml(), shape.rv_cavity_volume_ml())
        for (c, name), true_ml in zip(LABEL_NAMES.items(), exact, strict=True):
            a, b = heart.labels == c, truth == c
            found_ml = float(a.sum()) * voxel_ml
            row |= {
                f"dice_{name}": dice(a, b),
                f"assd_{name}_mm": assd_mm(a, b, heart.spacing_mm),
                f"hd95_{name}_mm": hd95_mm(a, b, heart.spacing_mm),
                f"volume_error_{name}_percent": 100 * (found_ml - true_ml) / true_ml,
            }
            if name == "lv_myocardium":
                row["mass_error_g"] = (found_ml - true_ml) * MYOCARDIAL_DENSITY_G_PER_ML
            if name == "lv_cavity":
                ejected.setdefault(contender.name, []).append((found_ml, true_ml))
        rows.append(row)
    for row in rows:
        (found_ed, true_ed), (found_es, true_es) = ejected[row["method"]]
        row["lv_ef_error_percent"] = 100 * ((1 - found_es / found_ed) - (1 - true_es / true_ed)) if found_ed else np.nan
    return rows


def truth_on(heart: DenseHeart, exam: Phantom, phase: str) -> NDArray[np.uint8]:
    """(K, S, S) the exact labels at the dense heart's voxels: the nearest of the truth's own 1.5 mm voxels."""
    to_truth = np.linalg.inv(exam.truth_labels.affine) @ heart.affine
    labels = exam.truth_labels.data[exam.stack.phases.index(phase)]
    return np.asarray(
        ndimage.affine_transform(
            labels, to_truth[:3, :3], to_truth[:3, 3], output_shape=heart.labels.shape, order=0, mode="constant"
        ),
        dtype=np.uint8,
    )
