"""What phases are called."""

from __future__ import annotations

from dmcvr.report.phase import first_phase, shown_phases, spoken_phase

MEASURES = {"ed_phase": "3", "es_phase": "0"}


def test_a_number_is_a_phase() -> None:
    assert spoken_phase("0") == "phase 0"
    assert spoken_phase("0", MEASURES) == "phase 0 (ES)"
    assert spoken_phase("ED", MEASURES) == "ED"


def test_ed_and_es_are_shown_where_they_are_known() -> None:
    phases = ["0", "1", "2", "3"]
    assert shown_phases(MEASURES, phases) == [(3, "3", "phase 3 (ED)"), (0, "0", "phase 0 (ES)")]
    assert first_phase(MEASURES, phases) == 3
    assert shown_phases({"ed_phase": None, "es_phase": None}, ["7"]) == [(0, "7", "phase 7")]
    assert first_phase({}, ["7"]) == 0
