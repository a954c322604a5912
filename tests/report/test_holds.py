"""Shifts as arrows."""

from __future__ import annotations

import pytest

from dmcvr.report.holds import LEFT, RIGHT, WIDTH, shifts


def entry(right: float, down: float) -> dict[str, float]:
    return {"right_mm": right, "down_mm": down, "length_mm": (right**2 + down**2) ** 0.5, "sd_mm": 0.5}


def test_arrows_lead_back_to_the_reference() -> None:
    slices = [entry(3.0, 0.0), entry(0.0, -1.5), entry(0.0, 0.0)]
    drawn = shifts({"moved": True, "slices": slices}, base_first=True)
    assert drawn is not None
    assert [row.number for row in drawn.rows] == [1, 2, 3]
    right, down = drawn.rows[0].arrows
    assert right.start - right.middle == pytest.approx(
        2 * (drawn.rows[1].arrows[1].middle - drawn.rows[1].arrows[1].start), abs=0.3
    )
    assert down.start == down.middle
    assert drawn.rows[0].words == "3.0 ± 0.5 mm"
    ends = [x for row in drawn.rows for arrow in row.arrows for x in (arrow.low, arrow.high)]
    assert min(ends) >= LEFT - 0.1
    assert max(ends) <= WIDTH - RIGHT + 0.1
    upside_down = shifts({"moved": True, "slices": slices}, base_first=False)
    assert upside_down is not None
    assert [row.number for row in upside_down.rows] == [3, 2, 1]


def test_nothing_is_drawn_where_nothing_moved() -> None:
    assert shifts(None, base_first=True) is None
    assert shifts({"moved": False, "slices": [entry(0, 0)]}, base_first=True) is None
