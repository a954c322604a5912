"""What the segmenter learns by, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from dmcvr.train.losses import partial_loss, presence_loss

ALL = torch.tensor([[True, True, True]])
CAVITY_ALONE = torch.tensor([[True, False, False]])


def test_a_sure_and_right_answer_costs_nothing() -> None:
    labels = torch.tensor([[[0, 1], [2, 3]]])
    logits = 40.0 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()
    assert partial_loss(logits, labels, ALL).item() == pytest.approx(0, abs=1e-6)


def test_what_was_not_looked_for_counts_as_background() -> None:
    """Of a slice whose LV alone was looked for, it is all one whether the rest is wall, RV or nothing."""
    labels = torch.tensor([[[1, 0], [0, 0]]])
    costs = []
    for others in ([0, 0, 0], [2, 3, 0], [3, 3, 2]):
        seen = torch.tensor([[[1, others[0]], [others[1], others[2]]]])
        logits = 40.0 * torch.nn.functional.one_hot(seen, 4).movedim(-1, 1).float()
        costs.append(partial_loss(logits, labels, CAVITY_ALONE).item())
        assert (partial_loss(logits, labels, ALL).item() > 1) == (others != [0, 0, 0])
    assert costs == pytest.approx([0, 0, 0], abs=1e-6)


def test_the_entropy_of_an_undecided_answer() -> None:
    """Even logits: the cavity has a quarter, the rest together three quarters."""
    labels = torch.tensor([[[1, 0], [0, 0]]])
    entropy = (math.log(4) + 3 * math.log(4 / 3)) / 4
    overlap = (2 * 0.25 + 1) / (4 * 0.25 + 1 + 1)  # Dice with one added above and below, of the cavity
    dice = (1 - overlap) / 3  # the two others have none to miss
    assert partial_loss(torch.zeros(1, 4, 2, 2), labels, CAVITY_ALONE).item() == pytest.approx(entropy + dice)


def test_gradients_are_finite_where_structures_are_unknown() -> None:
    logits = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    known = torch.cat([ALL, CAVITY_ALONE])
    partial_loss(logits, torch.zeros(2, 8, 8, dtype=torch.long), known).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_presence_counts_what_was_looked_for() -> None:
    labels = torch.tensor([[[1, 2], [0, 0]], [[0, 0], [0, 0]]])
    right = torch.tensor([[40.0, 40.0, -40.0], [-40.0, -40.0, -40.0]])
    assert presence_loss(right, labels, ALL.expand(2, 3)).item() == pytest.approx(0, abs=1e-6)
    wrong = right.clone()
    wrong[1, 2] = 40.0
    assert presence_loss(wrong, labels, ALL.expand(2, 3)).item() == pytest.approx(40 / 6, rel=1e-3)
    assert presence_loss(wrong, labels, CAVITY_ALONE.expand(2, 3)).item() == pytest.approx(0, abs=1e-6)
