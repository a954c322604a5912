"""A result as a notebook shows it: still pictures and the measures, no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcvr.io.result import Result
from dmcvr.report import numbers, stills
from dmcvr.report.page import first_phase, render
from dmcvr.report.scene import make_scene

if TYPE_CHECKING:
    from dmcvr.reconstruction import Reconstruction


def notebook_html(heart: Reconstruction) -> str:
    """A fragment of HTML: middle slice, long-axis cut before and after, measures, what asks for a second look."""
    result = Result.of(heart)
    phase = first_phase(result.measures, result.phases)
    return render(
        "notebook.html.j2",
        scripts=[],
        cuts=stills.cuts(make_scene(result), phase),
        phase=result.phases[phase],
        lines=numbers.lines(result.measures),
        looks=[flag for flag in result.run.get("flags", []) if flag["level"] == "look"],
        notice=result.run["notice"],
    )
