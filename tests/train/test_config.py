"""What cannot be trained is refused before any work, in a sentence, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from train.conftest import tiny

from dmcvr.errors import InputError
from dmcvr.model import presets
from dmcvr.model.checkpoint import save_weights
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import ALIGNED, TINY, SegmenterConfig
from dmcvr.train.config import Kind
from dmcvr.train.run import train


@pytest.fixture(scope="module")
def morphology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "morphology.safetensors"
    training = {"data": "test", "patients": 1, "steps": 1, "minutes": 0.1}
    save_weights(Segmenter(TINY.segmenter), path, preset=TINY, training=training)
    return path


@pytest.mark.parametrize(
    ("kind", "changes", "start", "said"),
    [
        ("segmenter", {"preset": "huge"}, None, "Unknown preset 'huge': choose one of compact, "),
        ("segmenter", {"max_minutes": -1.0}, None, "Expected --max-minutes above 0; got -1.0"),
        ("segmenter", {"max_minutes": float("nan")}, None, "Expected --max-minutes above 0; got nan"),
        ("segmenter", {"max_steps": 0}, None, "Expected --max-steps of 1 or more; got 0"),
        ("segmenter", {"batch": 0}, None, "Expected --batch of 1 or more; got 0"),
        ("drawing", {"batch": 1, "preset": None}, None, "Expected --batch of 2 or more; got 1"),
        ("segmenter", {"learning_rate": 0.0}, None, "Expected --learning-rate above 0; got 0.0"),
        ("segmenter", {"seed": -3}, None, "Expected --seed of 0 or more; got -3"),
        ("segmenter", {"window": (400.0, -160.0)}, None, "Expected --window as two rising grey values; got 400 -160"),
        ("segmenter", {"window": (-160.0, 400.0)}, None, "A packed file has its grey values fixed"),
        ("segmenter", {"data": Path("nowhere")}, None, "There is no folder nowhere"),
        ("segmenter", {"split": Path("no.json")}, None, "There is no split file no.json"),
        ("labeller", {"pairs": Path("no/pairs.npz"), "preset": None}, None, "There is no folder no for --pairs"),
        ("segmenter", {"pairs": Path("pairs.npz")}, None, "Preset tiny sees no neighbours"),
        ("autoencoder", {"pairs": Path("pairs.npz")}, "morphology", "Preset tiny sees no neighbours"),
        ("segmenter", {"resume": True}, None, "no checkpoint in .* run without --resume"),
        ("segmenter", {}, "aligned", "A segmenter starts from nothing; got the weights"),
        ("morphology", {}, "morphology", "A morphology network starts from nothing; got the weights"),
        ("autoencoder", {}, "aligned", "is not of preset tiny"),
        ("autoencoder", {}, "nowhere", "There are no weights at nowhere"),
        ("autoencoder", {"preset": "aligned"}, "morphology", "holds a morphology network; expected an autoencoder"),
        ("labeller", {"preset": None}, "morphology", "holds a morphology network; expected an autoencoder"),
        (
            "labeller",
            {"preset": "compact"},
            None,
            "is of preset aligned, and a labeller keeps that; got --preset compact",
        ),
        ("labeller", {"preset": None}, "compact", "see no surroundings"),
        ("drawing", {"preset": None}, "compact", "see no surroundings"),
        ("distillation", {"preset": None}, "aligned", "draw in one call already: give those that dmcvr train drawing"),
    ],
)
def test_refused(
    packed: Path, morphology: Path, tmp_path: Path, kind: Kind, changes: dict[str, object], start: str | None, said: str
) -> None:
    given = morphology if start == "morphology" else start
    with pytest.raises(InputError, match=said):
        train(kind, tiny(packed, tmp_path / "out", **changes), start=given)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_refused(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="Nothing can be written to"):
            train("segmenter", tiny(packed, out))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(packed: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Nothing can be written to"):
        train("segmenter", tiny(packed, tmp_path / "out"))


def test_weights_of_other_sizes_do_not_grow(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wider = replace(ALIGNED.denoiser, channels=(64, 96, 192))
    monkeypatch.setitem(presets.PRESETS, "wide", replace(ALIGNED, name="wide", denoiser=wider))
    with pytest.raises(InputError, match="has not the sizes of preset wide"):
        train("autoencoder", tiny(packed, tmp_path, preset="wide"))


def test_presets_that_make_no_sense_are_refused() -> None:
    seeing = replace(TINY.denoiser, surroundings=True)
    labeller = SegmenterConfig(images=11, patch=4, channels=(8, 16))
    assert replace(TINY, denoiser=seeing, labeller=labeller).labeller == labeller
    with pytest.raises(InputError, match="with surroundings the denoiser predicts v"):
        replace(TINY, denoiser=replace(seeing, prediction="eps"))
    with pytest.raises(InputError, match="a labeller needs a denoiser with surroundings"):
        replace(TINY, labeller=labeller)


def test_a_command_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from dmcvr.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
    )
    command = ["train", "labeller", "--data", str(tmp_path), "--out", str(tmp_path / "o"), "--autoencoder", "compact"]
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert "see no surroundings" in done.stderr
