"""`dmcvr train range`: what the training patients span, for the flag that an exam is unlike them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.geometry.region import IntensityScale, crop_images, crop_labels
from dmcvr.geometry.roi import ROI_MM
from dmcvr.io.acdc import list_patients, read_acdc
from dmcvr.quality.training_range import TrainingRange, exam_features
from dmcvr.train.data import PIXEL_MM, heart_frame


def training_range(data: Path, names: tuple[str, ...]) -> TrainingRange:
    """Of these patients of an ACDC-style folder, by their manual labels; raises `InputError` where none is there."""
    exams = [_features(read_acdc(f, with_labels=True)) for f in list_patients(data) if f.name in names]
    if not exams:
        raise InputError(f"None of the training patients of the split is under {data}: give a split with --split.")
    return TrainingRange.measured(exams)


def _features(stack: SliceStack) -> dict[str, float]:
    assert stack.labels is not None
    frame = heart_frame(stack, stack.labels, round(ROI_MM / PIXEL_MM))
    images = crop_images(stack, frame)
    return exam_features(
        IntensityScale.of(images).normalise(images),
        crop_labels(stack, stack.labels, frame),
        crop_pixel_mm=PIXEL_MM,
        positions_mm=stack.positions_mm,
        pixel_mm=float(np.mean(stack.pixel_mm)),
    )
