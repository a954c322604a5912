"""Our way, with networks that know nothing yet: what is left is registration, noise and the fading of what was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import untrained, untrained_aligned

from dmcvr.errors import InputError
from dmcvr.fill.aligned import Aligned, Drawn, keep_acquired
from dmcvr.fill.catalogue import stages_of
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.sharpen import sharpness
from dmcvr.geometry.plan import Plan, mixed
from dmcvr.labels.distances import probabilities
from dmcvr.model.presets import TINY
from dmcvr.registration.paths import Paths, paths_by_labels
from dmcvr.stages import Stages

POSITIONS = np.array([0.0, 10.0, 18.0])


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(0, 0.4, (3, 16, 16)).repeat(8, axis=1).repeat(8, axis=2), -1, 1).astype(np.float32)


def unlabelled(images: np.ndarray) -> Acquired:
    return Acquired(images, np.zeros(images.shape, np.uint8))


def method(**how: Any) -> Aligned:
    return Aligned(Engine.of(untrained_aligned(), precision=torch.float32, **how))


def draw(images: np.ndarray, wanted: list[float], **how: Any) -> Drawn:
    return method(**how).draw(unlabelled(images), Plan.between(POSITIONS, np.array(wanted)), Stages())


def still(plan: Plan, size: int) -> Paths:
    """The paths of slices that do not move."""
    return Paths.along({n: np.zeros((2, size, size)) for n in np.unique(plan.lower)}, plan)


@pytest.mark.parametrize("image", ["mean", "sharp"])
def test_untrained_it_draws_the_registration(slices: np.ndarray, image: str) -> None:
    """What the network adds starts at nothing: without noise, a slice is the warped neighbours' own mean."""
    drawn = draw(slices, [0.0, 4.0, 14.0], steps=4, start=60, temperature=0.0, detail=0.0, image=image)
    found = drawn.images[drawn.where]
    plan = Plan.between(POSITIONS, np.array([0.0, 4.0, 14.0]))
    sides = paths_by_labels(slices, np.zeros(slices.shape, np.uint8), plan).warp(slices)
    plain = mixed(*(side.clip(-1, 1) for side in sides), plan)
    np.testing.assert_allclose(found[:3], slices, atol=1e-5)
    np.testing.assert_allclose(found[3:], plain, atol=2e-3)


def test_warped_it_is_the_registration_and_the_labels_are_the_same(slices: np.ndarray) -> None:
    labels = np.zeros(slices.shape, np.uint8)
    labels[:, 40:80, 40:80] = 1
    plan, seen = Plan.between(POSITIONS, np.array([0.0, 4.0, 14.0])), Acquired(slices, labels, labels_given=True)
    warped, sharp = method(image="warped")(seen, plan), method(steps=2)(seen, plan)
    sides = paths_by_labels(slices, labels, plan).warp(slices)
    np.testing.assert_array_equal(warped.images, mixed(*(side.clip(-1, 1) for side in sides), plan).astype(np.float32))
    np.testing.assert_array_equal(warped.round_trip, slices)
    np.testing.assert_array_equal(warped.scores, sharp.scores)
    assert method(image="warped").calls == (0, 0)


def test_untrained_its_labels_are_the_neighbours_mixture(slices: np.ndarray) -> None:
    """Given labels are carried along the paths, as probabilities, and mixed; the largest share is 0.02 at least."""
    labels = np.zeros(slices.shape, np.uint8)
    labels[:, 40:80, 40:80] = 1
    labels[:, 80:100, 40:80] = 3
    plan = Plan.between(POSITIONS, np.array([0.0, 4.0, 18.0]))
    dense = method(steps=2)(Acquired(slices, labels, labels_given=True), plan)
    np.testing.assert_array_equal(dense.scores[[0, 2]].argmax(axis=1), labels[[0, 2]])
    mixture = paths_by_labels(slices, labels, plan).blend(probabilities(labels), order=1).clip(min=0.02)
    np.testing.assert_allclose(dense.scores[1], mixture[1] / mixture[1].sum(axis=0), atol=1e-4)


def test_a_sharp_slice_is_brought_to_the_neighbours_sharpness(slices: np.ndarray) -> None:
    plain, sharp = (draw(slices, [4.0], steps=2, temperature=0.0, detail=detail) for detail in (0.0, 1.1))
    own = np.array([sharpness(image) for image in slices])
    wanted = 1.1 * (0.6 * own[0] + 0.4 * own[1])
    assert sharpness(plain.images[plain.where[-1]]) < 0.95 * wanted
    assert sharpness(sharp.images[sharp.where[-1]]) == pytest.approx(wanted, rel=0.01)


def test_temperature_is_how_much_noise_is_drawn_from(slices: np.ndarray) -> None:
    """An untrained drawing is linear in its noise: at half the temperature it is half way to that without."""
    cold, half, warm = (
        draw(slices / 4, [4.0], steps=2, start=60, temperature=t, texture=0.0, detail=0.0).images[1]
        for t in (0.0, 0.5, 1.0)
    )
    assert np.abs(warm - cold).max() > 0.003
    np.testing.assert_allclose(half, (cold + warm) / 2, atol=1e-5)


def test_texture_is_the_share_of_the_neighbours_mean(slices: np.ndarray) -> None:
    drawn, half, seen = (
        draw(slices / 4, [4.0], steps=2, start=60, texture=share, detail=0.0) for share in (0.0, 0.5, 1.0)
    )
    np.testing.assert_allclose(seen.images[1], seen.around.middle[1, 0].numpy(), atol=1e-6)
    np.testing.assert_allclose(half.images[1], (drawn.images[1] + seen.images[1]) / 2, atol=1e-6)
    assert np.abs(drawn.images[1] - seen.images[1]).max() > 0.003


