"""Measures against sums made by hand."""

from __future__ import annotations

import json
from dataclasses import astuple

import numpy as np
import pytest

from dmcvr.clinical.measures import PhaseVolumes, body_surface_area_m2, dense_volumes, measures, slice_summation
from dmcvr.errors import InputError
from dmcvr.exam.stack import Patient
from dmcvr.exam.volume import Volume

ED = PhaseVolumes(150.0, 100.0, 160.0)
ES = PhaseVolumes(60.0, 102.0, 72.0)


def test_dense_volume_of_a_sphere() -> None:
    distance = np.linalg.norm(np.stack(np.meshgrid(*[np.arange(41) - 20] * 3), axis=-1), axis=-1)
    labels = np.where(distance <= 12, 1, np.where(distance <= 18, 2, 0)).astype(np.uint8)
    affine = np.diag([-1.5, 1.5, 1.5, 1.0])  # left-handed
    (volumes,) = dense_volumes(Volume(labels[None], affine))
    assert volumes.lv_cavity_ml == pytest.approx(4 / 3 * np.pi * 18**3 / 1000, rel=0.02)
    assert volumes.lv_myocardium_ml == pytest.approx(4 / 3 * np.pi * (27**3 - 18**3) / 1000, rel=0.02)
    assert volumes.rv_cavity_ml == 0
    assert volumes.lv_mass_g == pytest.approx(1.05 * volumes.lv_myocardium_ml)


def test_dense_volumes_of_each_phase() -> None:
    data = np.zeros((2, 2, 2, 2), np.uint8)
    data[0, 0, 0] = [1, 2]
    data[1] = 3
    affine = np.diag([10.0, 10.0, 10.0, 1.0])
    first, second = dense_volumes(Volume(data, affine))
    assert astuple(first) == pytest.approx((1.0, 1.0, 0.0))
    assert astuple(second) == pytest.approx((0.0, 0.0, 8.0))


def test_slice_summation_with_unequal_gaps() -> None:
    labels = np.zeros((2, 3, 4, 5), np.uint8)
    labels[0, 0, 0, :1] = 1  # 1 pixel in the slab of 8 mm
    labels[0, 1, 0, :2] = 1  # 2 pixels in (8 + 12) / 2 = 10 mm
    labels[0, 2, 0, :3] = 1  # 3 pixels in 12 mm
    labels[0, 1, 1] = 2  # 5 pixels in 10 mm
    labels[1, 2] = 3  # 20 pixels in 12 mm
    first, second = slice_summation(labels, np.array([-5.0, 3.0, 15.0]), (2.0, 1.5))
    assert first.lv_cavity_ml == pytest.approx((1 * 8 + 2 * 10 + 3 * 12) * 3 / 1000)
    assert first.lv_myocardium_ml == pytest.approx(5 * 10 * 3 / 1000)
    assert first.rv_cavity_ml == 0
    assert astuple(second) == pytest.approx((0.0, 0.0, 20 * 12 * 3 / 1000))


def test_slice_summation_with_equal_gaps_is_area_times_spacing() -> None:
    (volumes,) = slice_summation(np.ones((1, 6, 3, 3), np.uint8), np.arange(6) * 10.0, (1.0, 1.0))
    assert volumes.lv_cavity_ml == pytest.approx(6 * 9 * 10 / 1000)


@pytest.mark.parametrize("positions", [[0.0], [0.0, 0.0], [8.0, 0.0], [0.0, 8.0, 16.0]])
def test_slice_summation_refuses_positions_it_cannot_use(positions: list[float]) -> None:
    with pytest.raises(InputError, match="ascending"):
        slice_summation(np.ones((1, min(len(positions), 2), 3, 3), np.uint8), np.array(positions), (1.0, 1.0))


