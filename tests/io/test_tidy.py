"""The measures as a table."""

from __future__ import annotations

import csv
from pathlib import Path

from dmcvr.clinical.measures import PhaseVolumes, measures
from dmcvr.exam.stack import Patient
from dmcvr.io.tidy import COLUMNS, STRAINS, tidy_rows, write_measures


def test_the_tidy_table_has_every_number(tmp_path: Path) -> None:
    phases = (PhaseVolumes(150.0, 100.0, 160.0), PhaseVolumes(60.0, 102.0, 72.0), PhaseVolumes(100.0, 101.0, 110.0))
    patient = Patient(height_cm=180.0, weight_kg=80.0)
    numbers = measures(phases, phases, ("0", "1", "2"), patient, times_ms=(0.0, 300.0, 600.0))
    segments = {str(n): None if n == 17 else 8.0 + n / 10 for n in range(1, 18)}
    numbers["wall_thickness"] = {"phase": "0", "segments_mm": segments, "mean_mm": 8.9, "max_mm": 11.0}
    curves = {f"{name}_percent": [0.0, -20.5, -11.0] for name in STRAINS}
    peaks = {f"{name}_peak_percent": -20.5 for name in STRAINS}
    numbers["strain"] = {"reference_phase": "0", "phases": ["0", "1", "2"], **curves, **peaks, "method": ""}
    write_measures(tmp_path / "measures.csv", numbers, "case 7")
    with (tmp_path / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["case"] for row in rows} == {"case 7"}

    def value(quantity: str, structure: str, phase: str, convention: str) -> tuple[str, str]:
        keys = {"quantity": quantity, "structure": structure, "phase": phase, "convention": convention}
        (row,) = [row for row in rows if all(row[key] == wanted for key, wanted in keys.items())]
        return row["value"], row["unit"]

    assert value("volume", "lv_cavity", "2", "dense_volume") == ("100.0", "mL")
    assert value("mass", "lv_myocardium", "1", "slice_summation") == ("107.1", "g")
    assert value("edv", "lv", "0", "dense_volume") == ("150.0", "mL")
    assert value("esv_index", "rv", "1", "dense_volume") == ("36.0", "mL/m2")
    assert value("mass_index", "lv", "0", "dense_volume") == ("52.5", "g/m2")
    assert value("ef", "lv", "", "dense_volume") == ("60.0", "%")
    assert value("body_surface_area", "", "", "body_surface_area") == ("2.0", "m2")
    assert value("time", "", "1", "") == ("300.0", "ms")
    assert value("wall_thickness", "aha_segment_3", "0", "wall_thickness") == ("8.3", "mm")
    assert value("wall_thickness", "aha_segment_17", "0", "wall_thickness") == ("", "mm")
    assert value("wall_thickness_max", "lv_myocardium", "0", "wall_thickness") == ("11.0", "mm")
    assert value("gls_midwall", "lv", "1", "strain") == ("-20.5", "%")
    assert value("grs_peak", "lv", "", "strain") == ("-20.5", "%")
    assert len({tuple(row[key] for key in COLUMNS if key != "value") for row in rows}) == len(rows)
    assert len(rows) == len(list(tidy_rows(numbers))) == 3 + 2 * (3 * 4 + 9 + 7) + 1 + 19 + len(STRAINS) * (3 + 1)
