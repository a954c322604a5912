"""The engine: batches change nothing, and how it draws is a value that is checked."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import TINY_ALIGNED, awake, untrained

from dmcvr.errors import InputError
from dmcvr.fill.engine import Drawing, Engine
from dmcvr.fill.mixing import Mixing
from dmcvr.model.presets import ALIGNED, TINY
from dmcvr.model.weights import find
from dmcvr.stages import Stages


def tiny(**how: Any) -> Engine:
    return Engine.of(awake(), precision=torch.float32, **how)


@pytest.fixture
def slices() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (5, 128, 128)).astype(np.float32)


def test_a_preset_is_drawn_as_it_says() -> None:
    found = Drawing.of(ALIGNED)
    assert found == Drawing(
        steps=3, corrections=0, start=100, start_image="mean", temperature=1.0, texture=0.5, detail=0.94
    )
    assert Drawing.of(ALIGNED, steps=None, image="mean") == replace(found, image="mean")
    assert Drawing.of(TINY, mixing=Mixing(guides="slerp")).mixing.guides == "slerp"


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"steps": 4, "start": 3}, "start at time 4 to 999; got 3"),
        ({"steps": 0}, "--steps of 1 to 999; got 0"),
        ({"image": "mean"}, "preset tiny draw no mean"),
    ],
)
def test_what_cannot_be_drawn_is_said_at_once(how: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        tiny(**how)


def test_an_engine_is_a_value() -> None:
    engine = tiny()
    with pytest.raises(FrozenInstanceError):
        engine.batch = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="seed"):
        tiny(seed=1)
    assert not engine.model.training


def test_only_an_aligned_model_is_aligned() -> None:
    assert Engine.of(untrained(TINY)).aligned is None
    model = untrained(TINY_ALIGNED)
    assert Engine.of(model).aligned is model


def test_batches_change_nothing(slices: np.ndarray) -> None:
    one, two = tiny(batch=16), tiny(batch=2)
    np.testing.assert_allclose(two.segment(slices), one.segment(slices), atol=1e-5)
    codes, parts = one.encode(slices), two.encode(slices)
    torch.testing.assert_close(parts.x_T, codes.x_T, atol=1e-4, rtol=0)
    torch.testing.assert_close(parts.z_sem, codes.z_sem, atol=1e-5, rtol=0)
    np.testing.assert_allclose(two.decode(codes), one.decode(codes), atol=1e-4)


def test_probabilities_are_the_network_s_softmax(slices: np.ndarray) -> None:
    engine = tiny()
    found = engine.segment(slices)
    assert found.shape == (5, 4, 128, 128)
    with torch.no_grad():
        logits = engine.model.segmenter(torch.from_numpy(slices)[:, None])
    np.testing.assert_allclose(found, logits.softmax(dim=1).numpy(), atol=1e-5)


def test_there_and_back_as_arrays(slices: np.ndarray) -> None:
    engine = tiny()
    np.testing.assert_array_equal(engine.array([engine.tensor(slices)]), slices)
    np.testing.assert_array_equal(engine.array([2 * engine.tensor(slices)]), np.clip(2 * slices, -1, 1))


def test_every_step_is_counted_and_timed(slices: np.ndarray) -> None:
    """Five slices in batches of two are three batches of four steps."""
    counts: dict[str, list[int]] = {}

    class Counted(Stages):
        def __call__(self, name: str, total: int | None = None) -> Any:
            counts[name] = [total or 0, 0]
            return super().__call__(name, total)

    stages, engine = Counted(), tiny(batch=2)
    engine.encode(slices, stages=stages)
    assert counts == {"invert": [12, 0]}
    with engine.batches(5, "other", 4, stages) as (parts, _):
        assert parts == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert set(stages.seconds) == {"invert", "other"}


def test_a_bundled_model_by_name(engine: Engine) -> None:
    assert engine.info is not None
    assert (engine.info.path, engine.model.preset.name) == (find("aligned"), "aligned")
    assert engine.drawing == Drawing.of(ALIGNED.in_one_call())


def test_draws_need_noise(engine: Engine) -> None:
    with pytest.raises(InputError, match="from no noise: leave out --draws"):
        engine.check_draws(4)
    engine.check_draws(0)
    tiny().check_draws(4)
