"""The bull's-eye."""

from __future__ import annotations

from dmcvr.report import bullseye


def test_bullseye() -> None:
    thickness = {str(n): None if n == 5 else 4.0 + n for n in range(1, 18)}
    found = bullseye.segments(thickness)
    assert [s.number for s in found] == list(range(1, 18))
    assert found[0].y < -70  # anterior on top
    assert abs(found[0].x) < 1e-6
    assert found[1].x < -30  # then anteroseptal, on the left
    assert found[4].fill == "none"
    assert (bullseye.shade(1), bullseye.shade(30)) == (0, 5)
    assert len(bullseye.legend()) == 6
