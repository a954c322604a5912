"""DICOM headers as frames: one record for each picture, classic (a file each) or enhanced (many in a file).

DICOM's world is LPS; the affines here are RAS+. This is the one place where the one becomes the other.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dmcvr.errors import InputError
from dmcvr.exam.stack import Patient
from dmcvr.io.limits import MAX_FILES, check_size

#: Frames of one multi-frame file.
MAX_FRAMES = 20_000

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: What is read of a header. Names are not: nothing can leak that was never loaded.
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber",
    "SeriesDescription", "ProtocolName", "StudyInstanceUID", "PatientID", "PatientSex", "PatientSize",
    "PatientWeight", "FrameOfReferenceUID", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "SliceThickness", "TriggerTime", "FrameTime", "NominalInterval",
    "TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber", "RescaleSlope", "RescaleIntercept",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class DicomFrame:
    """One picture: where it is in the files, in the world and in time.

    ==============  =======  ==============================================================
    path, index              the file, and the frame in it from 0
    instance                 SOP Instance UID
    study, series            UIDs; `patient` is compared, never shown
    space                    frame of reference: positions compare only within one
    affine          (4, 4)   pixel (column, row, 0, 1) to RAS+ mm; the third axis is the unit normal
    shape           2        columns, rows
    pixel_mm        2        along a row, along a column
    trigger_ms               time after the R wave; None if unknown
    order                    of equal times: temporal position, then instance number and frame
    acquired_s               time of day of the acquisition; None if unknown
    slope, offset            stored value to grey value
    ==============  =======  ==============================================================
    """

    path: Path
    index: int
    instance: str
    study: str
    series: str
    series_number: int | None
    patient: str
    space: str
    affine: Float64[np.ndarray, "4 4"]
    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    thickness_mm: float | None
    trigger_ms: float | None
    interval_ms: float | None
    order: tuple[int, int, int]
    acquired_s: float | None
    slope: float
    offset: float
    image_type: tuple[str, ...]
    words: str
    person: Patient


@contextmanager
def lenient() -> Iterator[None]:
    """Odd values in a header are read as they are; pydicom's remarks, which may quote them, stay unheard."""
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM does: with its preamble, or without but with a first tag of group 2 or 8."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or start[:4] in (b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x02\x00\x00\x00")


def files_under(folder: Path) -> Iterator[Path]:
    """The regular files under a folder in a fixed order; links to folders are not followed."""
    count = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            count += 1
            if count > MAX_FILES:
                raise InputError(f"{folder} holds more than {MAX_FILES} files: give the folder of one exam.")
            path = Path(parent, name)
            if path.is_file():
                yield path


def scan(path: Path) -> tuple[list[DicomFrame], Counter[str]]:
    """Every frame with a place in the world under `path` (a folder or file), and a count of what else is there."""
    frames: list[DicomFrame] = []
    ignored: Counter[str] = Counter()
    for file in [path] if path.is_file() else files_under(path):
        if not is_dicom(file):
            ignored["not DICOM"] += 1
            continue
        try:
            with lenient():
                frames += _frames(file)
        except _Ignored as reason:
            ignored[str(reason)] += 1
        except InputError:
            ignored["DICOM that claims an absurd size"] += 1
        except Exception:  # pydicom raises many kinds for a damaged file
            ignored["damaged DICOM"] += 1
    return frames, ignored


class _Ignored(Exception):
    """Why a DICOM file is no picture with a place in the world."""


def _frames(path: Path) -> list[DicomFrame]:
    header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise _Ignored("deflated DICOM, not read")
    if "Rows" not in header or "Columns" not in header:
        raise _Ignored("DICOM without an image")
    if str(header.get("Modality") or "MR") != "MR":
        raise _Ignored("another modality than MR")
    if int(header.get("SamplesPerPixel") or 1) != 1:
        raise _Ignored("colour pictures")
    count = int(header.get("NumberOfFrames") or 1)
    rows, columns = int(header.Rows), int(header.Columns)
    check_size(
        (count, rows, columns), "A DICOM file", bytes_a_voxel=max(int(header.get("BitsAllocated") or 16), 8) // 8
    )
    if count > MAX_FRAMES:
        raise InputError(f"A DICOM file claims {count} frames, more than any cine has: its header is damaged.")
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])
    single = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    found = [
        _frame(path, index, header, _Look([*single[index : index + 1], *shared], header)) for index in range(count)
    ]
    frames = [frame for frame in found if frame is not None]
    if not frames:
        raise _Ignored("pictures without a place in the world")
    return frames


