"""phantom: synthetic exams whose 3D truth is exact, as the slices move apart.

The same hearts (normal, dilated, hypertrophic, right-ventricular overload) are scanned with slices 8, 10 and 12 mm
apart, 8 mm thick, once `clean` and once `disturbed`: each slice shifted in its plane by its own breath-hold (2 mm SD
along each axis) and twice the noise; with long-axis views, which a method may use. Each method fills the stack every
2.5 mm, from the segmenter's labels or, under `labels=manual`, from the true ones of each slice: what both get wrong is
the filling's, the rest the segmentation's.

Labels are compared in 3D with the exact ones on the same grid, which goes on beyond the stack where the truth does and
knows no shifts: Dice, HD95 and average symmetric surface distance of each structure; volume error (percent of the
truth), LV mass error (g) and, over both phases, LV EF error (percentage points). `shift error` is what is left of the
shifts: the mean distance, over the acquired slices that cut the left ventricle whole, between its centre and the true
one, less what all slices have in common (read in the drawn slice nearest to each, at most 1.25 mm away, in which the
neighbour has a small part). A row is one phase of one exam and one level: `all`, or a third of the true long axis
from the mitral valve to the apex (base, mid, apex; what lies beyond belongs to the nearer). Distances at a level are
those of the borders that lie there to the whole other border. A structure that one map does not have at all counts with
Dice 0 and 40 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy import ndimage

from dmcvr.clinical.measures import MYOCARDIAL_DENSITY_G_PER_ML
from dmcvr.evaluate.case import Bench, Case, Findings, Row
from dmcvr.evaluate.dense import DenseHeart, dense_hearts
from dmcvr.exam.stack import LABEL_NAMES
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.quality.metrics import dice, surface_distances_mm

SPACINGS_MM = (8.0, 10.0, 12.0)

#: Shift (mm SD) and noise of the two kinds of scan.
CONDITIONS = {"clean": (0.0, 0.02), "disturbed": (2.0, 0.04)}

#: Slices with less of the true left ventricle than this say nothing about their shift.
LEAST_AREA_MM2 = 150.0


def phantom(case: Case, bench: Bench) -> Findings:
    """Rows of one synthetic heart under every scan."""
    assert case.phantom is not None
    rows: list[Row] = []
    for spacing_mm in SPACINGS_MM:
        for condition in CONDITIONS:
            rows += of_scan(case.phantom.seed, spacing_mm, condition, bench, f"{spacing_mm:g} mm, {condition}")
    return Findings(rows)


def of_scan(seed: int, spacing_mm: float, condition: str, bench: Bench, task: str) -> list[Row]:
    """Rows of the synthetic heart of a seed under one scan, of one of the `CONDITIONS`."""
    shift_mm, noise = CONDITIONS[condition]
    exam = make_phantom(seed, Scan(spacing_mm=spacing_mm, shift_mm=shift_mm, noise=noise, long_axis=True))
    return _of_scan(Case(f"phantom{seed:03d}", exam.stack, exam, exam.views), exam, bench, task)


def shift_error_mm(found_mm: Float64[np.ndarray, "N 2"], true_mm: Float64[np.ndarray, "N 2"]) -> float:
    """Mean distance of found from true places of N slices (mm), less what all have in common; nan for fewer than two.

    Places may be centres of a structure, or shifts.
    """
    if len(found_mm) < 2:
        return float("nan")
    gaps = found_mm - true_mm
    return float(np.linalg.norm(gaps - gaps.mean(axis=0), axis=1).mean())


def _of_scan(case: Case, exam: Phantom, bench: Bench, task: str) -> list[Row]:
    rows: list[Row] = []
    ejected: dict[str, list[tuple[float, float]]] = {}
    truths: dict[tuple[str, float, int], Truth] = {}  # on each grid that contenders fill
    for phase, contender, heart in dense_hearts(case.stack, bench, case.views):
        grid = phase, float(heart.positions[0]), len(heart.positions)
        if grid not in truths:
            truths[grid] = Truth.of(exam, phase, heart)
        truth = truths[grid]
        about = {**case.about, "kind": exam.heart.kind, "phase": phase, "task": task, "method": contender.name}
        rows.append({**about, "level": "all", **truth.scores(heart), **truth.errors(heart)})
        rows += [{**about, "level": level, **truth.scores(heart, level)} for level in truth.levels]
        cavity_ml = float((heart.labels == 1).sum() * np.prod(heart.spacing_mm)) / 1000
        ejected.setdefault(contender.name, []).append((cavity_ml, truth.volumes_ml[0]))
    for row in rows:
        if row["level"] == "all":
            (found_ed, true_ed), (found_es, true_es) = ejected[row["method"]]
            gap = (1 - found_es / found_ed) - (1 - true_es / true_ed) if found_ed else np.nan
            row["lv_ef_error_percent"] = 100 * gap
    return rows


@dataclass(frozen=True)
class Truth:
    """One phase of a phantom on a dense heart's grid, grown along the stack until it holds both ventricles.

    ==========  =========  ===================================================================================
    labels      (K, S, S)  the exact labels, at the voxels' centres
    levels      (K, S, S)  bool each: the thirds of the true long axis, by name
    grown       2 numbers  slices that the grid has before and behind the dense heart's
    volumes_ml  3 numbers  of LV cavity, LV myocardium and RV cavity, from the closed form
    acquired    indices    of the dense heart's slices nearest to acquired ones, between a fifth and nine tenths of
                           the long axis: there the left ventricle is whole
    ==========  =========  ===================================================================================
    """

    labels: NDArray[np.uint8]
    levels: dict[str, NDArray[np.bool_]]
    grown: tuple[int, int]
    volumes_ml: tuple[float, float, float]
    acquired: NDArray[np.int64]

    @classmethod
    def of(cls, exam: Phantom, phase: str, heart: DenseHeart) -> Truth:
        number = exam.stack.phases.index(phase)
        shape, step = exam.shapes[number], heart.spacing_mm[0]
        ends = [float(exam.frame.to_world((0, 0, float(z))) @ heart.normal) for z in shape.box(step).z[[0, -1]]]
        before = max(0, int(np.ceil((heart.positions[0] - min(ends)) / step)))
        behind = max(0, int(np.ceil((max(ends) - heart.positions[-1]) / step)))
        affine = heart.affine
        affine[:3, 3] -= before * affine[:3, 0]
        count, high, wide = heart.labels.shape
        size = (before + count + behind, high, wide)
        mitral, apex = exam.valve_planes(number)["mitral"][0], exam.apices(number)["lv_cavity"]
        axis = (apex - mitral) / ((apex - mitral) @ (apex - mitral))
        k, a, b = np.ogrid[: size[0], : size[1], : size[2]]
        slope = axis @ affine[:3, :3]
        along = axis @ (affine[:3, 3] - mitral) + slope[0] * k + slope[1] * a + slope[2] * b
        levels = {"base": along < 1 / 3, "mid": (along >= 1 / 3) & (along < 2 / 3), "apex": along >= 2 / 3}
        start, stop = float(mitral @ heart.normal), float(apex @ heart.normal)
        share = (exam.stack.positions_mm - start) / (stop - start)
        whole = exam.stack.positions_mm[(share > 0.2) & (share < 0.9)]
        acquired = np.abs(heart.positions[:, None] - whole).argmin(axis=0)
        volumes = shape.lv_cavity_volume_ml(), shape.lv_myocardial_volume_ml(), shape.rv_cavity_volume_ml()
        return cls(exam.labels_on(affine, size, number), levels, (before, behind), volumes, acquired)

    def scores(self, heart: DenseHeart, level: str | None = None) -> Row:
        """Dice, HD95 and ASSD of each structure, everywhere or at a level."""
        found, region = self._grown(heart.labels), None if level is None else self.levels[level]
        row: Row = {}
        for c, name in LABEL_NAMES.items():
            a, b = found == c, self.labels == c
            hd95, assd = surface_distances_mm(a, b, heart.spacing_mm, region)
            row[f"dice_{name}"] = dice(a, b) if region is None else dice(a & region, b & region)
            row |= {f"hd95_{name}_mm": hd95, f"assd_{name}_mm": assd}
        return row

    def errors(self, heart: DenseHeart) -> Row:
        """Errors of volume and mass, and what is left of the shifts."""
        row: Row = {}
        for (c, name), true_ml in zip(LABEL_NAMES.items(), self.volumes_ml, strict=True):
            error_ml = float((heart.labels == c).sum() * np.prod(heart.spacing_mm)) / 1000 - true_ml
            row[f"volume_error_{name}_percent"] = 100 * error_ml / true_ml
            if name == "lv_myocardium":
                row["mass_error_g"] = error_ml * MYOCARDIAL_DENSITY_G_PER_ML
        return row | {"shift_error_mm": shift_error_mm(*self._centres(heart))}

    def _centres(self, heart: DenseHeart) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(M, 2) each: the left ventricle's centre in mm, found and true, in the acquired slices that show it."""
        pairs = [(heart.labels[n], self.labels[n + self.grown[0]]) for n in self.acquired]
        masks = [[np.isin(labels, (1, 2)) for labels in pair] for pair in pairs]
        pixel_mm = heart.frame.pixel_mm
        both = [pair for pair in masks if min(mask.sum() for mask in pair) * pixel_mm**2 >= LEAST_AREA_MM2]
        found, true = (
            np.array([ndimage.center_of_mass(pair[n]) for pair in both]).reshape(-1, 2) * pixel_mm for n in (0, 1)
        )
        return found, true

    def _grown(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.pad(labels, (self.grown, (0, 0), (0, 0)))
