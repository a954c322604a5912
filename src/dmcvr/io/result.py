"""A result's folder of files, both ways: volumes, records and tables; no meshes and no page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View, planes_of
from dmcvr.exam.volume import MIRRORED, Volume, slice_affines
from dmcvr.io.image import read_image
from dmcvr.io.nifti import write_nifti
from dmcvr.io.placement import Placement
from dmcvr.io.slicer import ENDING, write_segmentation
from dmcvr.io.tidy import write_measures
from dmcvr.options import KEPT, LABEL_FORMATS
from dmcvr.result import Result


def write_result(
    result: Result,
    folder: Path,
    *,
    label_formats: Sequence[str] = LABEL_FORMATS,
    keep: Sequence[str] = KEPT,
    case: str | None = None,
) -> None:
    """Write image, labels, acquired.nii.gz, measures.json and .csv, of `keep`, and run.json into an existing folder.

    measures.csv names the `case`, so that many of them make one table; default: the folder's name.
    With NIfTI labels comes observed.nii.gz: where each of them comes from (see `dmcvr.result.OBSERVED`); and
    uncertainty.nii.gz: how likely each is to be another, in percent. Of images drawn several times, image_mean.nii.gz
    and image_sd.nii.gz.
    Slicer's segmentation holds one phase: several go into labels/<phase>.seg.nrrd.

    `acquired.nii.gz` is the input in the frame that was used: where a header's affine and spacing disagree,
    viewers place the original file differently, and this one overlays. Its labels, to be corrected and given again,
    are acquired_labels.nii.gz and acquired.seg.nrrd (or acquired/<phase>.seg.nrrd). All are left out for unequal
    spacing, which neither format can express. `views/` has a file for each long-axis plane, the phases that run.json
    names along the fourth axis. Files whose frame mirrors the heart say so (NIfTI: `descrip`; NRRD: `note`).
    """
    note = MIRRORED if result.mirrored else ""
    if "image" in keep:
        write_nifti(folder / "image.nii.gz", result.image, note)
        for name, volume in zip(("mean", "sd"), result.drawn or (), strict=False):
            write_nifti(folder / f"image_{name}.nii.gz", volume, note)
    if "nifti" in label_formats and "labels" in keep:
        write_nifti(folder / "labels.nii.gz", result.labels, note)
        if result.observed is not None:
            write_nifti(folder / "observed.nii.gz", result.observed, note)
        if result.uncertainty is not None:
            write_nifti(folder / "uncertainty.nii.gz", result.uncertainty, note)
    placement = Placement.of(result.run)
    if "nrrd" in label_formats and "labels" in keep:
        _write_segmentations(folder / "labels", result.labels, result.phases, note, placement)
    acquired = stack_volume(result.acquired) if result.acquired is not None else None
    if acquired is not None and result.acquired is not None:
        if "acquired" in keep:
            write_nifti(folder / "acquired.nii.gz", acquired, note)
        if result.acquired.labels is not None and "labels" in keep:
            labels = Volume(np.moveaxis(result.acquired.labels, 1, 3), acquired.affine)
            if "nifti" in label_formats:
                write_nifti(folder / "acquired_labels.nii.gz", labels, note)
            if "nrrd" in label_formats:
                _write_segmentations(folder / "acquired", labels, result.phases, note, placement)
    if result.views and "acquired" in keep:
        _write_views(folder / "views", result.views, note)
    if "measures" in keep:
        _write_json(folder / "measures.json", result.measures)
        write_measures(folder / "measures.csv", result.measures, folder.name if case is None else case)
    _write_json(folder / "run.json", result.run)


def read_result(folder: Path) -> Result:
    """A folder of `dmcvr reconstruct`; raises `InputError` where something is missing or does not fit."""
    if not (folder / "run.json").is_file() or not (folder / "image.nii.gz").is_file():
        raise InputError(f"{folder} is no result of dmcvr reconstruct: it has no run.json and image.")
    image, labels = (_volume(folder / f"{name}.nii.gz") for name in ("image", "labels"))
    measures, run = (_record(folder / f"{name}.json") for name in ("measures", "run"))
    phases = run.get("phases")
    if not isinstance(phases, list) or image.data.shape != labels.data.shape or len(image.data) != len(phases):
        raise InputError(f"The files in {folder} do not belong together: reconstruct the exam again.")
    acquired = None
    if (folder / "acquired.nii.gz").is_file():
        stack = _volume(folder / "acquired.nii.gz")
        images = np.moveaxis(stack.data, 3, 1).astype(np.float32)
        thickness_mm = run.get("input", {}).get("thickness_mm", stack.spacing_mm[2])
        names = tuple(str(phase) for phase in phases)
        affines = slice_affines(stack.affine, images.shape[1])
        acquired = SliceStack(images=images, affines=affines, thickness_mm=float(thickness_mm), phases=names)
        acquired = replace(acquired, labels=_acquired_labels(folder, acquired))
    labels = Volume(labels.data.astype(np.uint8), labels.affine)
    views = tuple(view for plane in _planes(run) for view in _views(folder, plane))
    observed, uncertainty = (_beside(name, folder, labels) for name in ("observed", "uncertainty"))
    return Result(image, labels, acquired, measures, run, views=views, observed=observed, uncertainty=uncertainty)


def stack_volume(stack: SliceStack) -> Volume | None:
    """The stack's images as a `Volume`, or None where its slices are not on one regular grid."""
    steps = np.diff(stack.affines[:, :3, 3], axis=0)
    if np.abs(steps - steps[0]).max() > 0.05:
        return None
    affine = stack.affines[0].copy()
    affine[:3, 2] = steps[0]
    return Volume(np.moveaxis(stack.images, 1, 3), affine)


