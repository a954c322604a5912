"""The network that tells how a picture lies."""

from __future__ import annotations

import numpy as np
import torch

from dmcvr.fill.engine import Engine
from dmcvr.geometry.orient import VIEW_PIXELS
from dmcvr.model.checkpoint import load_orienter
from dmcvr.model.orientation import Orienter
from dmcvr.model.presets import OrienterConfig


def test_one_logit_a_view_whatever_the_unit() -> None:
    torch.manual_seed(0)
    orienter = Orienter(OrienterConfig()).eval()
    views = torch.randn(3, 1, VIEW_PIXELS, VIEW_PIXELS)
    with torch.no_grad():
        found = orienter(views)
        assert found.shape == (3,)
        torch.testing.assert_close(orienter(views * 250 + 400), found, rtol=1e-3, atol=1e-4)
        assert torch.isfinite(orienter(torch.zeros_like(views))).all()


def test_the_bundled_one_is_small_and_alike_in_any_batch(engine: Engine) -> None:
    orienter, info = load_orienter()
    assert sum(weight.numel() for weight in orienter.parameters()) < 100_000
    assert info.path.stat().st_size < 2**20
    views = np.random.default_rng(0).random((70, VIEW_PIXELS, VIEW_PIXELS), dtype=np.float32)
    whole = engine.upright(views)
    np.testing.assert_allclose(whole[:3], engine.upright(views[:3]), atol=1e-4)
