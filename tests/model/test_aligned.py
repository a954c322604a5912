"""A denoiser that sees both neighbours, warped to the slice's place: pairs, objective, one-shot mean, drawing."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dmcvr.errors import InputError
from dmcvr.fill.aligned import Dmcvr, keep_acquired
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.geometry.plan import Plan
from dmcvr.model.autoencoder import Autoencoder, SliceCodes, Surroundings
from dmcvr.model.checkpoint import load_autoencoder
from dmcvr.model.presets import TINY, Preset, SegmenterConfig
from dmcvr.model.weights import DEFAULT
from dmcvr.phantom import Scan, make_phantom
from dmcvr.quality.metrics import sharpness
from dmcvr.registration.paths import guided_paths, paths
from dmcvr.train.autoencoder import surrounded_objective
from dmcvr.train.config import Kind, TrainConfig
from dmcvr.train.data import TrainingSet, slices_of
from dmcvr.train.drawing import drawing_objective
from dmcvr.train.labeller import labeller_objective
from dmcvr.train.loop import Objective
from dmcvr.train.pairs import KEPT_PX, PairSet, from_bytes, to_bytes
from dmcvr.train.run import train
from dmcvr.train.split import Split

SURROUNDED: Preset = replace(
    TINY,
    denoiser=replace(TINY.denoiser, surroundings=True),
    between=0.5,
    labeller=SegmenterConfig(images=11, patch=4, channels=(8, 16)),
)


@pytest.fixture(scope="module")
def slices() -> TrainingSet:
    return slices_of("p", make_phantom(0, Scan(spacing_mm=8)).stack.select_phases([0]).select_slices([2, 3, 4, 5]))


@pytest.fixture(scope="module")
def pairs(slices: TrainingSet) -> PairSet:
    return PairSet.of(slices)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(0, 0.4, (3, 16, 16)).repeat(8, axis=1).repeat(8, axis=2), -1, 1).astype(np.float32)


def unlabelled(images: np.ndarray) -> Acquired:
    return Acquired(images, np.zeros(images.shape, np.uint8))


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
    torch.manual_seed(0)
    model = Autoencoder(SURROUNDED)
    objective = surrounded_objective(slices, pairs, batch=32, device="cpu")
    loss, numbers = objective(model, torch.Generator().manual_seed(1))
    assert numbers["mean_over_plain"] == pytest.approx(1, abs=0.02)  # untrained, the mean is the plain guess
    loss.backward()
    assert all(p.grad is not None for p in model.denoiser.parameters() if p.requires_grad)
    again, _ = objective(model, torch.Generator().manual_seed(1))
    assert again.item() == loss.item()


def test_untrained_it_draws_the_registration(images: np.ndarray) -> None:
    """What the network adds starts at nothing: without noise, the slice is the warped neighbours' own mean."""
    torch.manual_seed(0)
    model = Autoencoder(SURROUNDED)
    engine = Engine(model, steps=4, start=60, temperature=0.0, output="mean", precision=torch.float32)
    plan = Plan.between(np.array([0.0, 10.0, 18.0]), np.array([0.0, 4.0, 14.0]))
    drawing = Dmcvr(engine).draw(unlabelled(images), plan)
    drawn = drawing.images[drawing.where]
    assert drawn.shape == (6, 128, 128)
    plain = guided_paths(images, np.zeros(images.shape, np.uint8), plan).blend(images)
    assert np.abs(drawn[3:] - plain).mean() < 0.01
    assert np.abs(drawn[:3] - images).mean() < 0.002
    assert drawing.around is not None
    white = torch.randn(drawing.around.below.shape, generator=torch.Generator().manual_seed(0))
    expected = engine.mean(SliceCodes(white, *engine.guides(drawing.around)), drawing.around)[drawing.where]
    assert np.abs(expected[3:] - plain).mean() < 0.002
    assert np.abs(expected[:3] - images).mean() < 0.002


