"""Negatives are turned, blank slices left out, and both are said; hearts as they are stay so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dmcvr.exam.stack import SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.geometry.greys import TURNED, prepare_upright, without_blank_slices
from dmcvr.geometry.locate import prepare
from dmcvr.io.read import read_exam

Greys = Callable[[np.ndarray], np.ndarray]

#: How a picture becomes its negative in other people's hands.
NEGATIVES: dict[str, Greys] = {
    "maximum minus": lambda x: x.max() - x,
    "signed": lambda x: -x,
    "12 bits": lambda x: 4095 - x,
    "window": lambda x: 255 - np.clip(x / np.percentile(x, 98) * 255, 0, 255),
    "slope": lambda x: -0.5 * x + 1000,
    "noisy": lambda x: x.max() - x + np.random.default_rng(0).normal(0, 0.01 * np.ptp(x), x.shape),
}


@pytest.mark.parametrize("how", NEGATIVES)
def test_a_negative_is_turned(data: Path, engine: Engine, how: str) -> None:
    stack = read_exam(data / "acdc" / "patient006").select_phases([0])
    negative = replace(stack, images=NEGATIVES[how](stack.images.astype(np.float64)).astype(np.float32))
    turned, region = prepare_upright(negative, engine.segment, 128, engine.upright)
    assert turned.warnings[-1] == TURNED
    upright = prepare(stack, engine.segment, 128, engine.upright)
    np.testing.assert_allclose(region.located.frame.centre, upright.located.frame.centre, atol=1.5)
    assert np.corrcoef(turned.images.ravel(), stack.images.ravel())[0, 1] > 0.9
    assert turned.images.min() >= 0


@pytest.mark.parametrize("name", ["acdc/patient006", "acdc/patient036", "bivme_exam", "mnms2"])
def test_hearts_stay_as_they_are(data: Path, engine: Engine, name: str) -> None:
    stack = read_exam(data / name)
    assert prepare_upright(stack, engine.segment, 128, engine.upright)[0] is stack


def test_where_neither_shows_a_heart_nothing_is_turned(short: SliceStack, engine: Engine) -> None:
    noise = replace(short, images=np.random.default_rng(0).random(short.images.shape, dtype=np.float32))
    found, region = prepare_upright(noise, engine.segment, 128, engine.upright)
    assert found is noise
    assert not region.located.found


def test_blank_slices_are_left_out_and_said(short: SliceStack) -> None:
    assert without_blank_slices(short) is short
    images = short.images.copy()
    images[:, 8] = 0
    found = without_blank_slices(replace(short, images=images))
    assert found.images.shape[1] == 8
    assert found.warnings == ("1 slice holds no picture and was left out: number 9 of 9.",)
    images[:, 0] = 7 + np.random.default_rng(0).random(images.shape[2:]) * 1e-3 * np.ptp(images)
    found = without_blank_slices(replace(short, images=images))
    assert found.warnings == ("2 slices hold no picture and were left out: number 1, 9 of 9.",)
    np.testing.assert_array_equal(found.affines, short.affines[1:8])


def test_a_slice_with_a_picture_in_one_phase_stays(phantom) -> None:  # type: ignore[no-untyped-def]
    images = phantom.stack.images.copy()
    images[0, 0] = 0
    stack = replace(phantom.stack, images=images)
    assert without_blank_slices(stack) is stack
    images[:, 1:] = 0
    images[:, 1:, 0, 0] = 1
    stack = replace(phantom.stack, images=images)
    assert without_blank_slices(stack) is stack  # one slice alone is no stack
