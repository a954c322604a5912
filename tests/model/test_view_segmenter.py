"""The segmenter of long-axis views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.views import ClosedHeart

from dmcvr.fill.engine import Engine
from dmcvr.geometry.long_axis import Upright
from dmcvr.model.checkpoint import load_view_segmenter
from dmcvr.model.presets import COMPACT, ViewSegmenterConfig
from dmcvr.model.view_segmenter import ViewSegmenter


def test_logits_of_any_size_that_it_can_halve() -> None:
    config = ViewSegmenterConfig(fine_channels=4, channels=(4, 8))
    network = ViewSegmenter(config).eval()
    assert config.reduction == 4
    with torch.no_grad():
        assert network(torch.zeros(2, 4, 24, 32)).shape == (2, 4, 24, 32)


def test_the_bundled_one_labels_a_view_with_and_without_a_prior(engine: Engine) -> None:
    network, info = load_view_segmenter()
    assert info.preset.view_segmenter == COMPACT.view_segmenter
    assert sum(weight.numel() for weight in network.parameters()) < 1_000_000
    assert info.path.stat().st_size < 4 * 2**20
    heart = ClosedHeart.random()
    upright = Upright.of(heart.view(5).affine, np.eye(3)[2], np.array([-10.0, 5.0, 35.0]), np.array([-1.0, 0.0, 0.0]))
    assert upright is not None
    x, y, z = (p[..., None].astype(np.float32) for p in upright.points())
    labels = heart.shape.labels(x, y, z)[..., 0]
    greys = np.array([-0.9, 0.8, -0.45, 0.7], np.float32)[labels]  # air, blood, muscle, blood
    views = np.repeat(greys[None], 3, axis=0)
    moved = np.roll(labels, (2, -2), (0, 1))
    found = engine.segment_views(views, np.stack([labels, moved, np.zeros_like(labels)]))
    assert found.shape == (3, 4, *labels.shape)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-2)
    left = np.isin(labels, (1, 2))
    for one, least in zip(found.argmax(axis=1), (0.95, 0.93, 0.7), strict=True):
        theirs = np.isin(one, (1, 2))
        assert 2 * (theirs & left).sum() / (theirs.sum() + left.sum()) > least
    np.testing.assert_allclose(engine.segment_views(views[:1], moved[None])[0], found[1], atol=0.05)


def test_weights_of_another_kind_are_refused() -> None:
    with pytest.raises(Exception, match="expected a segmenter of long-axis views"):
        load_view_segmenter("orienter")