def test_acquired_slices_stay_and_fade(images: np.ndarray) -> None:
    torch.manual_seed(0)
    drawing = Dmcvr(Engine(Autoencoder(SURROUNDED), steps=2)).draw(
        unlabelled(images), Plan.between(np.array([0.0, 10.0, 18.0]), np.array([5.0, 10.0]))
    )
    np.testing.assert_allclose(drawing.images[drawing.where[[0, 1, 2, 4]]], images[[0, 1, 2, 1]], atol=1e-6)
    assert np.abs(drawing.rendered - images).mean() > 0.001
    plan = Plan.between(np.array([0.0, 10.0, 18.0]), np.array([0.0, 1.0, 2.0, 5.0, 9.5, 10.0, 18.0]))
    blank = np.zeros((len(plan), 128, 128), np.float32)
    faded = keep_acquired(blank, np.ones_like(images), paths(images, plan))
    np.testing.assert_allclose(faded[:, 64, 64], [1, 0.5, 0, 0, 0.75, 1, 1], atol=1e-6)


def test_labels_start_as_the_neighbours_mixture(images: np.ndarray) -> None:
    """An untrained labeller follows given labels: at the slices exactly, half way between by the warped mean."""
    torch.manual_seed(0)
    fill = Dmcvr(Engine(Autoencoder(SURROUNDED), steps=2, output="mean", precision=torch.float32))
    labels = np.zeros(images.shape, np.uint8)
    labels[:, 40:80, 40:80] = 1
    labels[:, 80:100, 40:80] = 3
    acquired = Acquired(images, labels, labels_given=True)
    dense = fill(acquired, Plan.between(np.arange(3.0), np.array([0.0, 1.0, 2.0])))
    assert (dense.scores.argmax(axis=1) == labels).mean() > 0.99
    alone = fill(Acquired(images, labels), Plan.between(np.arange(3.0), np.array([0.5])))
    assert alone.scores.shape == (1, 4, 128, 128)
    np.testing.assert_allclose(alone.scores.sum(axis=1), 1, atol=1e-5)


def trained(model: Autoencoder, part: torch.nn.Module, objective: Objective, rate: float) -> list[dict[str, float]]:
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
    torch.manual_seed(0)
    model = Autoencoder(SURROUNDED)
    model.requires_grad_(False)
    assert model.labeller is not None
    model.labeller.requires_grad_(True)
    objective = labeller_objective(slices, pairs, batch=8, device="cpu")
    found = trained(model, model.labeller, objective, 1e-2)
    assert found[-1]["loss"] < 0.9 * found[0]["loss"]
    assert all(p.grad is None for p in model.denoiser.parameters())


def test_drawing_learns_what_slices_look_like(slices: TrainingSet, pairs: PairSet) -> None:
    """Only the denoiser learns, from drawings at every step, and they come nearer to the truth in features."""
    torch.manual_seed(0)
    model = Autoencoder(SURROUNDED)
    model.requires_grad_(False)
    model.denoiser.requires_grad_(True)
    objective = drawing_objective(slices, pairs, batch=8, device="cpu")
    found = trained(model, model.denoiser, objective, 2e-3)
    assert found[-1]["distance_over_plain"] < 0.9 * found[0]["distance_over_plain"]
    assert found[-1]["error_over_plain"] < found[0]["error_over_plain"]
    assert all(p.grad is None for p in (*model.segmenter.parameters(), *model.encoder.parameters()))


