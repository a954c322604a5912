"""The protocols by name: how each measures, compares and draws, and who takes part unless told otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dmcvr.evaluate.ablation import ablation
from dmcvr.evaluate.case import Measure, Row
from dmcvr.evaluate.cine import cine
from dmcvr.evaluate.clinical import clinical
from dmcvr.evaluate.held_out import held_out
from dmcvr.evaluate.long_axis import long_axis
from dmcvr.evaluate.phantom import phantom
from dmcvr.evaluate.plots import bland_altman, paired_plot
from dmcvr.evaluate.round_trip import round_trip
from dmcvr.evaluate.segmentation import segmentation
from dmcvr.evaluate.tables import Tabulate, clinical_tables, comparison, segmentation_tables

#: Where the cases come from: labelled ACDC-style patients; patients with long-axis views, else phantoms; phantoms;
#: 4D exams.
Source = Literal["patients", "views", "phantoms", "cines"]

EVERYONE = ("dmcvr", "nearest", "linear", "cubic", "shape", "registration")

#: What ours has to beat by name: the best plain image, and labels interpolated from manual ones.
BARS = (
    ("registration", ("psnr", "ssim", "sharpness", "feature", "dice")),
    ("shape:labels=manual", ("dice",)),
)


@dataclass(frozen=True)
class Protocol:
    """One way to find the truth."""

    measure: Measure
    tabulate: Tabulate
    plot: Callable[[Path, list[Row]], None]
    methods: tuple[str, ...]
    source: Source = "patients"

    @property
    def definition(self) -> str:
        """The protocol in words: its module's docstring."""
        return (sys.modules[self.measure.__module__].__doc__ or "").strip()


PROTOCOLS: dict[str, Protocol] = {
    "held-out": Protocol(
        held_out,
        comparison("phase", "level", bars=BARS),
        paired_plot,
        (
            *EVERYONE,
            "dmcvr:image=mean",
            "dmcvr:labels=manual",
            "shape:labels=manual",
            "registration:labels=manual",
        ),
    ),
    "phantom": Protocol(phantom, comparison("phase"), paired_plot, EVERYONE, "phantoms"),
    "long-axis": Protocol(long_axis, comparison("phase"), paired_plot, EVERYONE, "views"),
    "segmentation": Protocol(segmentation, segmentation_tables, paired_plot, ("dmcvr",)),
    "clinical": Protocol(clinical, clinical_tables, bland_altman, ("dmcvr", "linear", "shape", "registration")),
    "round-trip": Protocol(round_trip, comparison("phase"), paired_plot, ("dmcvr", "linear")),
    "cine": Protocol(cine, comparison(), paired_plot, ("dmcvr", "linear", "registration"), "cines"),
    "ablation": Protocol(
        ablation,
        comparison(),
        paired_plot,
        (
            "dmcvr",
            "dmcvr:image=mean",
            "dmcvr:x_T=lerp",
            "dmcvr:x_T=fresh",
            "dmcvr:guides=slerp",
            "dmcvr:steps=1",
            "dmcvr:steps=100",
            "published",
            "linear",
            "registration",
        ),
    ),
}
