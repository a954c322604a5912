"""Training of what sees both neighbours: pairs, the objective, the labeller, drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import untrained_aligned

from dmcvr.errors import InputError
from dmcvr.fill.aligned import WHITE_SEED, Aligned
from dmcvr.fill.engine import Engine
from dmcvr.geometry.plan import Plan
from dmcvr.model.aligned import Surroundings
from dmcvr.phantom import Scan, make_phantom
from dmcvr.stages import Stages
from dmcvr.train.autoencoder import surrounded_objective
from dmcvr.train.between import Between
from dmcvr.train.data import TrainingSet, slices_of
from dmcvr.train.distillation import Distillation, distillation_objective, draw_as_taught
from dmcvr.train.drawing import drawing_objective
from dmcvr.train.labeller import labeller_objective
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import KEPT_PX, PairSet, from_bytes, to_bytes


@pytest.fixture(scope="module")
def slices() -> TrainingSet:
    return slices_of("p", make_phantom(0, Scan(spacing_mm=8)).stack.select_phases([0]).select_slices([2, 3, 4, 5]))


@pytest.fixture(scope="module")
def pairs(slices: TrainingSet) -> PairSet:
    return PairSet.of(slices)


def test_pairs_by_hand(pairs: PairSet, slices: TrainingSet) -> None:
    """Four slices: three pairs of neighbours with one of the two as target, two of every other, one across three."""
    assert pairs.target.tolist() == [1, 1, 3, 1, 2, 1, 2]
    np.testing.assert_allclose(pairs.fraction, [1, 0, 1, 0.5, 0.5, 1 / 3, 2 / 3], atol=1e-6)
    np.testing.assert_allclose(pairs.gap_mm, [8, 8, 8, 16, 16, 24, 24], atol=1e-4)
    low = (slices.images.shape[1] - KEPT_PX) // 2
    own = slices.images[:, low : low + KEPT_PX, low : low + KEPT_PX].astype(np.float32)
    np.testing.assert_allclose(from_bytes(pairs.below[1]), own[1], atol=0.02)
    np.testing.assert_allclose(from_bytes(pairs.above[2]), own[3], atol=0.02)
    np.testing.assert_array_equal(pairs.labels_below[1], slices.labels[1, low : low + KEPT_PX, low : low + KEPT_PX])
    # Warped to its place, the mean of both neighbours is nearer to the truth than the plain mean.
    middle = (from_bytes(pairs.below[3]) + from_bytes(pairs.above[3])) / 2
    assert np.square(middle - own[1]).mean() < np.square((own[0] + own[2]) / 2 - own[1]).mean()


def test_pairs_there_and_back(pairs: PairSet, tmp_path: Path) -> None:
    pairs.save(tmp_path / "pairs.npz")
    np.testing.assert_array_equal(PairSet.load(tmp_path / "pairs.npz").below, pairs.below)
    (tmp_path / "bad.npz").write_bytes(b"x")
    with pytest.raises(InputError, match="made again"):
        PairSet.load(tmp_path / "bad.npz")
    grey = np.linspace(-1.5, 3, 100).astype(np.float32)
    np.testing.assert_allclose(from_bytes(to_bytes(grey)), grey, atol=0.01)


def test_a_sample_is_turned_as_a_whole(pairs: PairSet) -> None:
    drawn = pairs.sample(400, torch.Generator().manual_seed(0))
    assert (
        0.12 < 1 - drawn.inside.mean() < 0.22
    )  # 1 : 5 at a neighbour, though three of seven pairs are (none is narrow)
    for n in range(20):
        for fraction, below, above in (
            (drawn.fraction[n], drawn.below[n], drawn.labels_above[n]),
            (1 - drawn.fraction[n], drawn.above[n], drawn.labels_below[n]),
        ):
            same = (pairs.target == drawn.target[n]) & np.isclose(pairs.fraction, fraction)
            if any(
                (pairs.below[k] == below).all() and (pairs.labels_above[k] == above).all() for k in np.flatnonzero(same)
            ):
                break
        else:
            pytest.fail("a sample that is none of the pairs")


def test_it_learns_from_pairs(slices: TrainingSet, pairs: PairSet) -> None:
    model = untrained_aligned()
    objective = surrounded_objective(slices, pairs, batch=32, device="cpu")
    loss, numbers = objective(model, torch.Generator().manual_seed(1))
    assert numbers["mean_over_plain"] == pytest.approx(1, abs=0.02)  # untrained, the mean is the plain guess
    loss.backward()
    assert all(p.grad is not None for p in model.denoiser.parameters() if p.requires_grad)
    again, _ = objective(model, torch.Generator().manual_seed(1))
    assert again.item() == loss.item()


def trained(model: torch.nn.Module, part: torch.nn.Module, objective: Objective, rate: float) -> list[dict[str, float]]:
    """The numbers of a few steps on one batch, of which this part learns."""
    optimiser = torch.optim.Adam(part.parameters(), rate)
    found = []
    for _ in range(12):
        loss, numbers = objective(model, torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(numbers)
    return found


def test_the_labeller_alone_learns(slices: TrainingSet, pairs: PairSet) -> None:
    model = untrained_aligned()
    model.requires_grad_(False)
    assert model.labeller is not None
    model.labeller.requires_grad_(True)
    objective = labeller_objective(slices, pairs, batch=8, device="cpu")
    found = trained(model, model.labeller, objective, 1e-2)
    assert found[-1]["loss"] < 0.9 * found[0]["loss"]
    assert all(p.grad is None for p in model.denoiser.parameters())


def test_drawing_learns_what_slices_look_like(slices: TrainingSet, pairs: PairSet) -> None:
    """Only the denoiser learns, from drawings at every step, and they come nearer to the truth in features."""
    model = untrained_aligned()
    model.requires_grad_(False)
    model.denoiser.requires_grad_(True)
    objective = drawing_objective(slices, pairs, batch=8, device="cpu")
    found = trained(model, model.denoiser, objective, 2e-3)
    assert found[-1]["distance_over_plain"] < 0.9 * found[0]["distance_over_plain"]
    assert found[-1]["error_over_plain"] < found[0]["error_over_plain"]
    assert all(p.grad is None for p in (*model.segmenter.parameters(), *model.encoder.parameters()))


def test_distillation_learns_what_its_teacher_draws(slices: TrainingSet, pairs: PairSet) -> None:
    """One call comes nearer to what inversion, an expectation and four steps draw; one denoiser's weights change."""
    model, teacher = untrained_aligned(), untrained_aligned()
    with torch.no_grad():  # untrained, a network corrects nothing, and draws the plain mean
        for weight in teacher.denoiser.out.parameters():
            weight.normal_(std=0.05, generator=torch.Generator().manual_seed(3))
    both = Distillation(model, teacher)
    assert (model.preset.steps, model.preset.start_image, model.preset.temperature) == (1, "warped", 0)
    assert (teacher.preset.steps, teacher.preset.start_image, teacher.preset.temperature) == (4, "mean", 1)
    objective = distillation_objective(slices, pairs, batch=4, device="cpu")
    found = trained(both, model.denoiser, objective, 2e-3)
    assert found[-1]["error_over_plain"] < 0.9 * found[0]["error_over_plain"]
    still = (*teacher.parameters(), *model.segmenter.parameters(), *model.encoder.parameters())
    assert all(p.grad is None for p in still)