def test_acquired_slices_stay(slices: np.ndarray) -> None:
    drawn = draw(slices, [5.0, 10.0], steps=2)
    np.testing.assert_allclose(drawn.images[drawn.where[[0, 1, 2, 4]]], slices[[0, 1, 2, 1]], atol=1e-6)
    assert len(drawn.images) == 4  # three slices and 5 mm; 10 mm is one of them
    assert np.abs(drawn.rendered - slices).max() > 0.01  # as the model draws them


def test_what_was_seen_fades_within_two_millimetres() -> None:
    plan = Plan.between(POSITIONS, np.array([0.0, 1.0, 2.0, 5.0, 9.5, 10.0, 18.0]))
    missing = np.stack([np.full((8, 8), value, np.float32) for value in (1.0, 0.4, -0.8)])
    faded = keep_acquired(np.zeros((7, 8, 8), np.float32), missing, still(plan, 8))
    np.testing.assert_allclose(faded[:, 4, 4], [1, 0.5, 0, 0, 0.3, 0.4, -0.8], atol=1e-6)
    np.testing.assert_array_equal(keep_acquired(np.ones((7, 8, 8), np.float32), missing, still(plan, 8))[0], 1)


def test_without_its_labeller_it_mixes(slices: np.ndarray) -> None:
    engine, acquired = Engine.of(untrained_aligned(), precision=torch.float32, steps=2), unlabelled(slices)
    plan = Plan.between(POSITIONS, np.array([4.0]))
    assert engine.aligned is not None
    assert engine.aligned.labeller is not None
    torch.nn.init.constant_(engine.aligned.labeller.head.bias[1:2], 5.0)
    corrected, mixed = (Aligned(engine, labeller=use)(acquired, plan).scores for use in ("all", "none"))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-5)
    assert np.abs(corrected - mixed).max() > 0.05
    np.testing.assert_array_equal(Aligned(engine)(acquired, plan).scores, mixed)  # 10 mm are narrow
    wide = Plan.between(2 * POSITIONS, np.array([8.0]))
    by_default, all_of_it = (Aligned(engine, **use)(acquired, wide).scores for use in ({}, {"labeller": "all"}))
    np.testing.assert_array_equal(by_default, all_of_it)


def test_the_ends_of_given_labels_are_exact(engine: Engine) -> None:
    """With the bundled networks: at the acquired slices the labels are the user's own, whatever the picture shows."""
    i, j = np.mgrid[:128, :128]
    radius = np.hypot(i - 60, j - 66)
    labels = np.stack([np.select([radius < r, radius < r + 7], [1, 2], 0) for r in (15, 14, 12)]).astype(np.uint8)
    images = np.random.default_rng(0).uniform(-1, 1, labels.shape).astype(np.float32)
    dense = Aligned(engine)(Acquired(images, labels, labels_given=True), Plan.between(POSITIONS, POSITIONS))
    np.testing.assert_array_equal(dense.scores.argmax(axis=1), labels)


def test_a_plain_model_is_refused() -> None:
    with pytest.raises(InputError, match="Weights of preset tiny see no surroundings: use the published method"):
        Aligned(Engine.of(untrained(TINY)))


def test_calls_and_stages(slices: np.ndarray) -> None:
    fill, stages = method(steps=2, corrections=1), Stages()
    assert fill.calls == (4, 3)
    fill(unlabelled(slices), Plan.between(POSITIONS, np.array([4.0])), stages)
    assert list(stages.seconds) == ["align", "encode", "decode", "invert", "segment"]


def test_from_the_neighbours_own_mean_alone_in_one_call(slices: np.ndarray) -> None:
    """No expectation is asked for, and without noise nothing is inverted."""
    fill, stages = method(steps=1, start_image="warped", temperature=0.0), Stages()
    assert fill.calls == (0, 1)
    fill(unlabelled(slices), Plan.between(POSITIONS, np.array([4.0])), stages)
    assert list(stages.seconds) == ["align", "encode", "decode", "segment"]
    noisy = method(steps=1, start_image="warped", corrections=0)
    assert noisy.calls == (1, 1)
    assert stages_of("dmcvr", noisy.engine) == ["align", "encode", "invert", "decode", "segment"]
    assert stages_of("dmcvr", fill.engine) == list(stages.seconds)
    how: dict[str, Any] = {"steps": 2, "start": 60, "texture": 0.0, "detail": 0.0}
    both = [draw(slices / 4, [4.0], start_image=first, **how).images for first in ("mean", "warped")]
    np.testing.assert_allclose(*both, atol=2e-3)  # untrained, what is expected is the warped mean


def test_codes_are_read_once_a_stretch(slices: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps of 10 and 8 mm have two stretches each; a position alone in its stretch has the codes of its own place."""
    fill = method(steps=1, start_image="warped", corrections=0)
    plan = Plan.between(POSITIONS, np.arange(0.0, 18.5, 0.5))
    around = fill._surroundings(slices, still(plan, 128))
    read: list[int] = []
    guides = fill.model.guides
    monkeypatch.setattr(fill.model, "guides", lambda x: read.append(len(x)) or guides(x))
    z_sem, z_mor = fill._guides(around, plan)
    assert read == [4, 4]
    assert (len(z_sem), len(z_mor)) == (37, 37)
    own = guides(fill.engine.tensor(slices))[0]
    expected = [own[0] + (own[1] - own[0]) * 0.3, own[1] + (own[2] - own[1]) * 0.5]  # nothing moves
    for row, code in zip((6, 28), expected, strict=True):
        torch.testing.assert_close(z_sem[row], code, rtol=1e-4, atol=1e-5)
