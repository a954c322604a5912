"""The stages that follow each other: their table, what each changes, what the weights tell of them, and seeds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train.conftest import discs, tiny

from dmcvr.model import presets
from dmcvr.model.checkpoint import load_autoencoder
from dmcvr.model.presets import ALIGNED, TINY
from dmcvr.model.weights import bundled, describe
from dmcvr.train.run import train
from dmcvr.train.split import Split
from dmcvr.train.stages import LABELLER_TRUST, STAGES, Material, stage_name

ROOT = Path(__file__).parent.parent.parent


def test_an_autoencoder_with_surroundings_is_a_stage_of_its_own() -> None:
    assert stage_name("autoencoder", TINY) == "autoencoder"
    assert stage_name("autoencoder", ALIGNED) == stage_name("drawing", ALIGNED).replace("drawing", "aligned")
    assert {stage_name(kind, ALIGNED) for kind in ("segmenter", "labeller", "drawing")} < set(STAGES)


def test_the_script_trains_by_steps_what_the_table_says() -> None:
    script = (ROOT / "scripts" / "train").read_text(encoding="utf-8")
    found = re.findall(r"^train \w+ (\w+).*?--max-steps (\d+) --batch (\d+)", script.replace("\\\n", ""), re.MULTILINE)
    table = [(name if name != "aligned" else "autoencoder", s.steps, s.batch) for name, s in STAGES.items()]
    assert sorted((name, int(steps), int(batch)) for name, steps, batch in found) == sorted(table)
    assert "minutes" not in script


def test_the_model_card_gives_the_same_numbers() -> None:
    card = (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8")
    for stage in STAGES.values():
        assert f"{stage.steps:,} steps of {stage.batch}" in card
        assert f"--max-steps {stage.steps} --batch {stage.batch}" in card


def test_the_bundled_weights_tell_their_whole_history() -> None:
    names = (
        "segmenter",
        "compact",
        "aligned",
        "labeller",
        "drawing",
        "distillation",
    )  # E_mor's training was called so then
    histories = {info.path.stem: info for info in bundled()}
    for name, length in (("compact", 2), ("aligned", 6)):
        stages = histories[name].stages
        assert tuple(stage["stage"] for stage in stages) == names[:length]
        assert [stage["steps"] for stage in stages] == [stage.steps for stage in STAGES.values()][:length]
        assert [stage["batch"] for stage in stages] == [stage.batch for stage in STAGES.values()][:length]
        assert {stage["seed"] for stage in stages} == {0}
    assert histories["aligned"].history.startswith(
        "segmenter 3,266 steps in 24 min -> compact 3,090 steps in 70 min -> aligned 5,236 steps in 121 min -> "
        "labeller 1,159 steps in 27 min -> drawing 748 steps in 32 min -> distillation 170 steps in 12 min; seed 0"
    )


def test_each_stage_changes_its_own_network_and_keeps_the_record(packed: Path, tmp_path: Path) -> None:
    short = {"max_steps": 1, "pairs": tmp_path / "pairs.npz", "precision": "float32"}
    aligned = train("autoencoder", tiny(packed, tmp_path / "aligned", preset="aligned", **short))
    labeller = train("labeller", tiny(packed, tmp_path / "labeller", preset=None, **short), start=aligned)
    drawing = train("drawing", tiny(packed, tmp_path / "drawing", preset="aligned", **short), start=labeller)
    files = (describe(ROOT / "src/dmcvr/weights/compact.safetensors").path, aligned, labeller, drawing)
    for before, after, part in zip(files[:-1], files[1:], ("denoiser", "labeller", "denoiser"), strict=True):
        old, new = load_file(before), load_file(after)
        changed = {k.split(".")[0] for k in old if old[k].shape != new[k].shape or (old[k] != new[k]).any()}
        assert changed == {part}
        assert describe(after).stages[:-1] == describe(before).stages
        assert describe(after).training["start_sha256"] == describe(before).sha256
    averaged = torch.load(tmp_path / "drawing" / "checkpoint.pt")["ema"]
    before, after = load_file(labeller), load_file(drawing)
    for key in (key for key in after if key.startswith("denoiser.up") and key.endswith("weight")):
        half_way = (before[key].float() + averaged["module." + key]) / 2
        torch.testing.assert_close(after[key].float(), half_way, rtol=1e-3, atol=1e-4)  # kept as float16
    distilled = train("distillation", tiny(packed, tmp_path / "distilled", preset=None, **short), start=drawing)
    assert describe(distilled).preset == describe(drawing).preset.in_one_call()
    assert [stage["stage"] for stage in describe(distilled).stages[-2:]] == ["drawing", "distillation"]
    assert {key.split(".")[0] for key, value in load_file(distilled).items() if (value != after[key]).any()} == {
        "denoiser"
    }
    last = describe(drawing).training
    assert (last["stage"], last["preset"], last["steps"], last["batch"]) == ("drawing", "aligned", 1, 2)
    assert (last["seed"], last["learning_rate"], last["patients"]) == (0, 2e-4, 2)
    assert last["data_sha256"] == discs().of(("p", "q")).sha256
    assert last["split_sha256"] == Split.read(packed.parent / "split.json").sha256


def test_a_share_of_the_labeller_s_correction_is_kept() -> None:
    model, before = load_autoencoder("aligned")[0], load_autoencoder("aligned")[0].state_dict()
    STAGES["labeller"].settle(model, None, Material(discs(), ALIGNED, Path("pairs.npz"), Path("views.npz"), range(0)))
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key] * (LABELLER_TRUST if key.startswith("labeller.head.") else 1))


def test_a_new_autoencoder_keeps_the_record_of_its_segmenter(packed: Path, tmp_path: Path) -> None:
    morphology = train("morphology", tiny(packed, tmp_path / "s", max_steps=1))
    first = train("autoencoder", tiny(packed, tmp_path / "a", max_steps=1), start=morphology)
    second = train("autoencoder", tiny(packed, tmp_path / "b", max_steps=2), start=first)  # its segmenter alone
    assert [stage["stage"] for stage in describe(first).stages] == ["morphology", "tiny"]
    assert describe(second).stages[:-1] == describe(morphology).stages
    assert describe(second).training["start_sha256"] == describe(first).sha256


def test_a_seed_decides_all_that_is_drawn(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First weights, slices, views, times, noise and dropout; nothing else that draws before has a say."""
    restless = replace(TINY, denoiser=replace(TINY.denoiser, dropout=0.5), between=0.5)
    monkeypatch.setitem(presets.PRESETS, "tiny", restless)
    monkeypatch.setattr("dmcvr.train.stages.autoencoder_monitor", lambda slices: lambda trainer: None)
    morphology = train("morphology", tiny(packed, tmp_path / "s", max_steps=1))

    def trained(out: str, seed: int) -> list[torch.Tensor]:
        torch.rand(seed * 7 + len(out))
        path = train("autoencoder", tiny(packed, tmp_path / out, max_steps=2, seed=seed), start=morphology)
        model = load_autoencoder(path)[0]
        return [*model.encoder.parameters(), *model.denoiser.parameters()]

    first, again, other = trained("first", 1), trained("again-", 1), trained("other", 2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
