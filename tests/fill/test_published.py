"""The paper's way, beside the same few lines written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.models import awake

from dmcvr.errors import InputError
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.mixing import lerp, slerp
from dmcvr.fill.published import Published
from dmcvr.geometry.plan import Plan
from dmcvr.model.autoencoder import SliceCodes
from dmcvr.stages import Stages

POSITIONS = np.array([0.0, 10.0, 18.0])


@pytest.fixture(scope="module")
def tiny() -> Engine:
    return Engine.of(awake(), precision=torch.float32, steps=2, corrections=1)


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(0, 0.4, (3, 16, 16)).repeat(8, axis=1).repeat(8, axis=2), -1, 1).astype(np.float32)


def unlabelled(images: np.ndarray) -> Acquired:
    return Acquired(images, np.zeros(images.shape, np.uint8))


def test_codes_are_mixed_decoded_and_labelled(tiny: Engine, slices: np.ndarray) -> None:
    dense = Published(tiny)(unlabelled(slices), Plan.between(POSITIONS, np.array([2.5])))
    codes, f = tiny.encode(slices), torch.tensor([0.25])
    mixed = SliceCodes(
        slerp(codes.x_T[:1], codes.x_T[1:2], f),
        lerp(codes.z_sem[:1], codes.z_sem[1:2], f),
        lerp(codes.z_mor[:1], codes.z_mor[1:2], f),
    )
    wanted = tiny.decode(mixed)
    np.testing.assert_allclose(dense.images, wanted, atol=1e-4)
    np.testing.assert_allclose(dense.scores, tiny.segment(wanted), atol=1e-3)
    np.testing.assert_allclose(dense.round_trip, tiny.decode(codes), atol=1e-4)


def test_each_distinct_place_is_drawn_once(tiny: Engine, slices: np.ndarray) -> None:
    plan = Plan.between(POSITIONS, np.array([-3.0, 0.0, 10.0, 10.0, 18.0]))
    dense = Published(tiny)(unlabelled(slices), plan)
    np.testing.assert_array_equal(dense.images, dense.round_trip[[0, 0, 1, 1, 2]])


def test_between_equal_slices_nothing_happens(tiny: Engine, slices: np.ndarray) -> None:
    same = unlabelled(slices[[0, 0]])
    dense = Published(tiny)(same, Plan.between(np.array([0.0, 10.0]), np.array([3.0])))
    np.testing.assert_allclose(dense.images[0], dense.round_trip[0], atol=1e-4)


def test_given_labels_are_exact_at_their_slices(tiny: Engine, slices: np.ndarray) -> None:
    labels = np.zeros(slices.shape, np.uint8)
    labels[:, 40:80, 40:80] = 1
    dense = Published(tiny)(Acquired(slices, labels, labels_given=True), Plan.between(POSITIONS, POSITIONS))
    np.testing.assert_array_equal(dense.scores.argmax(axis=1), labels)


def test_calls_and_stages(tiny: Engine, slices: np.ndarray) -> None:
    method, stages = Published(tiny), Stages()
    assert method.calls == (2 * (1 + 1), 2)
    method(unlabelled(slices), Plan.between(POSITIONS, POSITIONS), stages)
    assert list(stages.seconds) == ["invert", "decode", "segment"]


def test_weights_without_noise_are_refused() -> None:
    with pytest.raises(InputError, match="needs others, such as compact"):
        Published(Engine.load("aligned", device="cpu"))
