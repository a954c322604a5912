"""The main job: a short-axis stack in, a 3D heart out (He et al., MICCAI 2023, arXiv 2308.09223).

Find the heart, crop and normalise its slices; invert them to codes; interpolate the codes to a dense grid;
decode and segment; put everything back into the world; measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dmcvr.baselines import BASELINES
from dmcvr.distances import shares
from dmcvr.engine import Engine, Output
from dmcvr.errors import InputError
from dmcvr.fill import Dmcvr
from dmcvr.interpolate import Plan
from dmcvr.io.read import LayoutName, read_exam, with_labels
from dmcvr.io.write import LABEL_FORMATS, write_reconstruction
from dmcvr.locate import Located, Region, prepare
from dmcvr.measures import dense_volumes, measure_wall, measures, slice_summation
from dmcvr.methods import Acquired, Method
from dmcvr.orient import from_scanner
from dmcvr.postprocess import keep_one_heart
from dmcvr.preprocess import crop_labels, output_grid, uncrop, uncrop_labels
from dmcvr.record import agreement, engine_record, exam_record
from dmcvr.report.flags import nearest_slices, quality_flags
from dmcvr.report.training_range import TrainingRange, features
from dmcvr.stack import SliceStack
from dmcvr.stages import Stages
from dmcvr.volume import Volume, slice_affines
from dmcvr.weights import DEFAULT, FOLDER

#: Voxels of the dense grid are between these sizes, in mm.
SPACING_LIMITS_MM = (0.4, 10.0)

METHODS = ("dmcvr", *BASELINES)


@dataclass(frozen=True)
class Reconstruction:
    """A 3D (or, with several phases, 4D) heart.

    ========  ================  ==================================================================
    image     (P, I, J, K)      grey values in the exam's own unit, float32
    labels    (P, I, J, K)      0 background, 1 LV cavity, 2 LV myocardium, 3 RV cavity, uint8
    acquired  stack             what went in, with its labels if they were given
    measures  dict              volumes (mL), mass (g) and function, as in measures.json
    run       dict              how it was made, as in run.json
    ========  ================  ==================================================================
    """

    image: Volume
    labels: Volume
    acquired: SliceStack
    measures: dict[str, Any]
    run: dict[str, Any]

    def save(
        self,
        folder: str | Path,
        *,
        label_formats: Sequence[str] = LABEL_FORMATS,
        mesh_formats: Sequence[str] = ("ply",),
    ) -> Path:
        """Write images, labels, meshes, records and the report into `folder`, which appears whole or not at all.

        Labels as "nifti" and "nrrd" (3D Slicer's segmentation); meshes as "ply", "stl", "glb" (one file, a 4D heart
        beats in it) or none. Raises `InputError` for another format, and where the folder holds something else or
        cannot be written.
        """
        return write_reconstruction(self, Path(folder), label_formats=label_formats, mesh_formats=mesh_formats)

    def _repr_html_(self) -> str:
        """How a notebook shows it: a middle slice, a long-axis cut before and after, and the measures."""
        from dmcvr.report.notebook import notebook_html

        return notebook_html(self)


def reconstruct(
    source: SliceStack | str | Path,
    *,
    phase: str = "all",
    ed: str | None = None,
    es: str | None = None,
    method: str = "dmcvr",
    image: Output = "sharp",
    spacing_mm: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    seed: int = 0,
    labels_in: str | Path | None = None,
    label_map: str = "dmcvr",
    layout: LayoutName = "auto",
    weights: str | Path = DEFAULT,
    engine: Engine | None = None,
    stages: Stages | None = None,
) -> Reconstruction:
    """Reconstruct a short-axis exam on a dense isotropic grid.

    ==========  ==========================================================================================
    source      a `SliceStack`, a NIfTI file, a folder of DICOM, or a patient's folder of a known dataset
    phase       "ED", "ES", a phase's number, or "all"
    ed, es      the phases of end-diastole and end-systole; default: those named so, else found by LV volume
    method      "dmcvr", or a plain interpolation: "registration", "shape", "linear", "cubic", "nearest"
    image       "sharp" as the slices are, or "mean": what is expected (method "dmcvr")
    spacing_mm  voxel size; default: the in-plane pixel size
    steps       DDIM steps each way; default: the preset's
    device      "auto", "cpu" or "cuda"
    seed        of torch's generator; the present methods draw no random numbers
    labels_in   NIfTI labels of the acquired slices, numbered as `label_map` says ("acdc", "mnms", "ukbb")
    layout      how `source` lies on disk: "auto", or one of `dmcvr.io.read.LAYOUTS`
    weights     a bundled name or a weights file
    engine      a loaded model, to use again for many exams; `weights`, `image`, `steps` and `device` are then its own
    stages      collects timings and shows progress
    ==========  ==========================================================================================

    Raises `InputError`, with a sentence that says what to do, for anything that cannot be used.
    """
    stages = stages or Stages()
    torch.manual_seed(seed)
    if method not in METHODS:
        raise InputError(f"Unknown method {method!r}: choose one of {', '.join(METHODS)}.")
    with stages("load"):
        stack = _load(source, phase, labels_in, label_map, layout)
        ed_index, es_index = (None if name is None else stack.phase_index(name) for name in (ed, es))
        spacing_mm = _spacing(spacing_mm, stack)
        engine = engine or Engine.load(weights, device=device, steps=steps, output=image)
        engine.stages = stages

    with stages("locate"):
        region = prepare(stack, engine.segment, engine.model.preset.size)
        located, frame = region.located, region.located.frame

    affine, shape = output_grid(stack, frame, spacing_mm)
    affines = slice_affines(affine, shape[2])
    plan = Plan.between(stack.positions_mm, affines[:, :3, 3] @ stack.normal)
    fill: Method = Dmcvr(engine) if method == "dmcvr" else BASELINES[method](engine.segment)

    whole = (len(stack.phases), *shape)
    grey = Volume(np.empty(whole, np.float32), affine)
    labels = Volume(np.empty(whole, np.uint8), affine)
    slice_labels, residuals = [], []
    for index in range(len(stack.phases)):
        acquired = _acquired(stack, region, index, engine)
        with stages("fill") if method != "dmcvr" else nullcontext():  # ours times its own steps
            dense = fill(acquired, plan)
        with stages("resample"):
            unit = uncrop(dense.images, frame, affines, shape[:2], stack.normal)
            found = uncrop_labels(dense.scores, frame, affines, shape[:2], stack.normal)
            grey.data[index] = np.moveaxis(region.scale.restore(np.clip(unit, -1, 1)), 0, 2)
            labels.data[index] = np.moveaxis(keep_one_heart(found), 0, 2)
        slice_labels.append(acquired.labels)
        residuals.append(agreement(acquired.images, dense.round_trip))

    with stages("measure"):
        at_slices = np.stack(slice_labels)
        pixel = (frame.pixel_mm, frame.pixel_mm)
        numbers = measures(
            dense_volumes(labels),
            slice_summation(at_slices, stack.positions_mm, pixel),
            stack.phases,
            stack.patient,
            times_ms=stack.times_ms,
            ed=ed_index,
            es=es_index,
        )
        numbers["wall_thickness"] = _wall(labels, stack, located, numbers["ed_phase"])
    run = {
        "method": method,
        "image": engine.output if method == "dmcvr" else None,
        "seed": seed,
        "labels": "given" if stack.labels is not None else "segmented",
        "output": {"shape": list(shape), "spacing_mm": spacing_mm, "affine_ras_mm": affine.tolist()},
        "acquired_slices_residual": dict(zip(stack.phases, residuals, strict=True)),
        **engine_record(engine),
        **exam_record(stack, located, numbers["ed_es_warnings"]),
        "seconds": {name: round(seconds, 3) for name, seconds in stages.seconds.items()},
    }
    run["flags"] = _flags(stack, region, at_slices, labels, affines, numbers, engine)
    return Reconstruction(grey, labels, stack, numbers, run)


def _flags(
    stack: SliceStack,
    region: Region,
    at_slices: NDArray[np.uint8],
    labels: Volume,
    affines: NDArray[np.float64],
    numbers: dict[str, Any],
    engine: Engine,
) -> list[dict[str, str]]:
    """The quality flags of slice labels (P, N, S, S) and the dense labels, whose slices have these affines."""
    frame, dense = region.located.frame, np.moveaxis(labels.data, 3, 1)
    heights = affines[:, :3, 3] @ stack.normal
    nearest = nearest_slices(heights, stack.positions_mm)
    planes = [
        uncrop_labels(shares(phase), frame, affines[nearest], dense.shape[2:], stack.normal) for phase in at_slices
    ]
    bundled = engine.info is not None and engine.info.path.parent == FOLDER
    return quality_flags(
        at_slices,
        np.stack(planes),
        dense,
        positions_mm=stack.positions_mm,
        dense_positions_mm=heights,
        pixel_mm=frame.pixel_mm,
        confidence=region.located.confidence if stack.labels is None else None,
        measures=numbers,
        features=features(
            region.images,
            at_slices,
            crop_pixel_mm=frame.pixel_mm,
            positions_mm=stack.positions_mm,
            pixel_mm=float(np.mean(stack.pixel_mm)),
        ),
        trained_on=TrainingRange.read() if bundled else None,
    )


def _load(
    source: SliceStack | str | Path, phase: str, labels_in: str | Path | None, label_map: str, layout: LayoutName
) -> SliceStack:
    stack = source if isinstance(source, SliceStack) else read_exam(source, layout=layout)
    if phase != "all":
        stack = stack.select_phases([stack.phase_index(phase)])
    return with_labels(stack, Path(labels_in), label_map) if labels_in is not None else stack


def _spacing(spacing_mm: float | None, stack: SliceStack) -> float:
    low, high = SPACING_LIMITS_MM
    if spacing_mm is None:
        return float(np.clip(np.mean(stack.pixel_mm), low, high))
    if not low <= spacing_mm <= high:
        raise InputError(f"Expected a spacing of {low:g} to {high:g} mm; got {spacing_mm:g}.")
    return spacing_mm


def _wall(labels: Volume, stack: SliceStack, located: Located, ed_phase: str | None) -> dict[str, Any] | None:
    """Thickness at ED; of an exam with one phase, at that; None where neither is known or there is no heart."""
    if not located.found or (ed_phase is None and len(stack.phases) > 1):
        return None
    name = ed_phase or stack.phases[0]
    oriented = (
        "Anterior and inferior as the scanner's frame gives them, septal by the RV."
        if from_scanner(stack.normal)
        else "The header knows no scanner frame: septal is where the RV lies, and of the two walls beside it the one "
        "that the picture shows upper is taken to be anterior."
    )
    return measure_wall(labels, stack.phases.index(name), name, -located.frame.v, oriented)


def _acquired(stack: SliceStack, region: Region, index: int, engine: Engine) -> Acquired:
    images = region.images[index]
    if stack.labels is not None:
        given = crop_labels(stack, stack.labels[index : index + 1], region.located.frame)[0]
        return Acquired(images, given, labels_given=True)
    with engine.stages("segment"):
        return Acquired.segmented(images, engine.segment)
