"""What the weights have seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmcvr.quality.training_range import SLACK, WORDS, TrainingRange, exam_features


def test_the_bundled_range_names_every_feature() -> None:
    known = TrainingRange.read()
    assert set(known.ranges) == set(WORDS)
    assert known.ranges["spacing_mm"] == (5.0, 10.0)  # ACDC
    assert known.outside({name: (low + high) / 2 for name, (low, high) in known.ranges.items()}) == {}


def test_measured_and_written(tmp_path: Path) -> None:
    found = TrainingRange.measured([{"pixel_mm": 1.0, "blood": 0.5}, {"pixel_mm": 1.8}])
    assert found == TrainingRange(2, {"pixel_mm": (1.0, 1.8), "blood": (0.5, 0.5)})
    found.write(tmp_path / "range.json")
    text = (tmp_path / "range.json").read_text()
    assert '"patients": 2' in text
    assert '"ranges"' in text


def test_a_range_has_slack() -> None:
    known = TrainingRange(1, {"pixel_mm": (1.0, 2.0)})
    assert known.outside({"pixel_mm": 2.0 + 0.99 * SLACK}) == {}
    assert known.outside({"pixel_mm": 2.06}) == {"pixels of 2.06 mm": "pixel size 2.06 mm (1.00 to 2.00)"}


def test_features_by_hand() -> None:
    """Two phases; the larger counts. Blood at 0.6 and muscle at -0.2 are 0.8 and 0.4 of black to white."""
    labels = np.zeros((2, 3, 8, 8), np.uint8)
    labels[0, :, :2], labels[1, :, :3] = 1, 1
    labels[:, 0, 5] = 2
    images = np.select([labels == 1, labels == 2], [0.6, -0.2], -1).astype(np.float32)
    found = exam_features(images, labels, crop_pixel_mm=2.0, positions_mm=np.array([0.0, 8.0, 18.0]), pixel_mm=1.4)
    slab_ml = 2.0**2 * 9.0 / 1000
    assert found == pytest.approx(
        {
            "pixel_mm": 1.4,
            "spacing_mm": 9.0,
            "lv_cavity_ml": 3 * 24 * slab_ml,
            "lv_myocardium_ml": 8 * slab_ml,
            "blood": 0.8,
            "contrast": 0.4,
        }
    )
