"""Strain of walls whose shortening is known."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.clinical.strain import CURVES, measure_strain


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
    assert set(found) == {"reference_phase", "phases", "method"} | {
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
