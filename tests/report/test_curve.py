"""The volume curve."""

from __future__ import annotations

from dmcvr.reconstruction import Reconstruction
from dmcvr.report.curve import curve, strain_curve


def test_a_cine_has_a_curve(heart: Reconstruction) -> None:
    assert curve(heart.measures, ["ED", "ES"]) is None
    volumes = {str(n): {"lv_cavity_ml": v, "lv_mass_g": 1.0, "rv_cavity_ml": 90.0} for n, v in enumerate((120, 60, 90))}
    measures = {"dense_volume": {"phases": volumes}, "ed_phase": "0", "es_phase": "1"}
    drawn = curve(measures, ["0", "1", "2"])
    assert drawn is not None
    assert (drawn.ed, drawn.es) == (0, 1)
    assert drawn.points["lv"][0][1] < drawn.points["lv"][1][1]
    timed = curve(measures | {"volume_time": {"times_ms": [0, 100, 400]}}, ["0", "1", "2"])
    assert timed is not None
    assert timed.x[1] - timed.x[0] < (timed.x[2] - timed.x[1]) / 2


def test_strain_runs_below_and_above_zero() -> None:
    strain = {"gls_endocardial_percent": [0.0, -20.0, -5.0], "grs_percent": [0.0, 45.0, 10.0]}
    measures = {"strain": strain, "ed_phase": "0", "es_phase": "1"}
    drawn = strain_curve(measures, ["0", "1", "2"])
    assert drawn is not None
    assert set(drawn.lines) == {"gls_endocardial", "grs"}
    ticks = {text: y for y, text in drawn.y_ticks}
    zero = drawn.points["grs"][0][1]
    assert ticks["0"] == zero
    assert drawn.points["gls_endocardial"][1][1] > zero > drawn.points["grs"][1][1]
    assert min(ticks, key=lambda text: -ticks[text]).startswith("−")
    assert strain_curve({"strain": None}, ["0", "1", "2"]) is None
    assert strain_curve(measures | {"strain": {"grs_percent": [0.0, None, 1.0]}}, ["0", "1", "2"]) is None
