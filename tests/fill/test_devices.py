"""On whatever device there is, the same comes out as on the CPU, and nothing is left behind on either."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.models import TINY_ALIGNED, awake

from dmcvr.fill.aligned import Aligned
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.published import Published
from dmcvr.geometry.plan import Plan
from dmcvr.model.device import choose_device
from dmcvr.model.presets import TINY
from dmcvr.model.stack_segmenter import StackSegmenter

DEVICES = [
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]


@pytest.fixture(params=DEVICES or [pytest.param("", marks=pytest.mark.skip(reason="no GPU that torch can use here"))])
def engines(request: pytest.FixtureRequest) -> tuple[Engine, Engine]:
    """The same networks on the CPU and on the device."""
    found = []
    for name in ("cpu", request.param):
        torch.manual_seed(0)
        segmenter = StackSegmenter(TINY.stack_segmenter)
        engine = Engine.of(awake(TINY_ALIGNED), device=choose_device(name), precision=torch.float32)
        found.append(engine.with_segmenter(segmenter))
    return found[0], found[1]


@pytest.fixture
def slices() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(0, 0.4, (3, 16, 16)).repeat(8, axis=1).repeat(8, axis=2), -1, 1).astype(np.float32)


def test_networks_see_the_same(engines: tuple[Engine, Engine], slices: np.ndarray) -> None:
    positions = np.array([0.0, 10.0, 18.0])
    for found, wanted in (
        [engine.segment(slices) for engine in engines],
        [engine.segment_stack(slices, positions) for engine in engines],
        [engine.upright(slices) for engine in engines],
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("kind", [Aligned, Published])
def test_slices_are_drawn_alike(
    engines: tuple[Engine, Engine], slices: np.ndarray, kind: type[Aligned | Published]
) -> None:
    labels = np.zeros(slices.shape, np.uint8)
    labels[:, 40:80, 40:80] = 1
    plan = Plan.between(np.array([0.0, 10.0, 18.0]), np.array([0.0, 4.0, 14.0]))
    steps = [replace(engine, drawing=replace(engine.drawing, steps=2)) for engine in engines]
    found, wanted = (kind(engine)(Acquired(slices, labels, labels_given=True), plan) for engine in steps)
    np.testing.assert_allclose(found.images, wanted.images, atol=0.02)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=0.02)
    for engine in engines:
        assert {weight.device.type for weight in engine.model.parameters()} == {engine.device.type}
