"""The segmenter of acquired slices: each stack by itself, either way round, and structures that a slice has not."""

from __future__ import annotations

import pytest
import torch

from dmcvr.model.presets import COMPACT, PRESETS, TINY, Preset
from dmcvr.model.stack_segmenter import Stacks, StackSegmenter


def awake() -> StackSegmenter:
    """Untrained, with nothing at zero, and away from what batch norm starts with."""
    torch.manual_seed(0)
    model = StackSegmenter(TINY.stack_segmenter).eval()
    for p in model.parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.2)
    return model


def stacks_of(*lengths: int, spacing_mm: float = 8.0) -> Stacks:
    stack = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return Stacks.of(stack, spacing_mm * torch.cat([torch.arange(n) for n in lengths]))


def test_places_in_a_stack() -> None:
    places = stacks_of(3, 1, 2)
    assert places.below.tolist() == [0, 0, 1, 3, 4, 4]
    assert places.above.tolist() == [1, 2, 2, 3, 5, 5]
    assert places.positions_mm.tolist() == [-8, 0, 8, 0, -4, 4]
    gaps = places.steps(places.above)
    assert gaps[:, 2].tolist() == [1, 1, 0, 0, 1, 0]
    assert gaps[0, 0].item() == pytest.approx(0.4)


@pytest.mark.parametrize("preset", [COMPACT, TINY], ids=lambda p: p.name)
def test_sizes(preset: Preset) -> None:
    model = StackSegmenter(preset.stack_segmenter).eval()
    with torch.no_grad():
        logits, presence = model(torch.zeros(3, 1, preset.size, preset.size), stacks_of(2, 1))
    assert logits.shape == (3, 4, preset.size, preset.size)
    assert presence.shape == (3, 3)


def test_every_preset_s_slices_fit() -> None:
    assert all(preset.size % preset.stack_segmenter.reduction == 0 for preset in PRESETS.values())


def test_stacks_know_nothing_of_each_other() -> None:
    model, x = awake(), torch.rand(5, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        both = model(x, stacks_of(3, 2))
        alone = model(x[:3], stacks_of(3)), model(x[3:], stacks_of(2))
        mixed = model(x, stacks_of(5))
    for whole, one, other in zip(both, *alone, strict=True):
        torch.testing.assert_close(whole, torch.cat([one, other]), atol=1e-5, rtol=1e-4)
    assert (mixed[0][:3] - both[0][:3]).abs().max() > 1e-3  # within a stack, slices hear each other


def test_which_end_is_first_says_nothing_but_by_sign() -> None:
    """Neighbours are heard alike on both sides: only the sign of the places differs when a stack is turned round."""
    model, x = awake(), torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.nn.init.zeros_(model.attend.place.weight)
    with torch.no_grad():
        one, other = model(x, stacks_of(4))[0], model(x.flip(0), stacks_of(4))[0].flip(0)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_distance_between_slices_is_seen() -> None:
    model, x = awake(), torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        near, far = (model(x, stacks_of(3, spacing_mm=mm))[0] for mm in (5.0, 12.0))
    assert (near - far).abs().max() > 1e-3


def test_probabilities_without_what_a_slice_has_not() -> None:
    model, x = awake(), torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    torch.nn.init.zeros_(model.presence.weight)
    model.presence.bias.data = torch.tensor([1.0, 1.0, -2.0])  # no slice has an RV
    found = model.probabilities(x, stacks_of(4))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(4, 64, 64))
    assert found[:, 3].max() == 0
    assert found[:, 1:3].min() > 0
