"""E_sem: the published size, one vector a slice."""

from __future__ import annotations

import pytest
import torch

from dmcvr.model.presets import COMPACT, PAPER
from dmcvr.model.semantic import SemanticEncoder


def test_paper_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = SemanticEncoder(PAPER.encoder)
        assert encoder(torch.empty(2, 1, 256, 256)).shape == (2, 512)
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(30e6, rel=0.02)


def test_slices_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    encoder, x = SemanticEncoder(COMPACT.encoder).eval(), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        both = encoder(x)
        torch.testing.assert_close(torch.cat([encoder(x[:1]), encoder(x[1:])]), both)
    assert both.shape == (2, 128)