class _Look:
    """Finds an attribute in a frame's functional groups, then in the shared ones, then in the header."""

    def __init__(self, groups: list[Dataset], header: Dataset) -> None:
        self._groups, self._header = groups, header

    def __call__(self, keyword: str, group: str | None = None) -> Any:
        for item in self._groups if group else ():
            inner = item.get(str(group))
            if inner and keyword in inner[0]:
                return inner[0].get(keyword)
        return self._header.get(keyword)

    def numbers(self, count: int, keyword: str, group: str | None = None) -> NDArray[np.float64] | None:
        """`count` finite numbers, or None."""
        value = self(keyword, group)
        values = [value] if count == 1 else value
        try:
            numbers = np.asarray([float(v) for v in values], dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None

    def number(self, keyword: str, group: str | None = None) -> float | None:
        """One finite number, or None."""
        found = self.numbers(1, keyword, group)
        return None if found is None else float(found[0])


def _frame(path: Path, index: int, header: Dataset, look: _Look) -> DicomFrame | None:
    """The frame's record, or None where it has no proper place in the world."""
    corner = look.numbers(3, "ImagePositionPatient", "PlanePositionSequence")
    axes = look.numbers(6, "ImageOrientationPatient", "PlaneOrientationSequence")
    spacing = look.numbers(2, "PixelSpacing", "PixelMeasuresSequence")
    if corner is None or axes is None or spacing is None or spacing.min() < 0.01 or spacing.max() > 100:
        return None
    row, column = axes[:3], axes[3:]
    sizes = np.linalg.norm([row, column], axis=1)
    if np.abs(sizes - 1).max() > 0.05 or abs(row @ column) > 0.05 or np.abs(corner).max() > 1e5:
        return None
    affine = np.eye(4)
    affine[:3, 0] = row / sizes[0] * spacing[1]  # PixelSpacing: between rows, then between columns (PS3.3 10.7.1.3)
    affine[:3, 1] = column / sizes[1] * spacing[0]
    normal = np.cross(row, column)
    affine[:3, 2] = normal / np.linalg.norm(normal)
    affine[:3, 3] = corner
    trigger = look.number("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence")
    if trigger is None:
        trigger = look.number("TriggerTime")
    step = look.number("FrameTime")
    if trigger is None and step is not None and step > 0 and "NumberOfFrames" in header:
        trigger = index * step
    interval = look.number("RRIntervalTimeNominal", "CardiacSynchronizationSequence") or look.number("NominalInterval")
    temporal = look.number("TemporalPositionIndex", "FrameContentSequence") or look.number("TemporalPositionIdentifier")
    kind = look("FrameType", "MRImageFrameTypeSequence") or header.get("ImageType") or ()
    slope = look.number("RescaleSlope", "PixelValueTransformationSequence")
    offset = look.number("RescaleIntercept", "PixelValueTransformationSequence")
    scale, shift = (1.0 if slope in (None, 0.0) else float(slope or 1)), offset or 0.0
    if str(header.get("PhotometricInterpretation")) == "MONOCHROME1":  # white is low: turned to the usual way
        scale, shift = -scale, scale * (2 ** int(header.get("BitsStored") or 16) - 1) + shift
    thickness = look.number("SliceThickness", "PixelMeasuresSequence")
    number = look.number("SeriesNumber")
    return DicomFrame(
        path=path,
        index=index,
        instance=str(header.get("SOPInstanceUID") or path),
        study=str(header.get("StudyInstanceUID") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        series_number=None if number is None else int(number),
        patient=str(header.get("PatientID") or ""),
        space=str(header.get("FrameOfReferenceUID") or ""),
        affine=LPS_TO_RAS @ affine,
        shape=(int(header.Columns), int(header.Rows)),
        pixel_mm=(float(spacing[1]), float(spacing[0])),
        thickness_mm=thickness if thickness is not None and 0 < thickness < 100 else None,
        trigger_ms=trigger,
        interval_ms=interval if interval is not None and 200 < interval < 5000 else None,
        order=(int(temporal or 0), int(look.number("InstanceNumber") or 0), index),
        acquired_s=_time_of_day_s(header.get("AcquisitionTime")),
        slope=scale,
        offset=shift,
        image_type=tuple(str(word).upper() for word in ([kind] if isinstance(kind, str) else kind)),
        words=f"{header.get('SeriesDescription') or ''} {header.get('ProtocolName') or ''}".lower(),
        person=_person(header, look),
    )


def _person(header: Dataset, look: _Look) -> Patient:
    height_m, weight_kg = look.number("PatientSize"), look.number("PatientWeight")
    sex = str(header.get("PatientSex") or "").strip().upper()
    return Patient(
        height_cm=height_m * 100 if height_m is not None and 0.3 < height_m < 2.6 else None,
        weight_kg=weight_kg if weight_kg is not None and 1 < weight_kg < 500 else None,
        sex=sex if sex in ("F", "M") else None,
    )


def _time_of_day_s(value: Any) -> float | None:
    """Seconds since midnight of DICOM's HHMMSS.FFFFFF."""
    text = str(value or "")
    try:
        return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])
    except ValueError:
        return None
