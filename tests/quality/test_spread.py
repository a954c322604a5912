"""How far volumes may be off, on a heart whose uncertainty has a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hearts import cone

from dmcvr.anatomy.complete import Anatomy
from dmcvr.quality.spread import SOURCES, Opening, Spread

PIXEL_MM, GAP_MM = 1.5, 10.0


def spread_of(softness_px: float | None, sd_mm: float | None = None) -> tuple[Spread, np.ndarray]:
    """Of a cone whose LV's logits fall by four every `softness_px` across the border; and its labels (N, S, S)."""
    from scipy.special import softmax

    from dmcvr.labels.distances import scores_of, signed_distances

    labels = cone()[0]
    positions = GAP_MM * np.arange(len(labels))
    found = None
    if softness_px is not None:
        found = softmax(scores_of(signed_distances(labels)) * 2 / softness_px, axis=1).astype(np.float32)
    ends = Anatomy.of(labels[None], positions, PIXEL_MM).ends
    sd = None if sd_mm is None else np.full(len(labels), sd_mm)
    return Spread.of([Opening(labels, found, ends[0])], positions, PIXEL_MM, sd), labels


def test_every_source_is_drawn_and_the_same_each_time() -> None:
    once, labels = spread_of(2.0, 1.0)
    again, _ = spread_of(2.0, 1.0)
    assert set(once.off_ml) == set(SOURCES)
    for source in SOURCES:
        assert once.off_ml[source].shape == (200, 1, 3)
        np.testing.assert_array_equal(once.off_ml[source], again.off_ml[source])
        assert abs(once.off_ml[source].mean()) < 0.2 * once.off_ml[source].std() + 1e-9
    assert len(labels) > 3


def test_softer_borders_are_less_sure() -> None:
    sharp, soft = (spread_of(px)[0].off_ml["segmentation"].std(axis=(0, 1)) for px in (0.5, 3.0))
    assert np.all(soft[:2] > 2 * sharp[:2])


def test_a_borders_offset_moves_it_as_far_as_its_logits_say() -> None:
    """A whole LV of radius r whose logits fall by a half each pixel: an offset of SD 1 moves it by two."""
    found, labels = spread_of(8.0)
    pixels = np.count_nonzero(labels > 0, axis=(1, 2))
    ring = 2 * 2 * np.sqrt(np.pi * pixels) * PIXEL_MM**2 / 1000 * GAP_MM
    shared, own = (2 / 3) * ring.sum() ** 2, (1 / 3) * (ring**2).sum()
    assert found.off_ml["segmentation"][:, 0, 1].std() == pytest.approx(np.sqrt(shared + own), rel=0.35)


def test_given_labels_count_as_right_and_slices_in_place_do_not_shift() -> None:
    found, _ = spread_of(None)
    assert not found.off_ml["segmentation"].any()
    assert not found.off_ml["shifts"].any()
    shifted, _ = spread_of(None, 2.0)
    assert shifted.off_ml["shifts"].std() > 0


def test_what_lies_beyond_the_last_slice_is_unsure() -> None:
    labels = cone()[0]
    positions = GAP_MM * np.arange(len(labels))

    def ends_sd(kept: np.ndarray) -> float:
        ends = Anatomy.of(kept[None], positions[: len(kept)], PIXEL_MM).ends[0]
        off = Spread.of([Opening(kept, None, ends)], positions[: len(kept)], PIXEL_MM).off_ml
        return float(off["base_and_apex"][..., 1].std())

    assert ends_sd(labels[:-3]) > ends_sd(labels)
