"""Still pictures show the heart."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from dmcvr.labels.colours import COLOURS
from dmcvr.report.scene import Scene
from dmcvr.report.stills import WIDTH_PX, cuts, picture, relief


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_a_picture_has_its_second_axis_up() -> None:
    """Each voxel is a block of pixels; a label's contour has its colour, and what is inside stays grey."""
    grey = np.arange(24, dtype=np.uint8).reshape(6, 4) * 10
    factor = WIDTH_PX // 6
    blocks = np.asarray(picture(grey, smooth=False))[factor // 2 :: factor, factor // 2 :: factor]
    np.testing.assert_array_equal(blocks, np.repeat(grey.T[::-1, :, None], 3, axis=2))
    labels = np.zeros((60, 40), np.uint8)
    labels[20:40, 10:30] = 3
    drawn = np.asarray(picture(np.full((60, 40), 100, np.uint8), labels))
    assert set(map(tuple, drawn.reshape(-1, 3).tolist())) == {(100, 100, 100), COLOURS[3]}
    away = np.argwhere((drawn == COLOURS[3]).all(axis=-1)) / (WIDTH_PX // 60)
    np.testing.assert_allclose([away.min(axis=0), away.max(axis=0)], [[10, 20], [30, 40]], atol=0.5)


def test_cuts_run_through_the_middle_of_the_heart(scene: Scene) -> None:
    x, y, z = scene.middle
    found = cuts(scene)
    assert scene.as_acquired is not None
    planes = {
        "short_axis": scene.as_acquired[0, ::-1, :, z],
        "long_axis": scene.as_acquired[0, ::-1, y],
        "long_axis_2": scene.as_acquired[0, x],
    }
    for name, plane in planes.items():
        image = decoded(found[name]["acquired"])
        factor = image.shape[1] // plane.shape[0]
        blocks = image[factor // 2 :: factor, factor // 2 :: factor, 0]
        np.testing.assert_array_equal(blocks, scene.grey(plane).T[::-1])
        assert set(found[name]) == {"acquired", "dense", "labelled"}
    assert "acquired" not in cuts(replace(scene, acquired=None))["short_axis"]


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
