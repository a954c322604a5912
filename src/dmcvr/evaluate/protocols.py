"""The protocols by name: how each measures, compares and draws, and who takes part unless told otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dmcvr.evaluate.ablation import ablation, ablation_tables
from dmcvr.evaluate.case import Measure
from dmcvr.evaluate.cine import cine
from dmcvr.evaluate.clinical import clinical
from dmcvr.evaluate.held_out import held_out
from dmcvr.evaluate.intervals import coverage, intervals
from dmcvr.evaluate.long_axis import long_axis
from dmcvr.evaluate.metric import DICE, IMAGE, METRICS, SOLID
from dmcvr.evaluate.paper import paper, paper_tables
from dmcvr.evaluate.phantom import phantom
from dmcvr.evaluate.plots import bland_altman, foretold_plot, interval_plot, paired_plot, reliability_plot
from dmcvr.evaluate.reliability import reliability, reliability_tables
from dmcvr.evaluate.round_trip import round_trip
from dmcvr.evaluate.segmentation import segmentation
from dmcvr.evaluate.settings import ProtocolName
from dmcvr.evaluate.tables import Bar, Tabulate, clinical_tables, comparison, segmentation_tables, solid_tables
from dmcvr.evaluate.trust import trust, trust_tables

#: The strongest that a user has without our networks: neighbours aligned by grey values and labels, averaged; and the
#: same brought back to the sharpness that ours has.
ALIGNED = "registration:align=labels:carry=warp"
SHARPENED = f"{ALIGNED}:detail=0.94"

PLAIN = ("nearest", "linear", "cubic", "shape", "registration", ALIGNED)

#: Where 3D hearts are compared: ours as a user has it, slid into one breath-hold and completed, by the short axis alone
#: and with long-axis views, and what it has to beat. The labels are those of `image=sharp`, and are found sooner.
SOLID_OURS = ("dmcvr:image=mean:slide=auto:complete=auto", "dmcvr:image=mean:slide=views:complete=views")
SOLID_RIVALS = ("shape", "registration", ALIGNED)

#: What ours has to beat by name, among those that are given the same labels.
BARS: tuple[Bar, ...] = (
    (ALIGNED, (*IMAGE, *DICE)),
    (SHARPENED, IMAGE),
    (f"{ALIGNED}:labels=manual", (*IMAGE, *DICE)),
    ("shape:labels=manual", DICE),
)

#: The same in 3D.
SOLID_BARS: tuple[Bar, ...] = tuple(
    (f"{name}{labels}", (*SOLID, METRICS["shift_error_mm"]))
    for name in SOLID_RIVALS
    for labels in ("", ":labels=manual")
)


@dataclass(frozen=True)
class Protocol:
    """One way to find the truth; `methods` is empty where none are compared."""

    measure: Measure
    tabulate: Tabulate
    plot: Callable[[Path, pd.DataFrame], None]
    methods: tuple[str, ...]

    @property
    def definition(self) -> str:
        """The protocol in words: its module's docstring."""
        return (sys.modules[self.measure.__module__].__doc__ or "").strip()


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "held-out": Protocol(
        held_out,
        comparison("phase", "level", "group", bars=BARS),
        paired_plot,
        (
            *("dmcvr", "dmcvr:image=mean", "published", *PLAIN, SHARPENED),
            *(f"{name}:labels=manual" for name in ("dmcvr", "shape", "registration", ALIGNED)),
        ),
    ),
    "phantom": Protocol(
        phantom,
        solid_tables(SOLID_BARS),
        paired_plot,
        tuple(f"{name}{labels}" for labels in ("", ":labels=manual") for name in (*SOLID_OURS, *SOLID_RIVALS)),
    ),
    "long-axis": Protocol(long_axis, comparison("phase"), paired_plot, ("dmcvr", *PLAIN)),
    "segmentation": Protocol(segmentation, segmentation_tables, paired_plot, ()),
    "clinical": Protocol(
        clinical, clinical_tables, bland_altman, ("dmcvr", "linear", "shape", "registration", ALIGNED)
    ),
    "intervals": Protocol(intervals, coverage, interval_plot, ()),
    "reliability": Protocol(reliability, reliability_tables, reliability_plot, ("dmcvr:image=mean",)),
    "trust": Protocol(trust, trust_tables, foretold_plot, ()),
    "round-trip": Protocol(round_trip, comparison("phase"), paired_plot, ("dmcvr", "published", "linear")),
    "cine": Protocol(cine, comparison(), paired_plot, ("dmcvr", "dmcvr:image=mean", "linear", "registration", ALIGNED)),
    "ablation": Protocol(
        ablation,
        ablation_tables,
        paired_plot,
        (
            *(
                "dmcvr",
                "dmcvr:image=mean",
                "dmcvr:texture=0",
                "dmcvr:align=grey",
                "dmcvr:labeller=all",
                "dmcvr:labeller=none",
            ),
            *("dmcvr:guides=slerp", "published", "linear", "registration", ALIGNED),
        ),
    ),
    "paper": Protocol(
        paper,
        paper_tables,
        paired_plot,
        ("published", "deeprecon", "nearest", "linear", "registration", ALIGNED, "dmcvr"),
    ),
}
