"""What is measured: each column of numbers with its title, unit, digits, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dmcvr.exam.stack import LABEL_NAMES

#: Columns that begin so repeat a score after the best in-plane translation.
SHIFTED = "shifted_"

#: How the structures are headed.
STRUCTURES = {"lv_cavity": "LV", "lv_myocardium": "myo", "rv_cavity": "RV"}


@dataclass(frozen=True)
class Metric:
    """A column of numbers.

    ======  ======================================================================================
    key     its name in the rows
    title   as people read it
    unit    of its values; "" for none
    digits  after the point
    better  "higher" or "lower"; "one": nearer to 1; "zero": a signed error, which counts by its size;
            None: a cost or a fact, which is not compared
    ======  ======================================================================================
    """

    key: str
    title: str
    unit: str = ""
    digits: int = 3
    better: Literal["higher", "lower", "one", "zero"] | None = "higher"

    @property
    def heading(self) -> str:
        return f"{self.title} {self.unit}".strip()

    def text(self, value: float, *, signed: bool = False) -> str:
        """The value as a table shows it; "-" where there is none."""
        if not np.isfinite(value):
            return "-"
        return f"{value:+.{self.digits}f}" if signed else f"{value:.{self.digits}f}"

    def merit(self, value: float) -> float:
        """The value turned so that higher is better."""
        match self.better:
            case "higher":
                return value
            case "lower":
                return -value
            case "one":
                return -abs(value - 1)
            case "zero":
                return -abs(value)
        raise ValueError(f"{self.key} is not compared.")


#: Scores of an image beside the true one.
IMAGE = (
    Metric("psnr_db", "PSNR", "dB", 2),
    Metric("ssim", "SSIM"),
    Metric("haarpsi", "HaarPSI"),
    Metric("gmsd", "GMSD", better="lower"),
    Metric("vif", "VIF"),
    Metric("ms_ssim", "MS-SSIM"),
    Metric("sharpness", "sharpness", better="one"),
    Metric("spectrum_fine", "spectrum 1.5-3 mm", better="one"),
    Metric("spectrum_middle", "spectrum 3-6 mm", better="one"),
    Metric("correlation", "correlation"),
)

DICE = tuple(Metric(f"dice_{name}", f"Dice {STRUCTURES[name]}") for name in LABEL_NAMES.values())

_EACH = tuple(
    metric
    for name, title in STRUCTURES.items()
    for metric in (
        Metric(f"hd95_{name}_mm", f"HD95 {title}", "mm", 2, "lower"),
        Metric(f"assd_{name}_mm", f"ASSD {title}", "mm", 2, "lower"),
        Metric(f"volume_error_{name}_percent", f"volume error {title}", "%", 2, "zero"),
    )
)

#: Agreement in 3D.
SOLID = (*DICE, *_EACH)

_OTHERS = (
    Metric("mass_error_g", "LV mass error", "g", 2, "zero"),
    Metric("lv_ef_error_percent", "LV EF error", "%", 2, "zero"),
    Metric("shift_error_mm", "shift error", "mm", 2, "lower"),
    Metric("flicker_between", "flicker between", better=None),
    Metric("flicker_acquired", "flicker acquired", better=None),
    Metric("flicker_ratio", "flicker ratio", better="lower"),
    Metric("shift_mm", "translation", "mm", 2, None),
    Metric("calls_acquired", "calls acquired", digits=2, better=None),
    Metric("calls_drawn", "calls drawn", digits=2, better=None),
    Metric("seconds_a_slice", "seconds a slice", better=None),
    Metric("seconds_acquired", "CPU s acquired", better=None),
    Metric("seconds_drawn", "CPU s drawn", better=None),
)

#: Clinical measures; what is compared is their agreement with the manual ones.
CLINICAL = tuple(
    Metric(f"{side}_{name}", f"{side.upper()} {title}", unit, 2, None)
    for side, name, title, unit in (
        ("lv", "edv_ml", "EDV", "mL"),
        ("lv", "esv_ml", "ESV", "mL"),
        ("lv", "ef_percent", "EF", "%"),
        ("lv", "mass_g", "mass", "g"),
        ("rv", "edv_ml", "EDV", "mL"),
        ("rv", "esv_ml", "ESV", "mL"),
        ("rv", "ef_percent", "EF", "%"),
    )
)

METRICS = {metric.key: metric for metric in (*IMAGE, *SOLID, *_OTHERS, *CLINICAL)}
METRICS |= {SHIFTED + key: replace(metric, key=SHIFTED + key) for key, metric in METRICS.items()}
