"""Strain of walls whose shortening is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dmcvr.clinical.strain import CURVES, measure_strain
from dmcvr.clinical.valves import BASE_UNSEEN


def tube(radius: float, length: float, rows: int = 12, columns: int = 36) -> tuple[np.ndarray, np.ndarray]:
    """A cylinder (rows, columns, 3) and the middle of its end."""
    angle = np.arange(columns) * 2 * np.pi / columns
    z = np.linspace(0, length, rows)
    around = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(columns)], axis=1)
    return around[None] + z[:, None, None] * np.array([0, 0, 1.0]), np.array([0.0, 0.0, length])


def test_a_tube_that_shortens_narrows_and_thickens() -> None:
    inner = [tube(20, 80), tube(14, 72)]
    outer = [tube(30, 80), tube(27, 72)]
    endo, epi = (np.stack([points for points, _ in part]) for part in (inner, outer))
    apices = np.stack([np.stack([a, b]) for (_, a), (_, b) in zip(inner, outer, strict=True)]).astype(np.float64)
    thickness = np.stack([np.full((12, 36), t) for t in (10.0, 13.0)])
    found = measure_strain(endo, epi, apices, thickness, rows=slice(0, 8), reference=0, phases=("ED", "ES"))
    assert found["reference_phase"] == "ED"
    assert found["gcs_endocardial_percent"] == [0, -30]
    assert found["gcs_midwall_peak_percent"] == -18  # from 25 to 20.5 mm
    assert found["grs_peak_percent"] == 30
    assert found["gls_endocardial_peak_percent"] == -14  # 80 + 20 mm become 72 + 14
    assert found["not_measured"] is None
    assert set(found) == {"reference_phase", "phases", "method", "not_measured"} | {
        f"{name}{kind}" for name in CURVES for kind in ("_percent", "_peak_percent")
    }


def test_the_reference_may_be_any_phase_and_nothing_is_divided_by_nothing() -> None:
    points, tip = tube(14, 72)
    wide, _ = tube(20, 72)
    endo = np.stack([points, wide])
    apices = np.stack([np.stack([tip, tip])] * 2).astype(np.float64)
    found = measure_strain(
        endo, endo, apices, np.zeros((2, 12, 36)), rows=slice(0, 8), reference=1, phases=("ES", "ED")
    )
    assert found["gcs_endocardial_percent"] == pytest.approx([-30, 0])
    assert found["grs_percent"] == [None, None]
    assert found["grs_peak_percent"] is None


def beat(*sizes: tuple[float, float]) -> dict[str, Any]:
    """Tubes of these radii and lengths, for `measure_strain`: one a phase."""
    tubes = [tube(*size) for size in sizes]
    points = np.stack([points for points, _ in tubes])
    apices = np.stack([np.stack([tip, tip]) for _, tip in tubes])
    return {"endo": points, "epi": points, "apices": apices, "thickness_mm": np.ones((len(tubes), 12, 36))}


def test_a_ventricle_that_only_grows_longer_has_no_peak_of_zero() -> None:
    """Zero is what end-diastole has against itself."""
    found = measure_strain(**beat((20, 80), (14, 91)), rows=slice(0, 8), reference=0, phases=("ED", "ES"))
    assert found["gls_midwall_percent"] == found["gls_endocardial_percent"] == [0, 5]
    assert found["gls_midwall_peak_percent"] == 5
    alone = measure_strain(**beat((20, 80)), rows=slice(0, 8), reference=0, phases=("ED",))
    assert alone["gls_midwall_peak_percent"] is alone["gcs_midwall_peak_percent"] is None


def test_longitudinal_strain_needs_the_base() -> None:
    phases = beat((20, 80), (14, 72))
    found = measure_strain(**phases, rows=slice(0, 8), reference=0, phases=("ED", "ES"), base_seen=False)
    for name in ("gls_endocardial", "gls_midwall"):
        assert found[f"{name}_percent"] == [None, None]
        assert found[f"{name}_peak_percent"] is None
    assert found["gcs_midwall_peak_percent"] == -30
    assert found["not_measured"] == BASE_UNSEEN
