"""Named label conventions."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.errors import InputError
from dmcvr.io.labels import to_internal


def test_label_conventions() -> None:
    np.testing.assert_array_equal(to_internal(np.array([0, 1, 2, 3]), "acdc"), [0, 3, 2, 1])
    np.testing.assert_array_equal(to_internal(np.array([0.0, 1.0, 4.0]), "ukbb"), [0, 1, 3])
    with pytest.raises(InputError, match="value 5, which the 'mnms' map does not have"):
        to_internal(np.array([0, 5]), "mnms")
    with pytest.raises(InputError, match="value 1.5"):
        to_internal(np.array([0, 1.5]), "acdc")
    with pytest.raises(InputError, match="Unknown label map 'x'"):
        to_internal(np.array([0]), "x")