def test_labeller_then_drawing(slices: TrainingSet, pairs: PairSet, tmp_path: Path) -> None:
    """Each stage changes its own network alone and keeps the record of those before; a drawing goes half the way."""
    other = replace(slices, patients=np.full_like(slices.patients, "q"))
    both = {f.name: np.concatenate([getattr(slices, f.name), getattr(other, f.name)]) for f in fields(TrainingSet)}
    TrainingSet(**both).save(tmp_path / "two.npz")
    Split(("p",), ("q",), ()).write(tmp_path / "split.json")
    pairs.save(tmp_path / "pairs.npz")

    def stage(kind: Kind, start: Path | None = None) -> Path:
        out = tmp_path / kind
        out.mkdir()
        pairs.save(out / "held_out_pairs.npz")
        config = TrainConfig(
            data=tmp_path / "two.npz",
            out=out,
            split=tmp_path / "split.json",
            pairs=tmp_path / "pairs.npz",
            max_steps=2,
            batch=4,
            device="cpu",
        )
        return train(kind, config, start=start)

    labeller = stage("labeller")
    drawing = stage("drawing", labeller)
    first, second, third = (load_autoencoder(path)[0].state_dict() for path in (DEFAULT, labeller, drawing))
    assert {key.partition(".")[0] for key in first if (first[key] != second[key]).any()} == {"labeller"}
    assert {key.partition(".")[0] for key in second if (second[key] != third[key]).any()} == {"denoiser"}
    averaged = torch.load(tmp_path / "drawing" / "checkpoint.pt", weights_only=True)["ema"]
    for key in (key for key in third if key.startswith("denoiser.up") and key.endswith("weight")):
        half_way = (second[key] + averaged["module." + key]) / 2
        torch.testing.assert_close(third[key], half_way, rtol=1e-3, atol=1e-4)  # kept as float16
    before, info = load_autoencoder(DEFAULT)[1], load_autoencoder(drawing)[1]
    assert info.preset == before.preset
    assert info.stages[:-2] == before.stages
    assert [stage["steps"] for stage in info.stages[-2:]] == [2, 2]


def test_a_sharp_slice_is_one_of_many(images: np.ndarray) -> None:
    torch.manual_seed(0)
    model = Autoencoder(SURROUNDED)
    plan = Plan.between(np.array([0.0, 10.0, 18.0]), np.array([4.0]))
    warm, cold = (Dmcvr(Engine(model, steps=2, temperature=t)).draw(unlabelled(images), plan) for t in (1.0, 0.0))
    assert warm.images.shape == (4, 128, 128)
    assert not np.allclose(warm.images, cold.images)
    expected = Dmcvr(Engine(model, steps=2, temperature=0.0, detail=1.0, output="mean")).draw(unlabelled(images), plan)
    assert np.array_equal(expected.images, cold.images)
    sharp = Dmcvr(Engine(model, steps=2, temperature=0.0, detail=1.0)).draw(unlabelled(images), plan)
    assert sharpness(sharp.images[sharp.where[-1]]) > 1.02 * sharpness(cold.images[cold.where[-1]])
    with pytest.raises(InputError, match="start at time 4 to 999"):
        Engine(model, steps=4, start=3)
    with pytest.raises(InputError, match="draw no mean"):
        Engine(Autoencoder(TINY), output="mean")


def test_nothing_known_is_nothing_seen() -> None:
    x = torch.rand(2, 1, 8, 8)
    nothing = Surroundings.unknown(x)
    assert not nothing.images().any()
    assert not nothing.place().any()
    some = Surroundings(x, x + 1, torch.tensor([0.0, 0.25]), torch.tensor([10.0, 20.0]), torch.ones(2))
    torch.testing.assert_close(some.middle[1], x[1] + 0.25)
    torch.testing.assert_close(some.place(), torch.tensor([[1, 0, 1], [1, 0.25, 2]]))
    assert some[:1].images().shape == (1, 3, 8, 8)


@pytest.mark.parametrize("guided", [False, True])
def test_paths_end_at_the_slices(images: np.ndarray, guided: bool) -> None:
    plan = Plan.between(np.arange(3.0), np.array([0.0, 1.0, 2.0]))
    between = guided_paths(images, np.zeros(images.shape, np.uint8), plan) if guided else paths(images, plan)
    below, above = between.warp(images)
    np.testing.assert_allclose(below[0], images[0], atol=1e-5)
    np.testing.assert_allclose(above[2], images[2], atol=0.3)
