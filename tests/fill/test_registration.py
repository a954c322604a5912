"""Registered and averaged: a disc that moves, its label, and its sharpness."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.exams import disc

from dmcvr.fill.method import Acquired
from dmcvr.fill.plain import Linear
from dmcvr.fill.registration import Registration
from dmcvr.fill.sharpen import sharpness
from dmcvr.geometry.plan import Plan
from dmcvr.labels.distances import shares
from dmcvr.quality.metrics import dice

IMAGES = np.stack([disc((28, 30)), disc((36, 34))])
LABELS = (IMAGES > 0).astype(np.uint8)
PLAN = Plan.between(np.array([0.0, 10.0]), np.array([5.0]))
TRUTH = disc((32, 32))


def bright(images: np.ndarray) -> np.ndarray:
    return shares((images > 0).astype(np.uint8))


@pytest.mark.parametrize("align", ["grey", "labels"])
def test_a_moving_disc_has_one_edge_half_way(align: str) -> None:
    acquired = Acquired(IMAGES, LABELS, labels_given=True)
    registered = Registration(bright, align=align)(acquired, PLAN)  # type: ignore[arg-type]
    linear = Linear(bright)(acquired, PLAN)
    assert np.abs(registered.images[0] - TRUTH).mean() < 0.3 * np.abs(linear.images[0] - TRUTH).mean()
    assert dice(registered.scores.argmax(axis=1)[0] == 1, TRUTH > 0) > 0.97
    again = Registration(bright, align=align)(acquired, PLAN)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.images, registered.images)


@pytest.mark.parametrize("carry", ["segment", "warp"])
def test_labels_are_segmented_or_carried(carry: str) -> None:
    """The segmenter sees the averaged image; carried labels know nothing of it."""
    blind = Acquired(IMAGES, np.zeros_like(LABELS))
    dense = Registration(bright, carry=carry)(blind, PLAN)  # type: ignore[arg-type]
    wanted = dense.images > 0 if carry == "segment" else np.zeros_like(dense.images)
    np.testing.assert_array_equal(dense.scores.argmax(axis=1), wanted)


def test_detail_brings_the_neighbours_sharpness() -> None:
    rough = np.random.default_rng(0).normal(0, 0.3, (2, 64, 64)).clip(-1, 1).astype(np.float32)
    acquired = Acquired(rough, np.zeros(rough.shape, np.uint8))
    wanted = 0.9 * np.mean([sharpness(image) for image in rough])
    plain, sharp = (Registration(bright, detail=detail)(acquired, PLAN).images[0] for detail in (0.0, 0.9))
    assert sharpness(plain) < 0.8 * wanted
    assert sharpness(sharp) == pytest.approx(wanted, rel=0.01)
