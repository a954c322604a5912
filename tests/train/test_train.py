"""Training: views, losses, budgets, kill and resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dmcvr.errors import InputError
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.checkpoint import load_autoencoder, load_morphology, load_segmenter
from dmcvr.model.presets import TINY
from dmcvr.phantom import Scan, make_phantom, write_phantom
from dmcvr.train.autoencoder import autoencoder_objective
from dmcvr.train.config import TrainConfig
from dmcvr.train.data import CANVAS, PIXEL_MM, STILL, Augmentation, TrainingSet, load_training_set, random_view
from dmcvr.train.loop import LoopConfig, Trainer, moving_average
from dmcvr.train.run import train
from dmcvr.train.split import BUNDLED_SPLIT, Split
from dmcvr.train.stages import STAGES, Material


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exams")
    for seed in range(3):
        write_phantom(make_phantom(seed, Scan(spacing_mm=20)), root / f"phantom{seed:03d}")
    return root


@pytest.fixture(scope="module")
def slices(folder: Path) -> TrainingSet:
    return load_training_set(folder)


def test_the_set_holds_every_slice(slices: TrainingSet, folder: Path) -> None:
    assert set(slices.patients) == {"phantom000", "phantom001", "phantom002"}
    assert slices.images.shape[1:] == (224, 224)
    centre = slices.labels[:, 112 - 64 : 112 + 64, 112 - 64 : 112 + 64]
    assert np.count_nonzero(centre) == np.count_nonzero(slices.labels)  # the heart is inside the ROI


def test_pack_there_and_back(slices: TrainingSet, tmp_path: Path) -> None:
    slices.save(tmp_path / "p.npz")
    back = TrainingSet.load(tmp_path / "p.npz")
    np.testing.assert_array_equal(back.images, slices.images)
    assert len(back.of(("phantom001",))) == np.count_nonzero(slices.patients == "phantom001")
    (tmp_path / "bad.npz").write_bytes(b"x")
    with pytest.raises(InputError, match="not a packed training set"):
        TrainingSet.load(tmp_path / "bad.npz")


def test_neighbours_are_of_the_same_stack(slices: TrainingSet) -> None:
    around = slices.neighbours()
    for n, (below, above) in enumerate(around):
        if below < 0:
            continue
        assert slices.patients[below] == slices.patients[n] == slices.patients[above]
        assert slices.phases[below] == slices.phases[n] == slices.phases[above]
        assert slices.positions[below] < slices.positions[n] < slices.positions[above]
    stacks = {(p, q) for p, q in zip(slices.patients, slices.phases, strict=True)}
    assert np.count_nonzero(around[:, 0] < 0) == 2 * len(stacks)  # the first and last of each


@pytest.mark.parametrize("elastic_mm", [0.0, 4.0])
def test_views_move_images_and_labels_together(slices: TrainingSet, elastic_mm: float) -> None:
    """An image that is its own label map stays it under every geometric view."""
    labels = torch.from_numpy(slices.labels[:8])
    images = labels.float()[:, None] / 3 * 2 - 1
    quiet = Augmentation(contrast=0, gamma=0, noise=0, bias=0, elastic_mm=elastic_mm)
    view, mask = random_view(images, labels, torch.Generator().manual_seed(0), quiet, 128)
    inner = (view[:, 0] + 1) / 2 * 3
    assert float(((inner - mask).abs() < 0.6).float().mean()) > 0.97


def test_elastic_views_bend_by_so_many_mm() -> None:
    """Two ramps carry their coordinates: beside a view that is not bent, they show how far each pixel went."""
    ramp = torch.linspace(-0.5, 0.5, CANVAS)
    images = torch.stack([ramp.expand(CANVAS, -1), ramp[:, None].expand(-1, CANVAS)])[None].repeat(6, 1, 1, 1)
    labels = torch.zeros(6, CANVAS, CANVAS, dtype=torch.uint8)
    still, bent = (
        random_view(images, labels, torch.Generator().manual_seed(0), replace(STILL, elastic_mm=mm), 128)[0]
        for mm in (0.0, 4.0)
    )
    moved_mm = (bent - still) * (CANVAS - 1) * PIXEL_MM
    assert 2 < float(moved_mm.std()) < 5  # between knots, less than at them
    assert float(moved_mm.diff(dim=-1).abs().max()) < 1.0  # smooth: nothing folds over pixels of 1.5 mm


def test_views_are_never_mirrored(slices: TrainingSet) -> None:
    """The RV stays on the LV's left: no view turns its sides."""
    chosen = np.flatnonzero([(s == 3).sum() > 300 and (s == 1).sum() > 300 for s in slices.labels])[:4]
    labels = torch.from_numpy(slices.labels[chosen])
    images = torch.from_numpy(slices.images[chosen])[:, None]
    for seed in range(10):
        _, mask = random_view(images, labels, torch.Generator().manual_seed(seed), Augmentation(), 128)
        for m in mask.numpy():
            assert np.argwhere(m == 3)[:, 0].mean() < np.argwhere(m == 1)[:, 0].mean()


