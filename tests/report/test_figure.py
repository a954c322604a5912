"""Pictures as SVG: grey, outlines, hatching."""

from __future__ import annotations

import numpy as np
from helpers.svg import SVG, corners, grey_of, opened

from dmcvr.labels.colours import COLOURS, css
from dmcvr.report.figure import figure, outline


def test_a_picture_has_its_second_axis_up() -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(6, 4) * 10
    drawn = figure(grey, "a ramp", sharp=True)
    np.testing.assert_array_equal(grey_of(drawn), grey.T[::-1])
    assert (drawn.width, drawn.height, drawn.alt) == (6, 4, "a ramp")
    assert grey_of(figure(grey, "smooth")).shape == (8, 12)


def test_an_outline_runs_around_its_label_and_can_be_moved() -> None:
    labels = np.zeros((60, 40), np.uint8)
    labels[20:40, 10:30] = 3
    root = opened(figure(np.full((60, 40), 100, np.uint8), "a square", labels=labels, shift=(2.0, -3.0)))
    (path,) = root.findall(f"{SVG}path")
    assert path.attrib["stroke"] == css(COLOURS[3])
    points = corners(path.attrib["d"])
    np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], [[22, 40 - 27], [42, 40 - 7]], atol=0.5)
    assert outline(labels > 3) == ""


def test_what_was_completed_is_hatched() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    completed = np.zeros((40, 40), bool)
    completed[10:30, 10:20] = True
    root = opened(figure(np.zeros((40, 40), np.uint8), "half", labels=labels, completed=completed))
    hatched, outlined = root.findall(f"{SVG}path")
    pattern = root.find(f"{SVG}defs/{SVG}pattern")
    assert pattern is not None
    assert hatched.attrib["fill"] == f"url(#{pattern.attrib['id']})"
    points = corners(hatched.attrib["d"])
    np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], [[10, 20], [30, 30]], atol=0.5)
    assert outlined.attrib["fill"] == "none"
