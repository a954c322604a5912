"""One set of colours, as each kind of file writes it."""

from __future__ import annotations

from dmcvr.labels.colours import COLOURS, css, linear, unit


def test_as_each_file_writes_it() -> None:
    assert css(COLOURS[1]) == "#e69f00"
    assert unit((255, 0, 51)) == (1.0, 0.0, 0.2)
    assert linear((255, 0, 51)) == (1.0, 0.0, 0.03)
