"""The heart is found, and any flip, order or turn of the input gives the same one in the world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from helpers.exams import WAYS, stored

from dmcvr.exam.stack import SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Acquired
from dmcvr.geometry.locate import Region, locate_heart, prepare, unmirrored
from dmcvr.geometry.orient import SURE
from dmcvr.geometry.region import label_centre
from dmcvr.io.image import read_stack
from dmcvr.io.read import read_exam
from dmcvr.phantom import Phantom


@pytest.mark.parametrize("way", WAYS)
def test_storage_does_not_matter(short: SliceStack, engine: Engine, way: dict[str, Any]) -> None:
    here = locate_heart(short, engine.segment, 128, engine.upright)
    there = locate_heart(stored(short, **way), engine.segment, 128, engine.upright)
    np.testing.assert_allclose(there.frame.u, here.frame.u, atol=1e-6)
    np.testing.assert_allclose(there.frame.v, here.frame.v, atol=1e-6)
    np.testing.assert_allclose(there.frame.centre, here.frame.centre, atol=0.05)
    assert there.margin == pytest.approx(here.margin, abs=1e-3)


def test_the_heart_is_found_as_it_lies(phantom: Phantom, short: SliceStack, engine: Engine) -> None:
    """Within two of the network's 1.5 mm pixels of the true labels' centroid; the phantom's frame is a patient's."""
    located = locate_heart(short, engine.segment, 128, engine.upright)
    assert phantom.stack.labels is not None
    labels = phantom.stack.labels[:1, 2:11]
    away = located.frame.centre - label_centre(short, labels)
    away -= away @ short.normal * short.normal
    assert np.linalg.norm(away) < 4
    assert located.found
    assert located.confidence == pytest.approx(0.96, abs=0.03)
    assert located.mirrored is False
    assert located.rv_left is True
    assert located.margin > SURE
    given = locate_heart(short, engine.segment, 128, engine.upright, labels)
    np.testing.assert_array_equal(given.frame.centre, label_centre(short, labels))


def test_one_frame_and_one_scale_for_all_phases(phantom: Phantom, engine: Engine) -> None:
    stack = phantom.stack.select_slices([2, 3, 4])
    region = prepare(stack, engine.segment, 128, engine.upright)
    assert region.images.shape == (2, 3, 128, 128)
    assert (region.images.min(), region.images.max()) == (-1, 1)
    unclipped = np.abs(region.images) < 1
    assert unclipped.mean() == pytest.approx(0.99, abs=0.002)  # the 0.5th to the 99.5th percentile
    assert region.located.frame.pixel_mm == 1.5


def test_a_mirrored_file_is_called_so(data: Path, engine: Engine) -> None:
    exam = read_exam(data / "acdc" / "patient001" / "patient001_frame01.nii.gz")
    located = locate_heart(exam, engine.segment, 128, engine.upright)
    np.testing.assert_allclose(located.frame.u, [-1, 0, 0], atol=1e-6)  # as ACDC stores it: RV on the left
    np.testing.assert_allclose(located.frame.v, [0, -1, 0], atol=1e-6)
    assert located.mirrored is True


@pytest.mark.parametrize("phases", [[0], [1], [0, 1]])
def test_a_real_exam_stored_otherwise_is_the_same_heart(
    data: Path, engine: Engine, tmp_path: Path, phases: list[int]
) -> None:
    """Axes in another order and direction, under a header that knows nothing of it: volumes within 1 %."""
    exam = read_exam(data / "acdc" / "patient007").select_phases(phases).select_slices([1, 3, 5, 7])
    pixels = np.moveaxis(exam.images, (2, 3, 1, 0), (0, 1, 2, 3))
    zooms = np.array([*exam.pixel_mm, exam.spacing_mm])
    found = []
    for order, flips, signs in (
        ((0, 1, 2), (), (-1, -1, 1)),
        ((0, 1, 2), (), (1, 1, 1)),
        ((1, 0, 2), (1,), (-1, -1, 1)),
        ((2, 1, 0), (0, 1), (1, -1, 1)),
        ((0, 2, 1), (1, 2), (-1, 1, 1)),
    ):
        image = nib.Nifti1Image(np.flip(pixels.transpose(*order, 3), flips), np.diag([*(signs * zooms[[*order]]), 1]))
        nib.save(image, tmp_path / "exam.nii")
        stack = read_stack(tmp_path / "exam.nii")
        region = Region.of(stack, locate_heart(stack, engine.segment, 128, engine.upright))
        segment, at = engine.segment_stack, stack.positions_mm
        labels = np.stack([Acquired.segmented(images, at, segment, 1.5).labels for images in region.images])
        found.append([[np.count_nonzero(phase == label) for label in (1, 2, 3)] for phase in labels])
    volumes = np.array(found)
    assert (volumes > 300).all()
    np.testing.assert_allclose(volumes, np.broadcast_to(volumes[0], volumes.shape), rtol=0.01)


def test_a_mirrored_world_is_reflected(data: Path, engine: Engine) -> None:
    exam = read_exam(data / "acdc" / "patient001" / "patient001_frame01.nii.gz")
    region = prepare(exam, engine.segment, 128, engine.upright)
    stack, real = unmirrored(exam, region)
    assert (real.located.mirrored, real.located.unmirrored) == (False, True)
    again = prepare(stack, engine.segment, 128, engine.upright)
    assert again.located.mirrored is False
    np.testing.assert_array_equal(real.images, region.images[:, ::-1])
    np.testing.assert_allclose(again.images, real.images, atol=1e-4)
    np.testing.assert_allclose(stack.extent_mm, exam.extent_mm)
    assert unmirrored(stack, real) == (stack, real)


def test_no_heart_is_said(engine: Engine, short: SliceStack) -> None:
    noise = np.random.default_rng(0).random(short.images.shape, dtype=np.float32)
    located = locate_heart(replace(short, images=noise), engine.segment, 128, engine.upright)
    assert (located.found, located.confidence, located.mirrored) == (False, 0.0, None)
