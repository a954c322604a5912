"""Slices between two others: views of all three, with labels where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from train.conftest import discs

from dmcvr.train.between import ANY_SIDE, Places
from dmcvr.train.data import Augmentation, TrainingSet, random_view
from dmcvr.train.monitors import STILL
from dmcvr.train.pairs import PairSet, kept, registered


@pytest.fixture(scope="module")
def slices() -> TrainingSet:
    return discs().of(("p",))


@pytest.fixture(scope="module")
def places(slices: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places.of(slices, registered(slices, tmp_path_factory.mktemp("pairs") / "pairs.npz"))


def test_views_are_of_the_slice_and_its_neighbours(places: Places, slices: TrainingSet) -> None:
    between = places.views(torch.Generator().manual_seed(0), STILL, 128, labelled=True)
    pairs = places.pairs
    assert between.views.shape == between.labels.shape == (len(pairs), 3, 128, 128)
    low = (kept(slices.images).shape[-1] - 128) // 2
    for n in range(len(pairs)):
        for images, labels, seen in (
            (kept(slices.images)[pairs.target[n]], kept(slices.labels)[pairs.target[n]], 0),
            (pairs.neighbours()[n, 0], pairs.labels_below[n], 1),
            (pairs.neighbours()[n, 1], pairs.labels_above[n], 2),
        ):
            middle = np.clip(images[low : low + 128, low : low + 128].astype(np.float32), -1, 1)
            np.testing.assert_allclose(between.views[n, seen], middle, atol=0.01)
            np.testing.assert_array_equal(between.labels[n, seen], labels[low : low + 128, low : low + 128])
    around = between.around(torch.tensor([True] + [False] * (len(pairs) - 1)))
    torch.testing.assert_close(around.below, between.views[:, 1:2])
    torch.testing.assert_close(around.above, between.neighbours[:, 1:])
    torch.testing.assert_close(between.truth, between.views[:, :1])
    assert around.known.tolist() == [1.0] + [0.0] * (len(pairs) - 1)
    assert between.around().known.tolist() == [1.0] * len(pairs)


def test_inside_are_those_that_are_no_neighbour(places: Places) -> None:
    fraction = places.inside().views(torch.Generator(), STILL, 128).fraction
    assert 0 < len(fraction) < len(places)
    assert ((fraction > 0) & (fraction < 1)).all()


def test_labels_cost_nothing_where_they_are_not_asked_for(places: Places) -> None:
    """And change nothing where they are."""
    bare, labelled = (
        places.sample(4, torch.Generator().manual_seed(1), ANY_SIDE, 128, labelled=asked) for asked in (False, True)
    )
    assert torch.equal(bare.views, labelled.views)
    assert bare.labels.shape == (4, 0, 128, 128)
    assert len(bare[torch.tensor([2, 0])].to("cpu")) == 2


def test_a_view_without_labels_is_the_same_view(slices: TrainingSet) -> None:
    images, labels = torch.from_numpy(slices.images)[:, None], torch.from_numpy(slices.labels)
    bent = Augmentation(elastic_mm=4)
    alone, mask = random_view(images, None, torch.Generator().manual_seed(2), bent, 128)
    assert mask is None
    assert torch.equal(alone, random_view(images, labels, torch.Generator().manual_seed(2), bent, 128)[0])


def test_pairs_keep_what_they_were_made_of(places: Places, slices: TrainingSet, tmp_path: Path) -> None:
    places.pairs.save(tmp_path / "pairs.npz")
    back = PairSet.load(tmp_path / "pairs.npz")
    assert (back.slices, back.code) == (slices.sha256, places.pairs.code)
    assert back[np.array([0])].slices == slices.sha256
    np.testing.assert_array_equal(back.above, places.pairs.above)
