"""clinical: EDV, ESV, EF, LV mass and RV volumes against those of the manual labels.

The reference sums the manual labels over the acquired slices (area times slab), as the clinic does. Each method's
volumes are those of the dense heart that it fills (every 2.5 mm); `slice summation` sums the segmenter's labels like
the reference. A row is one measure of one patient. Limits of agreement: bias +- 1.96 SD (Bland & Altman 1986). ICC:
two-way random, absolute agreement, single measurement (ICC(2,1), Shrout & Fleiss 1979).
"""

from __future__ import annotations

from dmcvr.clinical.measures import PhaseVolumes, dense_volumes, slice_summation
from dmcvr.evaluate.case import Bench, Case, Findings
from dmcvr.evaluate.dense import DenseHeart, dense_hearts
from dmcvr.evaluate.metric import CLINICAL
from dmcvr.exam.volume import Volume

SUMMED = "slice summation"


def clinical(case: Case, bench: Bench) -> Findings:
    """A row for each contender and measure; nothing without both ED and ES."""
    stack = case.stack
    if not {"ED", "ES"} <= set(stack.phases):
        return Findings()
    manual = dict(zip(stack.phases, slice_summation(case.manual, stack.positions_mm, stack.pixel_mm), strict=True))
    truth = _function(manual)
    volumes: dict[str, dict[str, PhaseVolumes]] = {}
    for phase, contender, heart in dense_hearts(stack, bench):
        volumes.setdefault(contender.name, {})[phase] = _volumes(heart)
        if not contender.manual:
            pixel = (heart.frame.pixel_mm, heart.frame.pixel_mm)
            summed = slice_summation(heart.acquired[None], stack.positions_mm, pixel)[0]
            volumes.setdefault(SUMMED, {})[phase] = summed
    rows = []
    for method, of_phase in volumes.items():
        for measure, value in _function(of_phase).items():
            keys = {"task": measure, "method": method}
            numbers = {"value": value, "manual": truth[measure], "error": value - truth[measure]}
            rows.append({**case.about, **keys, **numbers})
    return Findings(rows)


def _volumes(heart: DenseHeart) -> PhaseVolumes:
    return dense_volumes(Volume(heart.labels[None], heart.affine))[0]


def _function(volumes: dict[str, PhaseVolumes]) -> dict[str, float]:
    ed, es = volumes["ED"], volumes["ES"]

    def ejected(full: float, emptied: float) -> float:
        return 100 * (full - emptied) / full if full else float("nan")

    values = (
        ed.lv_cavity_ml,
        es.lv_cavity_ml,
        ejected(ed.lv_cavity_ml, es.lv_cavity_ml),
        ed.lv_mass_g,
        ed.rv_cavity_ml,
        es.rv_cavity_ml,
        ejected(ed.rv_cavity_ml, es.rv_cavity_ml),
    )
    return dict(zip((metric.key for metric in CLINICAL), values, strict=True))
