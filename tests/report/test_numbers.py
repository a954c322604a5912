"""The measures as a person reads them."""

from __future__ import annotations

from dmcvr.reconstruction import Reconstruction
from dmcvr.report.numbers import headline, lines, number


def test_a_range_is_told_and_left(heart: Reconstruction) -> None:
    normal = {"name": "LV ejection fraction", "value": 20.0, "unit": "%", "low": 51, "high": 71, "sex": "F"}
    found = lines(heart.measures | {"reference": [normal | {"source": "someone", "z": -8}]})
    ejection = next(line for line in found if line.name == "LV ejection fraction")
    assert ejection.range == "women 51–71 %"
    assert ejection.outside == "below"
    both = heart.measures["consistency"]
    assert ejection.beside == f"{both['lv']['ef_slices_percent']:.0f} % by slices"
    assert not ejection.apart
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


def test_ejection_fractions_that_differ_are_both_told(heart: Reconstruction) -> None:
    both = {"ef_dense_percent": 66.7, "ef_slices_percent": 59.4, "ef_gap_points": 7.3}
    found = lines(heart.measures | {"consistency": heart.measures["consistency"] | {"lv": both}})
    ejection = next(line for line in found if line.name == "LV ejection fraction")
    assert (ejection.beside, ejection.apart) == ("59 % by slices: 7 points less", True)


def test_motion_and_strain_stand_in_the_table_not_on_top(heart: Reconstruction) -> None:
    measures = heart.measures | {
        "valve_planes": {"mapse_mm": 12.34, "tapse_mm": None},
        "strain": {"gls_endocardial_peak_percent": -18.2, "grs_peak_percent": 41.0},
    }
    found = {line.name: line for line in lines(measures)}
    assert found["mitral excursion (MAPSE)"].value == "12.3"
    assert "tricuspid excursion (TAPSE)" not in found
    assert (found["longitudinal strain (GLS)"].value, found["radial strain (GRS)"].unit) == ("−18.2", "%")
    assert not any("strain" in line.name or "excursion" in line.name for line in headline(lines(measures)))


def test_a_phase_that_is_a_number_is_called_one() -> None:
    sizes = {"lv_cavity_ml": 120.4, "lv_mass_g": 99.5, "rv_cavity_ml": 130.0}
    found = lines({"dense_volume": {"phases": {"0": sizes}}, "slice_summation": {"phases": {"0": sizes}}})
    assert found[0].name == "LV cavity (phase 0)"
