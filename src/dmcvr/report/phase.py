"""What phases are called, and which of them are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def first_phase(measures: dict[str, Any], phases: Sequence[str]) -> int:
    """The phase that is shown first: ED where it is known."""
    return phases.index(measures["ed_phase"]) if measures.get("ed_phase") in phases else 0


def spoken_phase(name: str, measures: dict[str, Any] | None = None) -> str:
    """A phase's name for people: ED, ES, or its number with what it is."""
    if not name.isdecimal():
        return name
    known = measures or {}
    mark = {known.get("ed_phase"): " (ED)", known.get("es_phase"): " (ES)"}.get(name, "")
    return f"phase {name}{mark}"


def shown_phases(measures: dict[str, Any], phases: Sequence[str]) -> list[tuple[int, str, str]]:
    """(index, name, as it is called) of ED and ES, where they are known, else of the first phase."""
    marks = [measures.get("ed_phase"), measures.get("es_phase")]
    chosen = [phases.index(name) for name in marks if name in phases] or [0]
    return [(n, phases[n], spoken_phase(phases[n], measures)) for n in chosen]
