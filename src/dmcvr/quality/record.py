"""What run.json says: how a result was made, from what, and what looks wrong. No names, paths or identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View, angle_to_short_axis_deg, planes_of
from dmcvr.fill.engine import Engine
from dmcvr.geometry.breath_hold import BreathHolds
from dmcvr.geometry.locate import Located
from dmcvr.io.result import stack_volume
from dmcvr.quality.flags import UNSURE
from dmcvr.quality.metrics import psnr_db, ssim

#: The largest gap over the smallest: above this, a slice is probably missing.
UNEQUAL = 1.5


def engine_record(engine: Engine) -> dict[str, Any]:
    """Versions, weights and arithmetic."""
    drawing = engine.drawing
    return {
        "dmcvr": version("dmcvr"),
        "torch": torch.__version__,
        "preset": engine.model.preset.name,
        "weights_sha256": engine.info.sha256 if engine.info else None,
        "segmenter_sha256": engine.segmenter_info.sha256 if engine.segmenter_info else None,
        "generator_sha256": engine.generator_info.sha256 if engine.generator_info else None,
        "steps": drawing.steps,
        "inversion_corrections": drawing.corrections,
        "aligned": engine.aligned is not None,
        "start": drawing.start,
        "start_image": drawing.start_image,
        "temperature": drawing.temperature,
        "texture": drawing.texture,
        "detail": drawing.detail,
        "device": str(engine.device),
        "precision": str(engine.precision).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "notice": "Research software, not a medical device.",
    }


def exam_record(stack: SliceStack, located: Located, doubts: list[str]) -> dict[str, Any]:
    """What was read, the input's geometry, where its heart is, and warnings; `doubts` are those of the measures."""
    volume = stack_volume(stack)
    return {
        "phases": list(stack.phases),
        "times_ms": None if stack.times_ms is None else list(stack.times_ms),
        "source": None if stack.source is None else stack.source.record(),
        "input": {
            "slices": stack.images.shape[1],
            "pixels": list(stack.images.shape[2:]),
            "pixel_mm": [round(size, 4) for size in stack.pixel_mm],
            "spacing_mm": round(stack.spacing_mm, 4),
            "thickness_mm": round(stack.thickness_mm, 4),
            "positions_mm": np.round(stack.positions_mm, 3).tolist(),
            "normal_ras": np.round(stack.normal, 6).tolist(),
            "affine_ras_mm": None if volume is None else volume.affine.tolist(),
        },
        "heart": {
            "found": located.found,
            "confidence": round(located.confidence, 4),
            "centre_ras_mm": np.round(located.frame.centre, 2).tolist(),
            "mirrored_geometry": located.mirrored,
            "unmirrored": located.unmirrored,
            "orientation_margin": round(located.margin, 3) if np.isfinite(located.margin) else None,
            "picture_right_ras": np.round(located.frame.u, 6).tolist(),
            "picture_down_ras": np.round(located.frame.v, 6).tolist(),
        },
        "warnings": [*stack.warnings, *_warnings(stack, located), *doubts],
    }


def views_record(views: Sequence[View], stack: SliceStack, holds: BreathHolds | None) -> list[dict[str, Any]]:
    """The long-axis planes: which phases have a picture, how they lie, whether the breath-holds rest on them."""
    told = holds.views if holds is not None else ()
    return [
        {
            "name": name,
            "series": pictures[0].series or None,
            "phases": [view.phase for view in pictures],
            "angle_to_short_axis_deg": round(angle_to_short_axis_deg(pictures[0], stack), 1),
            "thickness_mm": pictures[0].thickness_mm,
            "told_of_shifts": name in told,
        }
        for name, pictures in planes_of(views).items()
    ]


def agreement(acquired: Float32[np.ndarray, "N S S"], rendered: Float32[np.ndarray, "N S S"]) -> dict[str, float]:
    """How well a method keeps the acquired slices (N, S, S) in [-1, 1]: mean SSIM and PSNR of the ROI in [0, 1]."""
    truth, images = (acquired + 1) / 2, (rendered + 1) / 2
    similarity = float(np.mean([ssim(a, b) for a, b in zip(truth, images, strict=True)]))
    return {"ssim": round(similarity, 4), "psnr_db": round(psnr_db(truth, images), 2)}


def _warnings(stack: SliceStack, located: Located) -> list[str]:
    warnings = []
    if not located.found:
        warnings.append("No heart was found in the slices: the middle of the picture was taken instead.")
    elif located.confidence < UNSURE:
        warnings.append(f"The segmenter is unsure of this heart (mean probability {located.confidence:.2f}).")
    if located.mirrored:
        warnings.append(
            "In the frame that the header gives (as in ACDC) the heart is a mirror image: measures are right, images, "
            "labels and meshes are mirrored; --unmirror writes a heart as it is."
        )
    gaps = np.diff(stack.positions_mm)
    if gaps.max() > UNEQUAL * gaps.min():
        warnings.append(f"The slices are unequally spaced ({gaps.min():.1f} to {gaps.max():.1f} mm): is one missing?")
    return warnings
