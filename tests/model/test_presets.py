"""The sizes a model comes in, and what does not go together."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dmcvr.errors import InputError
from dmcvr.model.presets import ALIGNED, COMPACT, PAPER, PRESETS, TINY, get_preset, preset_from_dict


def test_there_and_back_through_json() -> None:
    for preset in PRESETS.values():
        assert preset_from_dict(json.loads(json.dumps(preset.as_dict()))) == preset


def test_an_unknown_name_is_a_sentence() -> None:
    with pytest.raises(InputError, match="choose one of compact, .*paper, tiny"):
        get_preset("huge")


def test_all_see_the_same_square_of_the_world() -> None:
    assert [get_preset(name).pixel_mm for name in ("compact", "aligned", "paper")] == [1.5, 1.5, 0.75]


def test_the_paper_s_numbers() -> None:
    assert (PAPER.size, PAPER.steps, PAPER.train_steps, PAPER.beta) == (256, 100, 1000, (1e-4, 0.02))
    assert PAPER.denoiser.channels == (128, 128, 256, 256, 512, 512)
    assert (PAPER.denoiser.blocks, PAPER.denoiser.dropout, PAPER.denoiser.prediction) == (2, 0.1, "eps")
    assert (PAPER.encoder.channels, PAPER.encoder.dimension) == ((128, 128, 256, 256, 512, 512, 512), 512)


def test_surroundings_need_velocities() -> None:
    with pytest.raises(InputError, match="Preset tiny: with surroundings the denoiser predicts v"):
        replace(TINY, denoiser=replace(TINY.denoiser, surroundings=True, prediction="eps"))


def test_a_labeller_needs_surroundings() -> None:
    with pytest.raises(InputError, match="Preset tiny: a labeller needs a denoiser with surroundings"):
        replace(TINY, labeller=ALIGNED.labeller)


@pytest.mark.parametrize(
    ("preset", "how", "sentence"),
    [
        (ALIGNED, {"steps": 0}, "--steps of 1 to 999; got 0"),
        (ALIGNED, {"steps": 1000}, "--steps of 1 to 999; got 1000"),
        (ALIGNED, {"steps": 101}, "start at time 101 to 999; got 100"),
        (ALIGNED, {"start": 1000}, "start at time 3 to 999; got 1000"),
        (COMPACT, {"image": "mean"}, "preset compact draw no mean"),
    ],
)
def test_what_cannot_be_drawn_is_said(preset: object, how: dict[str, object], sentence: str) -> None:
    assert isinstance(preset, type(ALIGNED))
    usual = {"steps": preset.steps, "start": preset.start, "image": "sharp"}
    preset.check_drawing(**usual)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=sentence):
        preset.check_drawing(**(usual | how))  # type: ignore[arg-type]
