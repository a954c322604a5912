"""Views of whole stacks: what stays together, what is changed, and that the same seed gives the same."""

from __future__ import annotations

import numpy as np
import torch
from train.conftest import discs

from dmcvr.model.presets import TINY
from dmcvr.train.segmenter import StackViews, random_look
from dmcvr.train.stages import STAGES, Material


def test_a_batch_is_of_whole_stacks() -> None:
    views = StackViews(discs(), batch=12, size=128)
    for seed in range(5):
        seen = views.draw(torch.Generator().manual_seed(seed))
        assert len(seen.images) >= 12
        assert seen.images.shape[1:] == (1, 128, 128)
        assert seen.images.min() >= -1
        assert seen.images.max() <= 1
        stack, at = seen.stacks.stack, seen.stacks.positions_mm
        assert (stack[1:] - stack[:-1]).unique().tolist() in ([0, 1], [0], [1])
        same = stack[1:] == stack[:-1]
        assert (at[1:] > at[:-1])[same].all()  # rising, whichever end comes first
        assert seen.known.all()


def test_a_seed_decides() -> None:
    views = StackViews(discs(), batch=6, size=128)
    one, other, third = (views.draw(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert one.images.shape != third.images.shape or not torch.equal(one.images, third.images)


def test_still_views_are_the_canvas() -> None:
    data = discs()
    still = StackViews(data, batch=1, size=128).still()
    assert [len(part.images) for part in still] == [5, 5, 5]
    np.testing.assert_array_equal(still[0].labels.numpy(), data.labels[:5, 48:-48, 48:-48])


def test_greys_keep_their_order() -> None:
    """Whatever the curve: brighter stays brighter, but where pixels are blurred, noisy or striped."""
    ramp = torch.linspace(-1, 1, 64).expand(2, 64, 64)
    rising = 0
    for seed in range(40):
        seen = random_look(ramp, torch.Generator().manual_seed(seed))
        assert seen.shape == ramp.shape
        assert seen.abs().max() <= 1
        rising += bool((seen[..., 1:] - seen[..., :-1] >= -1e-4).all())
    assert rising >= 25


def test_it_learns(tmp_path: object) -> None:
    """Forty steps on discs: the loss of the same batch falls by half."""
    torch.manual_seed(0)
    model = STAGES["segmenter"].build(TINY, None)
    objective = STAGES["segmenter"].objective(Material(discs(), TINY, None, None, range(0)), 8, "cpu")  # type: ignore[arg-type]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(40):
        loss, _ = objective(model, torch.Generator().manual_seed(step % 4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])