def test_the_teacher_draws_as_the_method_does(slices: TrainingSet, pairs: PairSet) -> None:
    """`draw_as_taught` and `fill.aligned` are one way: on neighbours that do not move, the same picture."""
    model = untrained_aligned()
    with torch.no_grad():
        for weight in model.denoiser.out.parameters():
            weight.normal_(std=0.05, generator=torch.Generator().manual_seed(3))
    low, size = (slices.images.shape[1] - 128) // 2, model.preset.size
    both = slices.images[1:3, low : low + size, low : low + size].astype(np.float32).clip(-1, 1)
    engine = Engine.of(model, precision=torch.float32, texture=0.0, image="mean")
    plan = Plan.between(np.array([0.0, 8.0]), np.array([4.0]))
    fill = Aligned(engine)
    around = Surroundings(*(engine.tensor(side[None]) for side in both), *torch.tensor([[0.5], [8.0], [1.0]]))
    guides = fill._guides(around, plan)
    stages = Stages()
    drawn = fill._draw(fill._mean(guides, around, stages), fill._noise(both, plan, stages), guides, around, stages)
    views = torch.from_numpy(np.stack([both[0], *both])[None])
    between = Between(views, torch.empty(1, 0, size, size), torch.tensor([0.5]), torch.tensor([8.0]))
    white = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(WHITE_SEED))
    np.testing.assert_allclose(draw_as_taught(model, between, white)[0, 0].numpy(), drawn[0], atol=2e-4)
