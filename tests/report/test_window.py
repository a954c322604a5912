"""Black and white by the heart."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.report.window import heart_window


def test_the_chest_does_not_darken_the_heart() -> None:
    """Blood at 200, muscle at 80, lung at 10 around them, and fat at 2000 far away."""
    labels = np.zeros((1, 40, 40, 4), np.uint8)
    labels[:, 10:30, 10:30], labels[:, 14:26, 14:26] = 2, 1
    image = np.select([labels == 1, labels == 2], [200.0, 80.0], 10.0).astype(np.float32)
    plain = heart_window(image, labels)
    image[:, :5] = 2000
    found = heart_window(image, labels)
    assert (found.low, found.high) == (plain.low, plain.high) == (10, 200)
    assert found.least == 10
    assert found.most == pytest.approx(390)  # one window brighter: fat stays white
    np.testing.assert_array_equal(found.bytes(np.float32([0, 10, 105, 200, 2000])), [0, 0, 128, 255, 255])
    np.testing.assert_array_equal(found.spacious(np.float32([10, 200, 390, 2000])), [0, 128, 255, 255])
    assert next(iter(found.presets)) == "Heart"
    low, high = found.presets["Muscle"]
    assert low < 80 < high < 200
    low, high = found.presets["Blood"]
    assert 80 < low < 200 < high


def test_without_a_heart_all_of_the_picture_counts() -> None:
    image = np.linspace(0, 100, 1000, dtype=np.float32).reshape(1, 10, 10, 10)
    found = heart_window(image, np.zeros(image.shape, np.uint8))
    assert 0 <= found.low < 2
    assert 98 < found.high <= 100
    flat = heart_window(np.full((1, 4, 4, 4), 7, np.float32), np.zeros((1, 4, 4, 4), np.uint8))
    assert flat.bytes(np.float32([7])) == [0]
