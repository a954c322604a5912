"""Published normal values beside a patient's own."""

from __future__ import annotations

import pytest

from dmcvr.clinical.reference import NORMAL_VALUES, RANGE_SD, compare


def test_normal_values_are_those_of_the_sex() -> None:
    rows = compare({"lv": {"ef_percent": 60.0, "mass_g_per_m2": 52.5}}, "F")
    assert [(row["name"], row["sex"]) for row in rows] == [("LV ejection fraction", "F"), ("LV mass index", "F")]
    fraction, mass = rows
    assert (fraction["value"], fraction["low"], fraction["high"], fraction["z"]) == (60.0, 51.2, 70.8, -0.2)
    assert (mass["value"], mass["unit"], mass["z"]) == (52.5, "g/m2", 1.5)
    assert all("10.1186/s12968-017-0327-9" in row["source"] for row in rows)


def test_without_a_sex_both_without_a_value_none() -> None:
    assert [row["sex"] for row in compare({"lv": {"ef_percent": 60.0, "mass_g_per_m2": None}}, None)] == ["F", "M"]
    assert compare({}, "M") == []


def test_the_right_ventricles_volumes_have_ranges_of_their_own() -> None:
    measured = {"lv": {"edv_ml": 160.0}, "rv": {"edv_ml": 223.0, "esv_ml": 58.0, "ef_percent": 74.0}}
    volume, rest = compare(measured, "M")
    assert (volume["name"], volume["low"], volume["high"], volume["z"]) == ("RV end-diastolic volume", 125.3, 254.7, 1)
    assert (rest["name"], rest["unit"], rest["z"]) == ("RV end-systolic volume", "mL", -1)
    assert "10.1080/10976640500295516" in volume["source"]


@pytest.mark.parametrize("normal", NORMAL_VALUES, ids=lambda n: f"{n.name} {n.sex}")
def test_ranges_are_mean_and_sd(normal: object) -> None:
    assert isinstance(normal, type(NORMAL_VALUES[0]))
    (row,) = compare({normal.side: {normal.key: normal.mean + normal.sd}}, normal.sex)
    assert row["z"] == 1
    assert (row["low"] + row["high"]) / 2 == pytest.approx(normal.mean, abs=0.05)
    assert row["high"] - row["low"] == pytest.approx(2 * RANGE_SD * normal.sd, abs=0.11)
