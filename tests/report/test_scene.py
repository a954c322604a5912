"""The heart as it is shown: upright, cropped, where it was."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom
from dmcvr.reconstruction import Reconstruction, reconstruct
from dmcvr.report.scene import Scene, make_scene


def test_the_display_is_upright(scene: Scene) -> None:
    """RV on the left of the picture (+x), base on top (+z), right-handed; nothing of the heart is cropped."""
    left, right = (np.argwhere(scene.labels[0] == label).mean(axis=0) for label in (1, 3))
    assert right[0] > left[0] + 10
    area = (scene.labels[0] == 2).sum(axis=(0, 1))
    inside = np.flatnonzero(area)
    third = len(inside) // 3
    assert area[inside[-third:]].sum() > area[inside[:third]].sum()
    assert np.all(np.diff(scene.heights_mm) > 0)


def test_cropping_keeps_every_labelled_voxel(scene: Scene, heart: Reconstruction) -> None:
    for label in (1, 2, 3):
        assert (scene.labels == label).sum() == (heart.labels.data == label).sum()
    assert scene.image.shape[1:] < heart.image.data.shape[1:]


def test_acquired_slices_lie_where_the_dense_ones_do(phantom: Phantom, engine: Engine) -> None:
    """At the input's own pixels, a linear method's slices at acquired positions are the acquired ones."""
    heart = reconstruct(phantom.stack.select_phases([0]), method="nearest", spacing_mm=1.5, engine=engine)
    scene = make_scene(heart)
    slabs = scene.as_acquired(0)
    assert slabs is not None
    z = int(np.flatnonzero(scene.measured)[4])
    inner = (slice(8, -8), slice(8, -8))
    a, b = slabs[..., z][inner], scene.image[0][..., z][inner]
    clipped = np.clip(a, b.min(), b.max())
    assert np.abs(clipped - b).mean() < 0.01 * np.ptp(b)


def test_coarser_keeps_place_and_extent(scene: Scene) -> None:
    coarse = scene.coarser(2 * scene.spacing_mm)
    for label in (1, 3):  # the wall is but two such voxels thick
        fine_mm = scene.origin_mm + scene.spacing_mm * np.argwhere(scene.labels[0] == label).mean(axis=0)
        mm = coarse.origin_mm + coarse.spacing_mm * np.argwhere(coarse.labels[0] == label).mean(axis=0)
        np.testing.assert_allclose(mm, fine_mm, atol=1.0)
        volume = (coarse.labels == label).sum() * 8 / (scene.labels == label).sum()
        assert volume == pytest.approx(1, abs=0.15)
    assert scene.within(10**9) is scene
    assert np.prod(scene.within(20_000).image.shape[1:]) < 22_000
