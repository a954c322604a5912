"""Codes are found for what a generator drew, each slice's by itself; what lies between is drawn from their mixture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import TRAINING, untrained

import dmcvr
from dmcvr.cli.reconstruct import check_weights
from dmcvr.errors import InputError
from dmcvr.fill.catalogue import make_method
from dmcvr.fill.deeprecon import DeepRecon
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.fill.mixing import lerp
from dmcvr.fill.search import Search, search_codes
from dmcvr.geometry.plan import Plan
from dmcvr.model.checkpoint import save_weights
from dmcvr.model.deeprecon import Generator
from dmcvr.model.presets import TINY, GeneratorConfig
from dmcvr.options import Options
from dmcvr.phantom import Phantom
from dmcvr.stages import Stages

POSITIONS = np.array([0.0, 10.0, 18.0])


def new_generator() -> Generator:
    torch.manual_seed(0)
    return Generator(TINY.generator).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tiny() -> Engine:
    return Engine.of(untrained(), precision=torch.float32).with_generator(new_generator(), steps=3)


@pytest.fixture(scope="module")
def drawn(tiny: Engine) -> Acquired:
    """Three slices that the generator itself can draw, with the labels that it gives them."""
    assert tiny.generator is not None
    z = torch.randn(3, TINY.generator.dimension, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        images, logits = tiny.generator(tiny.generator.spread(tiny.generator.map(z)))
    labels = logits.argmax(dim=1).numpy().astype(np.uint8)
    return Acquired(images[:, 0].clamp(-1, 1).numpy(), labels)


def tensors(acquired: Acquired) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(acquired.images)[:, None], torch.from_numpy(acquired.labels.astype(np.int64))


def test_a_search_comes_near_to_what_it_is_given(tiny: Engine, drawn: Acquired) -> None:
    generator = new_generator()
    images, labels = tensors(drawn)

    def error(codes: torch.Tensor) -> float:
        return float((generator(codes)[0] - images).square().mean())

    def wrong(codes: torch.Tensor) -> float:
        return float((generator(codes)[1].argmax(dim=1) != labels).float().mean())

    with torch.no_grad():
        start = generator.mean_code().repeat(3, 1, 1)
        none = search_codes(generator, images, labels, Search(steps=0))
        found = search_codes(generator, images, labels, Search(steps=60))
        torch.testing.assert_close(none, start)
        assert error(found) < 0.3 * error(start)
        assert wrong(found) < wrong(start)
        blind = search_codes(generator, images, labels, Search(steps=60, labels=0.0))
        assert wrong(found) < wrong(blind)  # the labels lead
        near = search_codes(generator, images, labels, Search(steps=60, stay=100.0))
    assert (near - start).square().mean() < 0.5 * (found - start).square().mean()


def test_each_slice_is_searched_by_itself(tiny: Engine, drawn: Acquired) -> None:
    images, labels = tensors(drawn)
    how = Search(steps=5)
    both = search_codes(new_generator(), images[:2], labels[:2], how, segmenter=tiny.model.segmenter)
    alone = search_codes(new_generator(), images[1:2], labels[1:2], how, segmenter=tiny.model.segmenter)
    torch.testing.assert_close(both[1:], alone, atol=1e-3, rtol=1e-3)


def test_between_two_slices_their_codes_are_mixed(tiny: Engine, drawn: Acquired) -> None:
    method = DeepRecon(tiny)
    dense = method(drawn, Plan.between(POSITIONS, np.array([2.5, 10.0])))
    codes = method.find(drawn)
    images, scores = method.draw(lerp(codes[:1], codes[1:2], torch.tensor([0.25])))
    np.testing.assert_allclose(dense.images[:1], images, atol=1e-5)
    np.testing.assert_allclose(dense.scores[:1], scores, atol=1e-5)
    np.testing.assert_allclose(dense.scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(dense.round_trip, method.draw(codes)[0], atol=1e-5)
    np.testing.assert_allclose(dense.images[1], dense.round_trip[1], atol=1e-5)
    assert method.calls == (3, 1)


def test_given_labels_are_exact_at_their_slices(tiny: Engine, drawn: Acquired) -> None:
    labels = np.zeros_like(drawn.labels)
    labels[:, 40:80, 40:80] = 1
    dense = DeepRecon(tiny)(Acquired(drawn.images, labels, labels_given=True), Plan.between(POSITIONS, POSITIONS))
    np.testing.assert_array_equal(dense.scores.argmax(axis=1), labels)


def test_its_stages_are_those_that_are_foretold(tiny: Engine, drawn: Acquired) -> None:
    from dmcvr.fill.catalogue import stages_of

    stages = Stages()
    make_method("deeprecon", tiny)(drawn, Plan.between(POSITIONS, POSITIONS), stages)
    assert list(stages.seconds) == stages_of("deeprecon", tiny)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    plain = Engine.of(untrained())
    with pytest.raises(InputError, match="have no generator, which deeprecon draws with"):
        make_method("deeprecon", plain)
    with pytest.raises(InputError, match="draws slices of 64 px, and the networks beside it see 128 px"):
        plain.with_generator(Generator(GeneratorConfig(channels=(8, 8, 8, 8))))
    path = tmp_path / "ct.safetensors"
    save_weights(new_generator(), path, preset=TINY, training=TRAINING | {"window": [-160, 440]})
    with pytest.raises(InputError, match=r"ct\.safetensors was trained with --window -160 440, the networks beside it"):
        Engine.load(generator=path, device="cpu")
    with pytest.raises(InputError, match=r"holds an autoencoder; expected a generator \(--weights\): train one with"):
        check_weights(Options(method="deeprecon", weights="compact"))
    with pytest.raises(InputError, match="There are no weights at nowhere"):
        check_weights(Options(method="deeprecon", weights="nowhere"))
    with pytest.raises(InputError, match="deeprecon draws from no noise"):
        Options(method="deeprecon", draws=2).check()


def test_steps_are_those_of_the_search(tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    save_weights(new_generator(), path, preset=TINY, training=TRAINING)
    engine = Engine.load(generator=path, device="cpu", steps=1000)
    assert (engine.search.steps, engine.drawing.steps) == (1000, 1)
    assert engine.generator_info is not None
    assert engine.generator_info.path == path


def test_a_whole_exam(phantom: Phantom, engine: Engine) -> None:
    few = phantom.stack.without_labels().select_slices([2, 3, 4, 5])
    with_one = engine.with_generator(new_generator(), steps=2)
    heart = dmcvr.reconstruct(few, method="deeprecon", spacing_mm=8.0, allow_empty=True, engine=with_one)
    assert heart.run["method"] == "deeprecon"
    assert heart.run["generator_sha256"] is None
    assert np.isfinite(heart.image.data).all()