def test_split_is_by_patient_and_stratified() -> None:
    groups = {f"p{n:02d}": "AB"[n % 2] for n in range(20)}
    split = Split.stratified(groups)
    assert not set(split.train) & set(split.validation)
    assert sorted(split.train + split.validation) == sorted(groups)
    assert sorted(groups[n] for n in split.validation) == ["A", "A", "B", "B"]
    assert Split.stratified(groups) == split != Split.stratified(groups, seed=1)


def test_bundled_split_is_whole() -> None:
    split = Split.read(BUNDLED_SPLIT)
    parts = (split.train, split.development, split.validation)
    assert [len(part) for part in parts] == [75 + 16, 6 + 4, 19 + 6]  # of ACDC and of Sunnybrook
    assert len(set().union(*parts)) == 126


def config(folder: Path, out: Path, **changes: object) -> TrainConfig:
    values = {"data": folder, "out": out, "preset": "tiny", "max_steps": 6, "batch": 4, "device": "cpu"} | changes
    return TrainConfig(**values)  # type: ignore[arg-type]


def test_morphology_then_autoencoder(folder: Path, tmp_path: Path) -> None:
    morphology = train("morphology", config(folder, tmp_path / "s"))
    assert load_morphology(morphology)[1].preset == TINY
    whole = train("autoencoder", config(folder, tmp_path / "a"), start=morphology)
    model, info = load_autoencoder(whole)
    assert info.training["steps"] == 6
    for name, value in load_morphology(morphology)[0].state_dict().items():  # E_mor stayed as it was
        torch.testing.assert_close(model.segmenter.state_dict()[name], value)
    split = json.loads((tmp_path / "a" / "split.json").read_text())
    assert len(split["train"]) == 2
    assert len(split["validation"]) == 1
    for part in ("s", "a"):
        assert (tmp_path / part / "samples.png").stat().st_size > 1000
        lines = [json.loads(line) for line in (tmp_path / part / "log.jsonl").read_text().splitlines()]
        assert lines[-1]["held_out"]


def test_an_earlier_run_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    train("segmenter", config(folder, tmp_path))
    with pytest.raises(InputError, match="go on with --resume"):
        train("segmenter", config(folder, tmp_path))


@pytest.mark.parametrize("kind", ["segmenter", "morphology", "autoencoder"])
def test_killed_and_resumed_is_as_if_never_killed(kind: str, folder: Path, tmp_path: Path, slices: TrainingSet) -> None:
    class Killed(Exception):
        pass

    def trainer(out: Path, kill_at: int | None = None) -> Trainer:
        torch.manual_seed(0)
        out.mkdir(exist_ok=True)
        preset = replace(TINY, between=0.5)
        stage = STAGES[kind]
        model = Autoencoder(preset) if kind == "autoencoder" else stage.build(preset, None)
        objective = stage.objective(Material(slices, preset, out / "pairs.npz", out / "views.npz", range(0)), 3, "cpu")

        def mortal(model: torch.nn.Module, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            if made.step == kill_at:
                raise Killed
            return objective(model, generator)

        made = Trainer(model, mortal, LoopConfig(max_steps=8, warmup_steps=2, save_every_s=0), out)
        return made

    whole = trainer(tmp_path / "whole").run()
    with pytest.raises(Killed):
        trainer(tmp_path / "killed", kill_at=5).run()
    second = trainer(tmp_path / "killed")
    second.resume()
    assert second.step == 5
    resumed = second.run()
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_time_budget_ends_training(folder: Path, tmp_path: Path) -> None:
    path = train("segmenter", config(folder, tmp_path, max_steps=10**6, max_minutes=0.02))
    assert 1 <= load_segmenter(path)[1].training["steps"] < 1000


def test_learning_lowers_the_loss(slices: TrainingSet, tmp_path: Path) -> None:
    torch.manual_seed(0)
    objective = autoencoder_objective(slices, batch=4, device="cpu")

    def loss_of(model: torch.nn.Module) -> float:
        """The same slices, times and noise, before and after."""
        with torch.no_grad():
            return float(np.mean([objective(model, torch.Generator().manual_seed(-k))[1]["loss"] for k in range(1, 5)]))

    model = Autoencoder(TINY)
    before = loss_of(model.eval())
    config = LoopConfig(max_steps=40, learning_rate=3e-3, warmup_steps=5, ema=0.8)
    assert loss_of(Trainer(model, objective, config, tmp_path).run()) < 0.8 * before


def test_data_that_cannot_train_are_sentences(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint in"):
        Trainer(Autoencoder(TINY), lambda m, g: (torch.zeros(()), {}), LoopConfig(), tmp_path).resume()
    with pytest.raises(
        InputError, match=r"No slice of phantom\d+, phantom\d+ lies between two others at most 25 mm apart"
    ):
        train("labeller", config(folder, tmp_path / "l", preset=None))
    (tmp_path / "split.json").write_text('{"train": ["nobody"], "development": [], "validation": []}')
    with pytest.raises(InputError, match="None of the patients"):
        train("segmenter", config(folder, tmp_path / "q", split=tmp_path / "split.json"))


def test_a_short_training_s_average_forgets_its_start() -> None:
    update = moving_average(0.999)
    averaged = [torch.zeros(1)]
    for count in range(1, 101):
        update(averaged, [torch.ones(1)], count)
    assert 0.99 < float(averaged[0]) < 1
    update(averaged, [torch.zeros(1)], 10**6)
    assert float(averaged[0]) > 0.98  # later, it is slow
