"""A result as a notebook shows it: still pictures and the measures, no script."""

from __future__ import annotations

from dmcvr.report import numbers, stills
from dmcvr.report.page import render
from dmcvr.report.phase import first_phase, spoken_phase
from dmcvr.report.scene import make_scene
from dmcvr.result import Result


def notebook_html(result: Result) -> str:
    """A fragment of HTML: middle slice, long-axis cut before and after, measures, what asks for a second look."""
    phase = first_phase(result.measures, result.phases)
    return render(
        "notebook.html.j2",
        scripts=[],
        cuts=stills.cuts(make_scene(result), phase),
        phase=spoken_phase(result.phases[phase], result.measures),
        lines=numbers.lines(result.measures),
        looks=[flag for flag in result.run.get("flags", []) if flag["level"] == "look"],
        notice=result.run["notice"],
    )
