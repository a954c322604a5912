"""Still pictures show the heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers.svg import SVG, grey_of, opened, paths

from dmcvr.labels.colours import COLOURS
from dmcvr.report.scene import Scene
from dmcvr.report.stills import cuts, relief


def test_cuts_run_through_the_middle_of_the_heart(scene: Scene) -> None:
    x, y, z = scene.middle
    found = cuts(scene)
    assert scene.acquired is not None
    planes = {
        "short_axis": scene.as_acquired(0)[::-1, :, z],
        "long_axis": scene.as_acquired(0)[::-1, y],
        "long_axis_2": scene.as_acquired(0)[x],
    }
    for name, plane in planes.items():
        np.testing.assert_array_equal(grey_of(found[name]["acquired"]), scene.grey(plane).T[::-1])
        assert set(found[name]) == {"acquired", "dense", "labelled"}
        assert len(paths(opened(found[name]["labelled"]))) >= 2
    assert "acquired" not in cuts(replace(scene, acquired=None))["short_axis"]
    hatched = cuts(replace(scene, completed=scene.labels == 1))["long_axis"]["labelled"]
    assert opened(hatched).find(f"{SVG}defs") is not None


def test_the_heart_in_relief_has_the_three_colours(scene: Scene) -> None:
    """Shaded from 0.35 to 1.1 of each; the ratio of its channels stays, so each pixel is one structure's."""
    seen = relief(scene)
    assert seen is not None
    pixels = np.asarray(seen)
    inside = pixels[pixels[..., 3] == 255][:, :3].astype(float)
    share = inside / inside.sum(axis=1, keepdims=True)
    own = {label: np.array(colour) / sum(colour) for label, colour in COLOURS.items()}
    near = {label: (np.abs(share - wanted).max(axis=1) < 0.05).mean() for label, wanted in own.items()}
    assert near[2] > 0.1  # the wall, from its side
    assert near[3] > 0.1  # the RV, before it
    assert relief(replace(scene, labels=np.zeros_like(scene.labels))) is None
