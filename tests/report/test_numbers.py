"""The measures as a person reads them."""

from __future__ import annotations

from dmcvr.reconstruction import Reconstruction
from dmcvr.report.numbers import lines, number


def test_a_range_is_told_and_left(heart: Reconstruction) -> None:
    normal = {"name": "LV ejection fraction", "value": 20.0, "unit": "%", "low": 51, "high": 71, "sex": "F"}
    found = lines(heart.measures | {"reference": [normal | {"source": "someone", "z": -8}]})
    ejection = next(line for line in found if line.name == "LV ejection fraction")
    assert ejection.range == "women 51–71 %"
    assert ejection.outside == "below"
    both = heart.measures["consistency"]
    assert ejection.beside == f"{both['lv']['ef_slices_percent']:.0f} % by slices"
    mass = next(line for line in found if line.name == "LV mass")
    assert mass.beside == f"at ED; {both['mass_es_g']:.0f} g at ES"


def test_numbers_without_function_are_volumes() -> None:
    phases = {"ED": {"lv_cavity_ml": 120.4, "lv_mass_g": 99.5, "rv_cavity_ml": 130.0}}
    summed = {"ED": {"lv_cavity_ml": 118.0, "lv_mass_g": 98.0, "rv_cavity_ml": 131.0}}
    found = lines({"dense_volume": {"phases": phases}, "slice_summation": {"phases": summed}})
    assert [(line.name, line.value, line.summed, line.unit) for line in found] == [
        ("LV cavity (ED)", "120", "118", "mL"),
        ("LV mass (ED)", "100", "98", "g"),
        ("RV cavity (ED)", "130", "131", "mL"),
    ]
    assert number(None, 0) == "–"
