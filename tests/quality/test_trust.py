"""Verdicts, by what is expected of the labels and by what flags say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.hearts import cone

from dmcvr.geometry.locate import Located
from dmcvr.geometry.region import Frame
from dmcvr.labels.distances import probabilities
from dmcvr.quality.flags import Flag, out_of_order
from dmcvr.quality.signs import STEPS, Looked, look_again, roughness, signs
from dmcvr.quality.trust import SERIOUS, Trust

FINE = Flag("Anatomy", "fine", "", "Enclosed")


def looked(labels: np.ndarray) -> Looked:
    frame = Frame(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), labels.shape[-1], 1.5)
    found = np.stack([probabilities(phase) for phase in labels])
    images = np.choose(labels, [-0.5, 0.8, -0.2, 0.7]).astype(np.float32)
    return Looked(
        images, labels, found, labels.copy(), 10.0 * np.arange(labels.shape[1]), 1.5, Located(frame, 0.97, True, False)
    )


def test_signs_are_finite_whatever_is_missing() -> None:
    for labels in (cone(), np.zeros_like(cone()), np.where(cone() == 3, 0, cone()).astype(np.uint8)):
        found = signs(looked(labels))
        assert found.shape == (3, len(STEPS))
        assert np.isfinite(found).all()


def test_another_heart_at_the_second_look_is_a_sign() -> None:
    names = list(STEPS)
    alike = looked(cone())
    other = replace(alike, again=np.roll(cone(), 8, axis=2))
    for name in ("steady", "least steady"):
        assert (signs(other)[:, names.index(name)] < signs(alike)[:, names.index(name)]).all()


def test_the_second_look_is_moved_back() -> None:
    """A segmenter that goes by grey values alone finds the same at both looks."""
    images = np.choose(cone()[0], [-0.5, 0.8, -0.2, 0.7]).astype(np.float32)

    def by_grey(pictures: np.ndarray, positions_mm: np.ndarray) -> np.ndarray:
        assert pictures.dtype == np.float32
        assert np.abs(pictures).max() <= 1
        bright = pictures > 0.8 * 0.75 - 0.1
        return np.stack([~bright, bright, 0 * bright, 0 * bright], axis=1).astype(np.float32)

    found = look_again(images, np.arange(len(images)) * 10.0, by_grey)
    np.testing.assert_array_equal(found, images > 0.75)


def test_sections_in_a_wrong_order_are_rough() -> None:
    tapering = cone(10)
    shuffled = tapering[:, np.random.default_rng(0).permutation(10)]
    assert roughness(tapering > 0) < 0.1
    assert out_of_order(tapering).level == "fine"
    assert out_of_order(shuffled).level == "look"
    assert out_of_order(tapering[:, :3]).level == "unknown"


def test_given_labels_are_compared_with_the_segmenters() -> None:
    alike = looked(cone())
    assert Trust.of(alike, [FINE], given=True, known=True).verdict == "usable"
    turned = replace(alike, labels=np.rot90(cone(), axes=(2, 3)).copy())
    found = Trust.of(turned, [FINE], given=True, known=True)
    assert found.verdict == "do not use"
    assert found.agreed is not None
    assert "RV cavity" in found.why
    assert found.expected is None


def test_serious_flags_ask_for_a_look_and_others_do_not() -> None:
    alike = looked(cone())
    for name in SERIOUS:
        flag = Flag(name, "look", "", "Something is odd")
        found = Trust.of(alike, [flag], given=True, known=True)
        assert found.verdict == "look"
        assert found.why == "Something is odd."
    other = Flag("LV mass over the heartbeat", "look", "", "Mass drifts")
    assert Trust.of(alike, [other], given=True, known=True).verdict == "usable"


def test_networks_that_nobody_judged_promise_nothing() -> None:
    found = Trust.of(looked(cone()), [FINE], given=False, known=False)
    assert found.verdict == "look"
    assert found.expected is None
    assert found.record()["expected_dice"] is None


def test_a_record_holds_numbers_alone() -> None:
    record = Trust.of(looked(cone()), [FINE], given=False, known=True).record()
    assert set(record) == {"verdict", "why", "expected_dice", "agreed_dice"}
    for one in record["expected_dice"].values():
        assert 0 <= one["dice"] <= 1
        assert one["sd"] == pytest.approx(one["sd"])