def _write_views(folder: Path, views: Sequence[View], note: str) -> None:
    folder.mkdir()
    for name, pictures in planes_of(views).items():
        first = pictures[0]
        slab = first.affine.copy()
        slab[:3, 2] = first.normal * (first.thickness_mm or 1.0)
        images = np.stack([view.image for view in pictures])[..., None]
        small = images.astype(np.int16) if np.abs(images).max() < 2**15 else images
        write_nifti(folder / f"{name}.nii.gz", Volume(small if (small == images).all() else images, slab), note)


def _planes(run: dict[str, Any]) -> list[dict[str, Any]]:
    planes = run.get("views", [])
    return planes if isinstance(planes, list) and all(isinstance(plane, dict) for plane in planes) else []


def _views(folder: Path, plane: dict[str, Any]) -> tuple[View, ...]:
    """The pictures of a plane of run.json; none where its file is not there."""
    name, phases, thickness_mm = (plane.get(key) for key in ("name", "phases", "thickness_mm"))
    path = folder / "views" / f"{name}.nii.gz"
    if not re.fullmatch(r"[A-Za-z0-9-]+", str(name)) or not path.is_file():
        return ()
    volume = _volume(path)
    if not isinstance(phases, list) or volume.data.shape[0] != len(phases) or volume.data.shape[3] != 1:
        raise InputError(f"The files in {folder} do not belong together: reconstruct the exam again.")
    known = float(thickness_mm) if isinstance(thickness_mm, int | float) else None
    return tuple(
        View(
            str(name),
            str(phase),
            image[..., 0].astype(np.float32),
            volume.affine,
            thickness_mm=known,
            series=str(plane.get("series") or ""),
        )
        for phase, image in zip(phases, volume.data, strict=True)
    )


def _write_segmentations(path: Path, labels: Volume, phases: tuple[str, ...], note: str, placement: Placement) -> None:
    """As path.seg.nrrd, of several phases as path/<phase>.seg.nrrd."""
    if len(phases) == 1:
        write_segmentation(path.with_name(path.name + ENDING), labels.data[0], labels.affine, note, placement)
        return
    path.mkdir()
    for phase, data in zip(phases, labels.data, strict=True):
        write_segmentation(path / f"{phase}{ENDING}", data, labels.affine, note, placement)


def _acquired_labels(folder: Path, acquired: SliceStack) -> NDArray[np.uint8] | None:
    if not (folder / "acquired_labels.nii.gz").is_file():
        return None
    labels = np.moveaxis(_volume(folder / "acquired_labels.nii.gz").data, 3, 1).astype(np.uint8)
    if labels.shape != acquired.images.shape:
        raise InputError(f"The files in {folder} do not belong together: reconstruct the exam again.")
    return labels


def _beside(name: str, folder: Path, labels: Volume) -> Volume | None:
    """A map of whole numbers on the labels' grid; None where the folder does not hold it."""
    if not (folder / f"{name}.nii.gz").is_file():
        return None
    found = _volume(folder / f"{name}.nii.gz")
    if found.data.shape != labels.data.shape:
        raise InputError(f"The files in {folder} do not belong together: reconstruct the exam again.")
    return Volume(found.data.astype(np.uint8), found.affine)


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _volume(path: Path) -> Volume:
    image = read_image(path)
    return Volume(np.moveaxis(image.data, 3, 0), image.affine)


def _record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): reconstruct the exam again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} does not hold a record: reconstruct the exam again.")
    return found
