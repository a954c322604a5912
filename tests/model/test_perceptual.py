"""A distance of features whose value is known."""

from __future__ import annotations

import torch
from helpers.models import awake

from dmcvr.model.perceptual import feature_distances, features


def test_distances_by_hand() -> None:
    """Per pixel, unit vectors at a right angle are 2 apart, opposite ones 4; pixels and levels are averaged."""
    along, across = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    along[:, 0], across[:, 1] = 1, 1
    torch.testing.assert_close(feature_distances([along], [across]), torch.tensor([2.0]))
    torch.testing.assert_close(feature_distances([along, along], [-along, along]), torch.tensor([2.0]))
    half = torch.cat([along[..., :1], across[..., :1]], dim=3)
    torch.testing.assert_close(feature_distances([along], [half]), torch.tensor([1.0]))


def test_features_are_unit_vectors_from_fine_to_coarse() -> None:
    segmenter = awake().segmenter
    with torch.no_grad():
        found = features(segmenter, torch.rand(2, 1, 128, 128) * 2 - 1)
    assert [part.shape for part in found] == [(2, 8, 32, 32), (2, 16, 16, 16)]
    for part in found:
        lengths = part.norm(dim=1)
        torch.testing.assert_close(lengths[lengths > 0.5], torch.ones_like(lengths[lengths > 0.5]), atol=1e-3, rtol=0)
    assert not feature_distances(found, found).any()