def test_function_by_hand() -> None:
    summed = (PhaseVolumes(140.0, 90.0, 150.0), PhaseVolumes(70.0, 90.0, 60.0))
    result = measures((ED, ES), summed, ("ED", "ES"), Patient())
    assert result["dense_volume"]["lv"] == {
        "edv_ml": 150.0,
        "esv_ml": 60.0,
        "mass_g": 105.0,
        "sv_ml": 90.0,
        "ef_percent": 60.0,
    }
    assert result["dense_volume"]["rv"] == {
        "edv_ml": 160.0,
        "esv_ml": 72.0,
        "sv_ml": 88.0,
        "ef_percent": 55.0,
    }
    assert result["dense_volume"]["phases"]["ES"] == {
        "lv_cavity_ml": 60.0,
        "lv_myocardium_ml": 102.0,
        "rv_cavity_ml": 72.0,
        "lv_mass_g": 107.1,
    }
    assert result["slice_summation"]["lv"]["ef_percent"] == 50.0
    assert result["slice_summation"]["lv"]["mass_g"] == 94.5
    assert result["consistency"] == {
        "mass_ed_g": 105.0,
        "mass_es_g": 107.1,
        "mass_least_g": 105.0,
        "mass_most_g": 107.1,
        "mass_drift_percent": 1.98,
        "lv": {"ef_dense_percent": 60.0, "ef_slices_percent": 50.0, "ef_gap_points": 10.0},
        "rv": {"ef_dense_percent": 55.0, "ef_slices_percent": 60.0, "ef_gap_points": -5.0},
    }
    assert (result["ed_phase"], result["es_phase"]) == ("ED", "ES")
    assert result["ed_es_chosen_by"] == "phase names"
    assert result["bsa_m2"] is None
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_names_decide_whatever_their_order_and_size() -> None:
    result = measures((ED, ES), (ED, ES), ("ES", "ED"), Patient())
    assert result["dense_volume"]["lv"]["edv_ml"] == 60.0
    assert result["dense_volume"]["lv"]["ef_percent"] == -150.0


def test_cine_takes_ed_and_es_from_the_dense_lv_cavity_for_both_conventions() -> None:
    middle = PhaseVolumes(100.0, 100.0, 300.0)
    result = measures((middle, ES, ED), (ED, middle, ES), ("0", "1", "2"), Patient())
    assert (result["ed_phase"], result["es_phase"]) == ("2", "1")
    assert result["volume_time"] == {
        "phases": ["0", "1", "2"],
        "times_ms": None,
        "lv_cavity_ml": [100.0, 60.0, 150.0],
        "rv_cavity_ml": [300.0, 72.0, 160.0],
        "convention": "dense_volume",
    }
    assert "largest and smallest LV cavity" in result["ed_es_chosen_by"]
    assert result["dense_volume"]["rv"]["edv_ml"] == 160.0
    assert result["slice_summation"]["lv"]["edv_ml"] == 60.0


@pytest.mark.parametrize("phases", [("ED",), ("0", "1"), ("ED", "1", "2")])
def test_no_function_without_ed_and_es(phases: tuple[str, ...]) -> None:
    volumes = (ED, ES, ES)[: len(phases)]
    result = measures(volumes, volumes, phases, Patient())
    assert (result["ed_phase"], result["es_phase"], result["ed_es_chosen_by"]) == (None, None, None)
    assert set(result["dense_volume"]) == {"phases"}
    assert tuple(result["dense_volume"]["phases"]) == phases


def test_ejection_fraction_of_an_empty_ventricle_is_null() -> None:
    empty = PhaseVolumes(0.0, 0.0, 0.0)
    result = measures((empty, empty), (ED, ES), ("ED", "ES"), Patient())
    assert result["dense_volume"]["lv"]["ef_percent"] is None
    assert result["slice_summation"]["lv"]["ef_percent"] == 60.0
    assert (result["consistency"]["lv"], result["consistency"]["mass_drift_percent"]) == (None, None)


