"""What tells how a picture lies learns from views in all eight ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train.conftest import NAMES, discs, tiny

from dmcvr.errors import InputError
from dmcvr.geometry.orient import VIEW_PIXELS
from dmcvr.model.checkpoint import load_orienter, load_segmenter
from dmcvr.model.weights import describe
from dmcvr.train.data import CANVAS, PIXEL_MM, random_view
from dmcvr.train.monitors import WHOLE
from dmcvr.train.orienter import as_shown, eight_ways, way_logits
from dmcvr.train.run import train


def test_eight_ways_are_different_and_each_is_one_of_them_again() -> None:
    view = torch.randn(1, 1, 6, 6)
    ways = eight_ways(view)[0]
    assert len({tuple(way.flatten().tolist()) for way in ways}) == 8
    torch.testing.assert_close(ways[:1], view)
    for way in ways:
        again = eight_ways(way[None])[0]
        assert all(any(torch.equal(a, b) for b in ways) for a in again)


def test_an_exam_that_is_stored_a_quarter_turn_away_is_turned_back() -> None:
    """All of its slices alike, and none of another exam; the discs' RV lies on the left already."""
    plain = discs()
    first = plain.patients == NAMES[0]
    for quarters in (1, 2, 3):
        images, labels = plain.images.copy(), plain.labels.copy()
        images[first] = np.rot90(images[first], quarters, (1, 2))
        labels[first] = np.rot90(labels[first], quarters, (1, 2))
        found = as_shown(replace(plain, images=images, labels=labels))
        np.testing.assert_array_equal(found.images, plain.images)
        np.testing.assert_array_equal(found.labels, plain.labels)


def test_logits_follow_their_way() -> None:
    """A network that looks at a corner sees the same corner, whichever way the picture came."""
    view = torch.randn(2, 1, 8, 8)
    logits = way_logits(_Corner(), view)
    assert logits.shape == (2, 8)
    torch.testing.assert_close(logits[:, 0], view[:, 0, 0, 0])
    turned = way_logits(_Corner(), view.rot90(1, (2, 3)))
    torch.testing.assert_close(turned.sort(dim=1).values, logits.sort(dim=1).values)


class _Corner(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0, 0, 0]


def test_a_wide_view_is_the_whole_canvas_and_a_small_field_goes_on_at_its_edge() -> None:
    ramp = torch.arange(CANVAS, dtype=torch.float32).expand(1, 1, CANVAS, CANVAS) / CANVAS - 0.5

    def view(**changes: float) -> torch.Tensor:
        how = replace(WHOLE, **changes)
        return random_view(ramp, None, torch.Generator().manual_seed(3), how, VIEW_PIXELS)[0][0, 0]

    whole, small = view(), view(field=0.5)
    step = CANVAS / VIEW_PIXELS
    assert WHOLE.view_mm == CANVAS * PIXEL_MM
    assert float(whole[:, 1:].sub(whole[:, :-1]).mean()) == pytest.approx(step / CANVAS, rel=0.03)
    inside = small == whole
    rows, columns = inside.any(dim=1), inside.any(dim=0)
    assert 0.5 <= float(columns.float().mean()) < 1
    first = int(columns.int().argmax())
    torch.testing.assert_close(small[:, :first], small[:, :1].expand(-1, first))
    assert rows.all()  # a ramp has no edge above or below


def test_it_is_trained_watched_and_told_apart(packed: Path, tmp_path: Path) -> None:
    path = train("orienter", tiny(packed, tmp_path / "o", max_steps=2))
    info = describe(path)
    assert (info.kind, info.training["stage"], info.training["patients"]) == ("orienter", "orienter", len(NAMES) - 1)
    orienter, _ = load_orienter(path)
    with torch.no_grad():
        views = torch.from_numpy(discs().images[:2, None, :80, :80]).float()
        assert way_logits(orienter, views).shape == (2, 8)
    log = (tmp_path / "o" / "log.jsonl").read_text()
    assert '"right_exams"' in log
    with pytest.raises(InputError, match="holds an orienter; expected a segmenter"):
        load_segmenter(path)
