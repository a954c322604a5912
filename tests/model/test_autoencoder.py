"""The networks: shapes, sizes, what conditions what, and weights files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dmcvr.errors import InputError
from dmcvr.model.autoencoder import Autoencoder
from dmcvr.model.checkpoint import load_autoencoder, load_segmenter, save_weights
from dmcvr.model.denoiser import Denoiser
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import ALIGNED, COMPACT, PAPER, PRESETS, TINY, Preset, get_preset, preset_from_dict
from dmcvr.model.semantic import SemanticEncoder
from dmcvr.model.weights import describe

TRAINING = {"data": "test", "patients": 1, "steps": 1, "minutes": 0.1}


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def awake(preset: Preset = TINY) -> Autoencoder:
    """A model whose zero-initialised convolutions do something."""
    torch.manual_seed(0)
    model = Autoencoder(preset).eval()
    for p in model.parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.05)
    return model


def test_paper_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = SemanticEncoder(PAPER.encoder)
        denoiser = Denoiser(PAPER.denoiser, code_dimension=512, morphology_dimension=512)
    assert parameters(denoiser) == pytest.approx(144e6, rel=0.01)
    assert parameters(encoder) == pytest.approx(30e6, rel=0.02)
    assert parameters(denoiser) + parameters(encoder) == pytest.approx(174e6, rel=0.02)


def test_paper_preset_s_codes_have_the_published_shapes() -> None:
    with torch.device("meta"):
        model = Autoencoder(PAPER)
        x, t = torch.empty(2, 1, 256, 256), torch.zeros(2)
        z_sem, z_mor = model.encoder(x), model.segmenter.morphology(x)
        assert z_sem.shape == (2, 512)
        assert z_mor.shape == (2, 512, 16, 16)
        assert model.predict(x, t, z_sem, z_mor).shape == x.shape


@pytest.mark.parametrize("preset", [COMPACT, TINY], ids=lambda p: p.name)
def test_shapes(preset: Preset) -> None:
    model = Autoencoder(preset).eval()
    x = torch.rand(2, 1, preset.size, preset.size) * 2 - 1
    with torch.no_grad():
        assert model.segmenter(x).shape == (2, 4, preset.size, preset.size)
        codes = model.encode(x, steps=2, corrections=0)
        assert codes.x_T.shape == x.shape
        assert codes.z_sem.shape == (2, preset.encoder.dimension)
        assert codes.z_mor.shape[2] == preset.size // preset.segmenter.reduction
        assert model.decode(codes, steps=2).shape == x.shape
    assert len(codes[0:1]) == 1


def test_both_codes_and_the_time_steer_the_denoiser() -> None:
    model = awake()
    x = torch.randn(1, 1, 128, 128)
    z_sem, z_mor = torch.randn(1, 16), torch.randn(1, 16, 16, 16)
    with torch.no_grad():
        out = model.predict(x, torch.tensor([500]), z_sem, z_mor)
        assert not torch.allclose(out, model.predict(x, torch.tensor([500]), z_sem + 1, z_mor))
        assert not torch.allclose(out, model.predict(x, torch.tensor([500]), z_sem, z_mor + 1))
        assert not torch.allclose(out, model.predict(x, torch.tensor([100]), z_sem, z_mor))


def test_an_untrained_round_trip_returns_the_slice() -> None:
    """Inversion is exact for any smooth network, given corrections enough."""
    model = awake()
    x = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    back = model.decode(model.encode(x, steps=8, corrections=12), steps=8)
    assert float((back - x).abs().mean()) < 0.01


def test_join_level_is_checked() -> None:
    with pytest.raises(ValueError, match="deepest level"):
        Autoencoder(replace(TINY, denoiser=replace(TINY.denoiser, join_level=0)))


def test_presets_there_and_back() -> None:
    for preset in PRESETS.values():
        assert preset_from_dict(preset.as_dict()) == preset
    with pytest.raises(InputError, match="choose one of compact, .*paper, tiny"):
        get_preset("huge")


def test_weights_there_and_back(tmp_path: Path) -> None:
    model = awake()
    path = tmp_path / "tiny.safetensors"
    save_weights(model, path, preset=TINY, training=TRAINING)
    back, info = load_autoencoder(path)
    assert (info.kind, info.preset, info.training) == ("autoencoder", TINY, TRAINING)
    x = torch.rand(1, 1, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(back.segmenter(x), model.segmenter(x), atol=0.01, rtol=0.01)
    segmenter, _ = load_segmenter(path)
    torch.testing.assert_close(segmenter(x), back.segmenter(x))


def test_a_segmenter_is_not_a_whole_model(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    save_weights(Segmenter(TINY.segmenter), path, preset=TINY, training=TRAINING)
    assert load_segmenter(path)[1].kind == "segmenter"
    with pytest.raises(InputError, match="holds a segmenter; expected an autoencoder"):
        load_autoencoder(path)


def test_damaged_weights_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="There are no weights at"):
        describe(path)
    path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!")
    with pytest.raises(InputError, match="is not a dmcvr weights file"):
        describe(path)
    save_weights(awake(), path, preset=COMPACT, training=TRAINING)
    with pytest.raises(InputError, match="do not fit their own description|incomplete"):
        load_autoencoder(path)


def test_bundled_weights_describe_themselves() -> None:
    info = describe(Path(__file__).parent.parent / "src/dmcvr/weights/aligned.safetensors")
    assert info.preset == ALIGNED
    assert info.kind == "autoencoder"
    assert {"data", "patients", "steps", "minutes"} <= set(info.training)
    assert info.path.stat().st_size < 60 * 2**20