def test_sizes_are_indexed_by_body_surface_area() -> None:
    result = measures((ED, ES), (ED, ES), ("ED", "ES"), Patient(height_cm=180.0, weight_kg=80.0))
    assert result["bsa_m2"] == 2.0
    lv, rv = result["dense_volume"]["lv"], result["dense_volume"]["rv"]
    assert (lv["edv_ml_per_m2"], lv["esv_ml_per_m2"], lv["mass_g_per_m2"]) == (75.0, 30.0, 52.5)
    assert lv["sv_ml_per_m2"] == 45.0
    assert (rv["edv_ml_per_m2"], rv["esv_ml_per_m2"]) == (80.0, 36.0)
    assert "mass_g_per_m2" not in rv


@pytest.mark.parametrize(
    "patient", [Patient(), Patient(height_cm=180.0), Patient(height_cm=0.0, weight_kg=float("nan"))]
)
def test_no_body_surface_area_without_height_and_weight(patient: Patient) -> None:
    assert body_surface_area_m2(patient) is None


def test_numbers_are_rounded_and_conventions_are_written_out() -> None:
    third = PhaseVolumes(100 / 3, 100 / 3, 100 / 3)
    result = measures((third,), (third,), ("ED",), Patient())
    assert result["dense_volume"]["phases"]["ED"]["lv_cavity_ml"] == 33.33
    assert result["dense_volume"]["phases"]["ED"]["lv_mass_g"] == 35.0
    assert "ACDC" in result["conventions"]["papillary_muscles"]
    assert "1.05 g/mL" in result["conventions"]["density"]
    assert "half of the wall" in result["conventions"]["base"]


def test_every_phase_needs_its_volumes() -> None:
    with pytest.raises(ValueError, match="zip"):
        measures((ED,), (ED,), ("ED", "1"), Patient())


def test_given_phases_win_over_names_and_volumes() -> None:
    volumes = (ED, PhaseVolumes(100.0, 100.0, 300.0), ES)
    result = measures(volumes, volumes, ("ED", "ES", "2"), Patient(), ed=0, es=2)
    assert (result["ed_phase"], result["es_phase"], result["ed_es_chosen_by"]) == ("ED", "2", "given")
    one = measures(volumes, volumes, ("0", "1", "2"), Patient(), es=1, times_ms=(0.0, 30.0, 60.0))
    assert (one["ed_phase"], one["es_phase"]) == ("0", "1")
    assert one["ed_es_chosen_by"].endswith("ES given")
    assert one["volume_time"]["times_ms"] == [0.0, 30.0, 60.0]


def test_implausible_function_is_said() -> None:
    assert measures((ED, ES), (ED, ES), ("ED", "ES"), Patient())["ed_es_warnings"] == []
    (warning,) = measures((ED, ED), (ED, ED), ("ED", "ES"), Patient())["ed_es_warnings"]
    assert "ejection fraction of 0 %" in warning


def test_normal_values_are_those_of_the_sex() -> None:
    patient = Patient(height_cm=180.0, weight_kg=80.0, sex="F")
    rows = measures((ED, ES), (ED, ES), ("ED", "ES"), patient)["reference"]
    names = ["LV ejection fraction", "LV mass index", "RV end-diastolic volume", "RV end-systolic volume"]
    assert [(row["name"], row["sex"]) for row in rows] == [(name, "F") for name in names]
    fraction, mass, *_ = rows
    assert (fraction["value"], fraction["low"], fraction["high"], fraction["z"]) == (60.0, 51.2, 70.8, -0.2)
    assert (mass["value"], mass["unit"], mass["z"]) == (52.5, "g/m2", 1.5)
    assert all("10.1186/s12968-017-0327-9" in row["source"] for row in rows[:2])
    unknown = measures((ED, ES), (ED, ES), ("ED", "ES"), Patient())["reference"]
    assert [row["sex"] for row in unknown] == ["F", "M"] * 3  # of EF and the RV; without a body size no mass index
