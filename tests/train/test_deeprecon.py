"""Two networks learn against each other, and one of them is kept."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train.conftest import discs, tiny

import dmcvr.train.deeprecon as module
from dmcvr.errors import InputError
from dmcvr.model.checkpoint import load_generator
from dmcvr.model.deeprecon import DeepRecon
from dmcvr.model.presets import TINY
from dmcvr.train.deeprecon import deeprecon_objective, draw, slopes, softened
from dmcvr.train.loop import LoopConfig, Trainer
from dmcvr.train.run import train


def objective(batch: int = 2) -> module.Objective:
    return deeprecon_objective(discs(), batch=batch, size=128, device="cpu")


def test_each_learns_from_its_own_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one step: with the other's loss taken away, its gradients are what they were."""
    monkeypatch.setattr(module, "LAZY", 0.0)
    torch.manual_seed(0)
    model = DeepRecon(TINY.generator)

    def gradients(kept: tuple[int, ...]) -> dict[str, torch.Tensor]:
        """Of these of the three parts of the loss: the generator's comes first."""
        calls = iter(range(3))
        softplus = torch.nn.functional.softplus
        monkeypatch.setattr(module.F, "softplus", lambda numbers: (next(calls) in kept) * softplus(numbers))
        model.zero_grad()
        objective()(model, torch.Generator().manual_seed(5))[0].backward()
        monkeypatch.setattr(module.F, "softplus", softplus)
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    both, first, second = gradients((0, 1, 2)), gradients((0,)), gradients((1, 2))
    assert set(both) == {name for name, _ in model.named_parameters()}
    for name, gradient in both.items():
        own, others = (first, second) if name.startswith("generator") else (second, first)
        torch.testing.assert_close(own[name], gradient)
        assert not others.get(name, torch.zeros(1)).any()


def test_the_slope_counts_as_much_more_as_it_is_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DeepRecon(TINY.generator)
    monkeypatch.setattr(module, "LAZY", 1.0)
    loss, numbers = objective()(model, torch.Generator().manual_seed(5))
    parts = numbers["loss_generator"] + numbers["loss_discriminator"] + 0.5 * module.GAMMA * numbers["slope"]
    assert float(loss.detach()) == pytest.approx(parts, rel=1e-5)
    monkeypatch.setattr(module, "LAZY", 0.0)
    assert "slope" not in objective()(model, torch.Generator().manual_seed(5))[1]


def test_a_slope_is_that_of_the_numbers() -> None:
    """Against finite differences, along the gradient itself."""
    torch.manual_seed(0)
    judge = DeepRecon(TINY.generator).discriminator.double()
    images, shares = torch.randn(1, 1, 128, 128).double(), torch.rand(1, 4, 128, 128).double()
    found = float(slopes(judge, images, shares)[0].detach())
    seen = images.clone().requires_grad_(), shares.clone().requires_grad_()
    way = torch.autograd.grad(judge(*seen).sum(), seen)
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (judge(images + s * way[0], shares + s * way[1]) for s in (step, -step))
    assert found == pytest.approx(float((ahead - behind) / (2 * step)), rel=1e-3)


def test_shares_are_soft_and_whole() -> None:
    masks = torch.from_numpy(discs().labels[:2].astype(np.int64))
    shares = softened(masks)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(masks.shape))
    assert 0 < float(((shares > 0) & (shares < 1)).float().mean()) < 0.1
    assert (shares.argmax(dim=1) == masks).float().mean() > 0.99


def test_codes_change_where_they_are_told_to() -> None:
    generator = DeepRecon(TINY.generator).generator
    z = torch.randn(2, 2, TINY.generator.dimension)
    codes = TINY.generator.codes
    with torch.no_grad():
        first = draw(generator, z[:, [0, 0]], torch.tensor([1, 1]))[0]
        all_first, mixed = draw(generator, z, torch.tensor([codes, 1]))[0]
    torch.testing.assert_close(all_first, first[0])
    assert not torch.equal(mixed, first[1])


def test_slices_with_unknown_structures_are_left_out() -> None:
    partly = replace(discs(), known=np.ones(len(discs()), np.uint8))
    with pytest.raises(InputError, match="all three structures labelled"):
        deeprecon_objective(partly, batch=2, size=128, device="cpu")


def test_it_is_trained_watched_and_kept(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmcvr.train.monitors.LOOKED_STEPS", 2)
    path = train("deeprecon", tiny(packed, tmp_path / "d", max_steps=2))
    generator, info = load_generator(path)
    assert (info.kind, info.training["stage"], info.training["steps"]) == ("generator", "deeprecon", 2)
    assert info.training["loop"]["betas"] == [0.0, 0.99]
    assert all(torch.isfinite(p).all() for p in generator.parameters())
    assert '"search_ssim"' in (tmp_path / "d" / "log.jsonl").read_text()
    assert (tmp_path / "d" / "samples.png").is_file()
    with pytest.raises(InputError, match=r"DeepRecon starts from nothing; got the weights compact"):
        train("deeprecon", tiny(packed, tmp_path / "e"), start="compact")


def test_minutes_may_be_told_by_what_was_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that waits has used nothing."""

    def waits(model: torch.nn.Module, _: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        time.sleep(0.1)
        return sum(p.square().sum() for p in model.parameters()), {"loss": 0.0}

    spent = {}
    for clock in ("wall", "cpu"):
        config = LoopConfig(max_steps=3, max_minutes=1.0, clock=clock, mixed_precision=False)  # type: ignore[arg-type]
        trainer = Trainer(torch.nn.Linear(2, 2), waits, config, tmp_path)
        trainer.run()
        spent[clock] = trainer.seconds
    assert spent["wall"] > 0.3 > spent["cpu"] > 0
