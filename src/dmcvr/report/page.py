"""`report.html`: everything of one result in one file that opens anywhere, offline.

The page's own policy (Content-Security-Policy) forbids any request and any script but the two that are written into it,
by their hash. Everything that comes from a record passes through Jinja2's escaping.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dmcvr.clinical.cycle import beat_ms
from dmcvr.errors import OutputError
from dmcvr.exam.stack import LABEL_TITLES
from dmcvr.io.result import read_result
from dmcvr.labels.colours import BETWEEN, COLOURS, css
from dmcvr.report import bullseye, numbers, stills
from dmcvr.report.curve import STRAINS, curve, strain_curve
from dmcvr.report.figure import data_uri
from dmcvr.report.holds import shifts
from dmcvr.report.phase import first_phase, shown_phases, spoken_phase
from dmcvr.report.scene import Scene, make_scene
from dmcvr.report.sheet import contact_sheets
from dmcvr.report.surfaces import surfaces
from dmcvr.report.views import long_axis
from dmcvr.report.volumes import viewer_sets
from dmcvr.result import Result

VIEWER = Path(__file__).parent / "viewer"

#: The page's own script, part by part.
SCRIPT = ("focus", "surfaces", "tools", "viewer")

#: Said where the viewer was not built in.
NO_VIEWER = (
    "This page has still pictures only: the 3D viewer was not there when dmcvr was installed. Install npm, then dmcvr "
    "again (scripts/setup), and run dmcvr report on this folder."
)


def write_report(result: Result, path: Path) -> None:
    """Write the page of a result."""
    path.write_text(report_html(result), encoding="utf-8")


def rewrite_report(folder: Path) -> Path:
    """Write report.html anew into a folder that `dmcvr reconstruct` wrote; returns its path.

    Raises `InputError` where the folder is not one, and `OutputError` where it cannot be written.
    """
    page = report_html(read_result(folder))
    partial, path = folder / ".report.html.partial", folder / "report.html"
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}).") from error
    return path


def report_html(result: Result) -> str:
    """The page of a result, as text."""
    scene = make_scene(result)
    measures, run, phases = result.measures, result.run, result.phases
    shown = first_phase(measures, phases)
    chosen = shown_phases(measures, phases)
    found = numbers.lines(measures)
    relief = stills.relief(scene, shown)
    viewer = niivue()
    sets = viewer_sets(scene, phases, [name for _, name, _ in chosen]) if viewer else []
    wall = measures.get("wall_thickness")
    context = {
        "phases": phases,
        "spoken": {name: spoken_phase(name, measures) for name in phases},
        "measures": measures,
        "run": run,
        "lines": found,
        "headline": numbers.headline(found),
        "flags": run.get("flags"),
        "warnings": run.get("warnings", []),
        "cuts": stills.cuts(scene, shown),
        "relief": None if relief is None else data_uri(relief),
        "shown": spoken_phase(phases[shown], measures),
        "completed": bool(scene.completed.any()),
        "unsure": scene.uncertainty is not None,
        "quality": run.get("quality"),
        "level": round(100 * (measures.get("intervals") or {}).get("level", 0)),
        "window": scene.window,
        "planes": long_axis(result.views, scene, chosen),
        "sheets": contact_sheets(scene, [(n, spoken) for n, _, spoken in chosen]),
        "curve": curve(measures, phases),
        "strain_curve": strain_curve(measures, phases),
        "strains": STRAINS,
        "shifts": shifts(run.get("breath_holds"), base_first=scene.base_first),
        "wall": wall,
        "segments": bullseye.segments(wall["segments_mm"]) if wall else [],
        "legend": bullseye.legend(),
        "structures": LABEL_TITLES,
        "sets": [{**s, "spacing_mm": round(s["spacing_mm"], 2)} for s in sets],
        "left_out": left_out(scene, sets, bool(run.get("heart", {}).get("mirrored_geometry"))),
        "has_acquired": scene.acquired is not None,
        "no_viewer": None if viewer else NO_VIEWER,
        "version": version("dmcvr"),
        "licenses": licenses() if viewer else "",
    }
    script = "\n".join(read(f"script/{name}.js") for name in SCRIPT)
    scripts = [viewer, script] if viewer else [script]
    data = viewer_data(scene, result, sets) if viewer else None
    return render("report.html.j2", scripts=scripts, data=data, **context)


def viewer_data(scene: Scene, result: Result, sets: list[dict[str, Any]]) -> dict[str, Any]:
    """All that the script draws; strings in it are shown as text."""
    measures, phases = result.measures, result.phases
    return {
        "sets": sets,
        "phases": phases,
        "spoken": [spoken_phase(name, measures) for name in phases],
        "start": first_phase(measures, phases),
        "window": {
            "least": scene.window.least,
            "most": scene.window.most,
            "presets": {name: list(pair) for name, pair in scene.window.presets.items()},
        },
        "beat_ms": beat_ms((measures.get("volume_time") or {}).get("times_ms")),
        "meshes": surfaces(scene),
        "heights_mm": scene.heights_mm.tolist(),
        "numbers": scene.numbers,
        "middle_mm": (scene.origin_mm + scene.spacing_mm * np.array(scene.middle)).tolist(),
        "structures": {str(label): {"name": name, "rgb": COLOURS[label]} for label, name in LABEL_TITLES.items()},
        "between": BETWEEN,
    }


def left_out(scene: Scene, sets: list[dict[str, Any]], mirrored: bool) -> list[str]:
    """Sentences: what the files beside the page hold and the page does not."""
    said = ["The picture is cropped to the heart and shown in 256 shades of grey."]
    for part in sets:
        if part["spacing_mm"] > scene.spacing_mm * 1.01:
            what = (
                ", ".join(spoken_phase(name) for name in part["phases"])
                if len(part["phases"]) <= 2
                else "the beating heart"
            )
            sizes = f"at {part['spacing_mm']:.1f} mm instead of {scene.spacing_mm:.1f} mm"
            said.append(f"To keep the page small, {what} is shown {sizes}.")
    if mirrored:
        said.append("The files' frame mirrors the heart; this page does not.")
    said.append("Surfaces are smoothed and simplified for looks; measures are counted in the voxels of the label map.")
    return said


def render(template: str, *, scripts: list[str], data: dict[str, Any] | None = None, **context: Any) -> str:
    """A page from a template of this package, with its scripts and the policy that allows just these."""
    inline = [f"\n{script_safe(text)}\n" for text in scripts]
    return (
        _environment()
        .get_template(template)
        .render(
            policy=page_policy(inline),
            scripts=[Markup(text) for text in inline],
            data=None if data is None else Markup(json_safe(data)),
            css=Markup(read("report.css")),
            colours={label: css(colour) for label, colour in COLOURS.items()},
            between=css(BETWEEN),
            **context,
        )
    )


def page_policy(scripts: Sequence[str], *, beside: bool = False) -> str:
    """The policy (Content-Security-Policy) of a page with these scripts written into it, and no others.

    `beside`: it also loads scripts from its own folder, on disk or from where it is served.
    """
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in scripts]
    sources = [*(f"'sha256-{value}'" for value in hashes), *(("'self'", "file:") if beside else ())]
    return "; ".join(
        [
            "default-src 'none'",
            "img-src data: blob:",
            "style-src 'unsafe-inline'",
            "connect-src data: blob:",
            "script-src " + (" ".join(sources) or "'none'"),
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def niivue() -> str | None:
    """NiiVue as a script that sets `globalThis.niivue`; None where it was not built in."""
    path = VIEWER / "niivue.umd.js"
    return re.sub(r"//# sourceMappingURL=.*", "", path.read_text(encoding="utf-8")) if path.is_file() else None


def licenses() -> str:
    """The licences of what the viewer is made of."""
    return (VIEWER / "licenses.txt").read_text(encoding="utf-8")


def read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def json_safe(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def script_safe(text: str) -> str:
    """Script text in which nothing begins or ends an element (such words stand in strings only)."""
    return re.sub(r"<(?=/?script|!--)", r"\\x3c", text, flags=re.IGNORECASE)


@cache
def _environment() -> Environment:
    loader = PackageLoader("dmcvr.report", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
