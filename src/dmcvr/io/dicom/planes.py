"""A result as DICOM sees it: pictures in LPS, who it is of, and which source pictures it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dmcvr.errors import InputError
from dmcvr.io.dicom.choose import Selection, select
from dmcvr.io.dicom.headers import LPS_TO_RAS, DicomFrame, lenient
from dmcvr.io.result import read_result

#: Source slices must lie where run.json says the acquired ones were.
SAME_PLACE_MM = 0.1

#: Who and what study it is: copied with --keep-identity, else these placeholders (type 2 attributes stay empty).
_PATIENT = {"PatientName": "ANONYMOUS", "PatientID": "ANONYMOUS", "PatientBirthDate": "", "PatientSex": ""}
_STUDY = {"StudyDate": "", "StudyTime": "", "StudyID": "", "AccessionNumber": "", "ReferringPhysicianName": ""}

#: What declares that an object names nobody.
DEIDENTIFIED = ("PatientIdentityRemoved", "DeidentificationMethod")

#: What of a source's header the references need.
_REFERENCED = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "Rows", "Columns",
    "PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence",
    "DimensionOrganizationSequence",
]  # fmt: skip


@dataclass(frozen=True)
class Planes:
    """Voxels of all phases as DICOM pictures.

    ===========  ================  ===================================================================
    pictures     (P, K, J, I)      rows run along j, columns along i, pictures along their own normal
    corners      (K, 3)            LPS mm, centre of each picture's first pixel
    axes         (6,)              Image Orientation (Patient)
    spacing_mm   3                 between rows, between columns, between pictures
    ===========  ================  ===================================================================
    """

    pictures: Shaped[np.ndarray, "P K J I"]
    corners: Float64[np.ndarray, "K 3"]
    axes: Float64[np.ndarray, " 6"]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Identity:
    """Patient, study and frame of reference of what is written, and whether they are the source's.

    `position` is how the patient lay in the scanner ("HFS" ...), "" where that is not known.
    """

    attributes: dict[str, Any]
    space: str
    kept: bool
    position: str = ""


@dataclass(frozen=True)
class Heart:
    """A result as pictures: image and labels on one grid, its phases, measures, and where the acquired slices were.

    `mirrored`: the frame shows a mirror image of the heart. `unmirrored`: it did, and is another one now. `given`: the
    labels are a person's.
    """

    image: Planes
    labels: Planes
    phases: tuple[str, ...]
    measures: dict[str, Any]
    times_ms: tuple[float, ...] | None
    positions_mm: tuple[float, ...] | None
    mirrored: bool
    unmirrored: bool
    given: bool


def planes_of(data: Shaped[np.ndarray, "P I J K"], affine: Float64[np.ndarray, "4 4"]) -> Planes:
    """(P, I, J, K) voxels and their affine to RAS+ as pictures; K turned, where needed, to run along the normal."""
    if np.linalg.det(affine[:3, :3]) < 0:
        data, affine = data[..., ::-1], affine @ _flip(data.shape[3])
    lps = LPS_TO_RAS @ affine  # its own inverse
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    row, column = lps[:3, 0] / sizes[0], lps[:3, 1] / sizes[1]
    if abs(np.cross(row, column) @ lps[:3, 2] / sizes[2]) < 0.999:
        raise InputError("The grid is sheared: DICOM cannot express it.")
    corners = lps[:3, 3] + np.arange(data.shape[3])[:, None] * lps[:3, 2]
    return Planes(
        np.ascontiguousarray(data.transpose(0, 3, 2, 1)),
        corners,
        np.concatenate([row, column]),
        (float(sizes[1]), float(sizes[0]), float(sizes[2])),
    )


def read_heart(folder: Path) -> Heart:
    """What `dmcvr reconstruct` wrote; raises `InputError` where it is not whole."""
    result = read_result(folder)
    try:
        times, positions = result.run.get("times_ms"), result.run.get("input", {}).get("positions_mm")
        times_ms = None if times is None else tuple(float(t) for t in times)
        positions_mm = None if positions is None else tuple(float(p) for p in positions)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"The record run.json in {folder} is damaged: reconstruct the exam again.") from error
    grey, labels = (planes_of(volume.data, volume.affine) for volume in (result.image, result.labels))
    return Heart(
        grey,
        labels,
        tuple(result.phases),
        result.measures,
        times_ms,
        positions_mm,
        result.mirrored,
        result.unmirrored,
        result.run.get("labels") == "given",
    )


def read_source(path: Path, heart: Heart, *, series: str | None = None) -> Selection:
    """The DICOM that a result was made from; raises `InputError` where its slices lie elsewhere."""
    if heart.unmirrored:
        raise InputError("This result was made with --unmirror, so it has left its source's frame: leave out --source.")
    selection = select(path, series=series)
    middle = [(size - 1) / 2 for size in selection.grid.frame.shape]
    found = np.sort((selection.affines @ [*middle, 0, 1])[:, :3] @ selection.grid.normal)
    wanted = np.asarray(heart.positions_mm if heart.positions_mm is not None else ())
    if found.shape != wanted.shape or np.abs(found - wanted).max() > SAME_PLACE_MM:
        raise InputError(
            f"The short-axis slices in {path} lie elsewhere than those of the result: give its own source."
        )
    return selection


def identity_of(selection: Selection | None, *, keep: bool) -> Identity:
    """Placeholders and a new study, or with `keep` the source's own; the frame of reference is the source's."""
    frame = None if selection is None else selection.slices[0][0]
    space = (frame.space if frame is not None else "") or generate_uid(prefix=None)
    if keep and frame is None:
        raise InputError("--keep-identity needs the DICOM that the exam was read from: give it with --source.")
    with lenient():
        header = Dataset() if frame is None else dcmread(frame.path, stop_before_pixels=True, force=True)
        position = str(header.get("PatientPosition") or "")
        if frame is None or not keep:
            study = {**_STUDY, "StudyInstanceUID": generate_uid(prefix=None)}
            return Identity({**_PATIENT, **study}, space, False, position)
        attributes = {name: header.get(name) or empty for name, empty in {**_PATIENT, **_STUDY}.items()}
    study = {"StudyInstanceUID": frame.study or generate_uid(prefix=None)}
    return Identity({**attributes, **study}, space, True, position)


def referenced(frames: list[DicomFrame], identity: Identity) -> list[Dataset]:
    """What references need of each source file: its UIDs and geometry, and the identity of what is written."""
    found = []
    for path in dict.fromkeys(frame.path for frame in frames):
        with lenient():
            header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=[*_REFERENCED])
            dataset = Dataset()
            for name in _REFERENCED:
                if name in header:
                    dataset[name] = header[name]
        apply_identity(dataset, identity)
        found.append(dataset)
    return found


def apply_identity(dataset: Dataset, identity: Identity) -> None:
    """Patient, study and frame of reference; without the source's identity the de-identification is declared."""
    for name, value in identity.attributes.items():
        setattr(dataset, name, value)
    dataset.FrameOfReferenceUID = identity.space
    dataset.PositionReferenceIndicator = ""
    if not identity.kept:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "dmcvr: no attribute of patient or study is taken from the source"


def _flip(count: int) -> NDArray[np.float64]:
    """(4, 4) index k to count - 1 - k."""
    flip = np.diag([1.0, 1.0, -1.0, 1.0])
    flip[2, 3] = count - 1
    return flip
