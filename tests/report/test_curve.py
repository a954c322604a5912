"""The volume curve."""

from __future__ import annotations

from dmcvr.reconstruction import Reconstruction
from dmcvr.report.curve import curve


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
