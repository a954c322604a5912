"""Flags on hearts whose faults are known."""

from __future__ import annotations

import numpy as np

from dmcvr.quality.flags import (
    cut_off,
    implausible_between,
    misaligned,
    nearest_slices,
    out_of_distribution,
    slices_differ,
    unsure,
    volumes_differ,
)
from dmcvr.quality.training_range import TrainingRange


def ring(n: int = 8, size: int = 40, radius: float = 12.0) -> np.ndarray:
    """(1, N, A, B) labels: a cone of LV, base first."""
    grid = np.stack(np.meshgrid(np.arange(size) - 20, np.arange(size) - 20, indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid, axis=-1)
    return np.stack(
        [
            np.where(distance < r - 3, 1, np.where(distance < r, 2, 0)).astype(np.uint8)
            for r in radius * np.sqrt(1 - (np.arange(n) / n) ** 2)
        ]
    )[None]


def test_cut_off() -> None:
    whole = np.concatenate([np.zeros((1, 1, 40, 40), np.uint8), ring()], axis=1)
    assert cut_off(whole).level == "fine"
    assert "apex" in cut_off(whole[:, :6]).text
    assert cut_off(whole[:, ::-1][:, 3:]).level == "look"
    assert "base" in cut_off(ring()).text
    assert cut_off(np.zeros((1, 5, 4, 4), np.uint8)).level == "unknown"


def test_misaligned() -> None:
    labels = ring()
    positions = np.arange(8) * 10.0
    assert misaligned(labels, positions, 1.5).level == "fine"
    tilted = np.stack([np.roll(slice_, n, axis=0) for n, slice_ in enumerate(labels[0])])[None]
    assert misaligned(tilted, positions, 1.5).level == "fine"  # a leaning heart is no jump
    jumped = labels.copy()
    jumped[0, 3] = np.roll(jumped[0, 3], 6, axis=1)
    found = misaligned(jumped, positions, 1.5)
    assert found.level == "look"
    assert "Slice 4 lies 9.0 mm" in found.text
    assert misaligned(labels[:, :2], positions[:2], 1.5).level == "unknown"


def test_slices_that_were_slid() -> None:
    labels, positions, moved = ring(), np.arange(8) * 10.0, np.zeros(8)
    assert "slid" not in misaligned(labels, positions, 1.5, moved).text
    moved[2] = 3.0
    near = misaligned(labels, positions, 1.5, moved)
    assert near.level == "fine"
    assert "slid by up to 3.0 mm (slice 3) into one breath-hold. No slice now lies more than" in near.text
    assert misaligned(labels, positions, 1.5, 3 * moved).level == "look"  # far enough to be looked at


def test_confidence() -> None:
    assert [unsure(value).level for value in (0.95, 0.6, None)] == ["fine", "look", "unknown"]


def test_volumes_differ() -> None:
    def numbers(ml: float) -> dict[str, object]:
        return {"phases": {"ED": {"lv_cavity_ml": ml, "lv_myocardium_ml": 100.0, "rv_cavity_ml": 0.0}}}

    assert volumes_differ({"dense_volume": numbers(150), "slice_summation": numbers(145)}).level == "fine"
    found = volumes_differ({"dense_volume": numbers(150), "slice_summation": numbers(110)})
    assert found.level == "look"
    assert "LV cavity in phase ED, 150 mL in 3D against 110 mL" in found.text


def test_outlines_and_shape_between() -> None:
    labels = ring()
    assert slices_differ(labels, labels).level == "fine"
    assert slices_differ(np.roll(labels, 5, axis=2), labels).level == "look"
    dense = np.repeat(labels, 4, axis=1)
    heights, slices = np.arange(32) * 2.5, np.arange(8) * 10.0
    assert implausible_between(dense, heights, slices).level == "fine"
    dense[0, 14] = 0
    assert "between slices 4 and 5" in implausible_between(dense, heights, slices).text


def test_out_of_distribution() -> None:
    known = TrainingRange(7, {"spacing_mm": (5.0, 10.0)})
    assert out_of_distribution({"spacing_mm": 10.2}, known).level == "fine"  # a little slack
    found = out_of_distribution({"spacing_mm": 25.0}, known)
    assert found.level == "look"
    assert found.text == "Outside the range of the 7 training exams: slice distance 25.0 mm (5.0 to 10.0)."
    assert out_of_distribution({"spacing_mm": 25.0}, None).level == "unknown"


def test_the_nearest_dense_slice() -> None:
    dense, slices = np.array([0.0, 1.5, 3.0, 4.5]), np.array([0.2, 2.9, 9.0])
    np.testing.assert_array_equal(nearest_slices(dense, slices), [0, 2, 3])
