"""MAPSE and TAPSE of boxes and of phantoms with a known descent."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.clinical.valves import BASE_UNSEEN, base_depth_mm, valve_planes
from dmcvr.exam.volume import Volume


def boxes(*tops: int) -> Volume:
    """(P, 20, 20, 40) two ventricles of 2 mm voxels that begin at these slices; the right one is shorter."""
    labels = np.zeros((len(tops), 20, 20, 40), np.uint8)
    for phase, top in zip(labels, tops, strict=True):
        phase[4:10, 4:10, top:30] = 1
        phase[12:18, 4:10, top + 1 : 22] = 3
        phase[18:20, 4:10, top + 1 : 14] = 3  # reaches farther near the base
        phase[4:10, 4:10, 30:36] = 2
    return Volume(labels, np.diag([2.0, 2.0, 2.0, 1.0]))


def test_the_base_comes_down() -> None:
    found = valve_planes(boxes(3, 8, 4), ("0", "1", "2"), "0", "1")
    assert found is not None
    assert (found["mapse_mm"], found["tapse_mm"]) == (10.0, 10.0)
    assert found["excursion_mm"]["mitral"] == [0.0, 10.0, 2.0]
    turned = boxes(3, 8)
    flipped = valve_planes(Volume(turned.data[..., ::-1], turned.affine), ("ED", "ES"), "ED", "ES")
    assert flipped is not None
    assert flipped["mapse_mm"] == 10.0
    assert "excursion_mm" not in flipped


def test_what_cannot_be_told_is_none() -> None:
    assert valve_planes(boxes(3), ("0",), None, None) is None
    open_at_ed = valve_planes(boxes(0, 6), ("ED", "ES"), "ED", "ES")
    assert open_at_ed is not None
    assert open_at_ed["mapse_mm"] is None
    assert open_at_ed["tapse_mm"] == pytest.approx(12)
    short = boxes(3, 20)
    assert base_depth_mm(short, 1) is None
    empty = valve_planes(Volume(np.zeros((2, 8, 8, 8), np.uint8), np.eye(4)), ("ED", "ES"), "ED", "ES")
    assert empty is not None
    assert empty["mapse_mm"] is None


def test_an_estimated_base_has_no_excursion() -> None:
    found = valve_planes(boxes(3, 8, 4), ("0", "1", "2"), "0", "1", base_seen=False)
    assert found is not None
    assert (found["mapse_mm"], found["tapse_mm"], found["not_measured"]) == (None, 10.0, BASE_UNSEEN)
    assert found["excursion_mm"] == {"mitral": None, "tricuspid": [0.0, 10.0, 2.0]}
    seen = valve_planes(boxes(3, 8), ("ED", "ES"), "ED", "ES")
    assert seen is not None
    assert seen["not_measured"] is None
