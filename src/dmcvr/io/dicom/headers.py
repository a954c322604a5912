"""DICOM headers as frames: one record for each picture, classic (a file each) or enhanced (many in a file).

DICOM's world is LPS; the affines here are RAS+. This is the one place where the one becomes the other.
"""

from __future__ import annotations

import os
import re
import struct
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
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

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
    "TemporalPositionIdentifier", "AcquisitionTime", "AcquisitionDateTime", "AcquisitionNumber", "ContentTime",
    "HeartRate", "InstanceNumber", "InversionTime", "EchoTime", "RescaleSlope", "RescaleIntercept", "SliceLocation",
    "SpacingBetweenSlices", "ReconstructionDiameter", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip

#: Vendors' own elements that repeat what a public one says: Siemens' slice position and field of view, Philips' phase.
SIEMENS_POSITION, SIEMENS_FIELD, PHILIPS_PHASE = 0x00191015, 0x0051100C, 0x20011008
_READ = [tag_for_keyword(keyword) or 0 for keyword in _TAGS] + [SIEMENS_POSITION, SIEMENS_FIELD, PHILIPS_PHASE]

#: Groups that a data set of ours may begin with, where a file has neither preamble nor meta header.
_FIRST_GROUPS = (0x0002, 0x0008, 0x0009, 0x0010, 0x0012, 0x0018, 0x0019, 0x0020, 0x0021, 0x0028)

#: Elements at a file's beginning that must follow one another properly, where nothing else says that it is DICOM.
_CHAIN = 4

_VRS = {
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"OB", b"OD", b"OF", b"OL",
    b"OV", b"OW", b"PN", b"SH", b"SL", b"SQ", b"SS", b"ST", b"SV", b"TM", b"UC", b"UI", b"UL", b"UN", b"UR", b"US",
    b"UT", b"UV",
}  # fmt: skip
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


@dataclass(frozen=True, eq=False)
class DicomFrame:
    """One picture: where it is in the files, in the world and in time.

    ==================  =======  ==============================================================
    path, index                  the file, and the frame in it from 0
    instance                     SOP Instance UID
    study, series                UIDs; `patient` is compared, never shown
    space                        frame of reference: positions compare only within one
    affine              (4, 4)   pixel (column, row, 0, 1) to RAS+ mm; the third axis is the unit normal
    shape               2        columns, rows
    pixel_mm            2        along a row, along a column
    trigger_ms                   time after the R wave, or whatever the header counts from; None if unknown
    interval_ms                  of the heartbeat; `rate_bpm` is another element's word for it
    temporal, number             index of the time among the times; instance number; None if unknown
    acquisition                  number of the acquisition; None if unknown
    acquired_s, written_s        time of day of acquisition and of the picture's content; None if unknown
    contrast            2        inversion time and echo time: pictures of a cine share them
    location_mm                  Slice Location, which many scanners count another way; None if unknown
    other_corner        (3,)     RAS+ corner by the vendor's own element; None if there is none
    field_mm                     width of the picture by other elements than the pixel spacing; None if unknown
    apart_mm                     Spacing Between Slices; None if unknown
    slope, offset                stored value to grey value
    ==================  =======  ==============================================================
    """

    path: Path
    index: int
    frames_in_file: int
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
    rate_bpm: float | None
    temporal: int | None
    number: int | None
    acquisition: int | None
    acquired_s: float | None
    written_s: float | None
    contrast: tuple[float | None, float | None]
    location_mm: float | None
    other_corner: Float64[np.ndarray, " 3"] | None
    field_mm: float | None
    apart_mm: float | None
    slope: float
    offset: float
    image_type: tuple[str, ...]
    words: str
    person: Patient

    @property
    def centre(self) -> Float64[np.ndarray, " 3"]:
        """(3,) the picture's middle in the world."""
        columns, rows = self.shape
        return np.asarray((self.affine @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[:3])

    @property
    def normal(self) -> Float64[np.ndarray, " 3"]:
        """(3,) unit normal of the picture's plane."""
        return np.asarray(self.affine[:3, 2])


@contextmanager
def lenient() -> Iterator[None]:
    """Odd values in a header are read as they are; pydicom's remarks, which may quote them, stay unheard."""
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM does: with its preamble, or without but with elements in a proper order."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return False
    return start[128:132] == b"DICM" or any(_is_chain(start, order) for order in "<>")


def is_bare(path: Path) -> bool:
    """Whether a file has no preamble, so that nothing says how it is encoded."""
    with path.open("rb") as file:
        return file.read(132)[128:] != b"DICM"


def is_dicomdir(path: Path) -> bool:
    """Whether a file is the directory of a medium, which lists files and holds no picture."""
    if path.name.upper() == "DICOMDIR":
        return True
    try:
        with lenient():
            found = dcmread(path, stop_before_pixels=True, specific_tags=["MediaStorageSOPClassUID"])
        return bool(found.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)
    except Exception:  # pydicom raises many kinds for a damaged file
        return False


def _is_chain(start: bytes, order: str) -> bool:
    """Whether bytes begin with data elements of ascending tags (PS3.5 7.1), by the byte order "<" or ">"."""
    at, last = 0, -1
    for count in range(_CHAIN):
        if at + 12 > len(start):
            return count > 0 and at >= len(start)  # a long first element fills what was read
        group, element = struct.unpack_from(f"{order}HH", start, at)
        tag = group << 16 | element
        if tag <= last or group not in _FIRST_GROUPS:
            return False
        vr = start[at + 4 : at + 6]
        if vr in _LONG_VRS:
            header, length = 12, struct.unpack_from(f"{order}I", start, at + 8)[0]
        elif vr in _VRS:
            header, length = 8, struct.unpack_from(f"{order}H", start, at + 6)[0]
        else:  # implicit: no value representation, a length of four bytes
            header, length = 8, struct.unpack_from(f"{order}I", start, at + 4)[0]
            if order == ">":
                return False
        if length == 0xFFFFFFFF or (length % 2 and vr not in _VRS) or length > 2**24:
            return count > 0
        at, last = at + header + length, tag
    return True


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
    header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=_READ)
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
        _frame(path, index, count, header, _Look([*single[index : index + 1], *shared], header))
        for index in range(count)
    ]
    frames = [frame for frame in found if frame is not None]
    if not frames:
        raise _Ignored("pictures without a place in the world")
    return frames


class _Look:
    """Finds an attribute in a frame's functional groups, then in the shared ones, then in the header."""

    def __init__(self, groups: list[Dataset], header: Dataset) -> None:
        self._groups, self._header = groups, header

    def __call__(self, keyword: str | int, group: str | None = None) -> Any:
        for item in self._groups if group else ():
            inner = item.get(str(group))
            if inner and keyword in inner[0]:
                return inner[0].get(keyword)
        found = self._header.get(keyword)
        return found.value if isinstance(found, DataElement) else found

    def numbers(self, count: int, keyword: str | int, group: str | None = None) -> NDArray[np.float64] | None:
        """`count` finite numbers, or None."""
        value = self(keyword, group)
        values = [value] if count == 1 else value
        try:
            numbers = np.asarray([float(v) for v in values], dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None

    def number(self, keyword: str | int, group: str | None = None) -> float | None:
        """One finite number, or None."""
        found = self.numbers(1, keyword, group)
        return None if found is None else float(found[0])


def _frame(path: Path, index: int, count: int, header: Dataset, look: _Look) -> DicomFrame | None:
    """The frame's record, or None where it has no proper place in the world."""
    corner = look.numbers(3, "ImagePositionPatient", "PlanePositionSequence")
    axes = look.numbers(6, "ImageOrientationPatient", "PlaneOrientationSequence")
    spacing = look.numbers(2, "PixelSpacing", "PixelMeasuresSequence")
    if corner is None or axes is None or spacing is None or spacing.min() < 0.01 or spacing.max() > 100:
        return None
    columns, rows = int(header.Columns), int(header.Rows)
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
    if temporal is None and PHILIPS_PHASE in header:
        temporal = look.number(PHILIPS_PHASE)
    acquired = look("FrameAcquisitionDateTime", "FrameContentSequence") or header.get("AcquisitionDateTime")
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
        frames_in_file=count,
        instance=str(header.get("SOPInstanceUID") or path),
        study=str(header.get("StudyInstanceUID") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        series_number=None if number is None else int(number),
        patient=str(header.get("PatientID") or ""),
        space=str(header.get("FrameOfReferenceUID") or ""),
        affine=LPS_TO_RAS @ affine,
        shape=(columns, rows),
        pixel_mm=(float(spacing[1]), float(spacing[0])),
        thickness_mm=thickness if thickness is not None and 0 < thickness < 100 else None,
        trigger_ms=trigger,
        interval_ms=interval if interval is not None and 200 < interval < 5000 else None,
        rate_bpm=look.number("HeartRate"),
        temporal=None if temporal is None else int(temporal),
        number=_whole(look.number("InstanceNumber")),
        acquisition=_whole(
            look.number("FrameAcquisitionNumber", "FrameContentSequence") or look.number("AcquisitionNumber")
        ),
        acquired_s=_time_of_day_s(header.get("AcquisitionTime")) or _time_of_day_s(str(acquired or "")[8:]),
        written_s=_time_of_day_s(header.get("ContentTime")),
        contrast=(
            look.number("InversionTime"),
            look.number("EffectiveEchoTime", "MREchoSequence") or look.number("EchoTime"),
        ),
        location_mm=look.number("SliceLocation"),
        other_corner=_other_corner(header),
        field_mm=look.number("ReconstructionDiameter") or _siemens_field(header),
        apart_mm=look.number("SpacingBetweenSlices", "PixelMeasuresSequence"),
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


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _other_corner(header: Dataset) -> NDArray[np.float64] | None:
    """(3,) the first pixel's place in RAS+ by Siemens' own element, which gives the same corner; None without it."""
    element = header.get(SIEMENS_POSITION)
    try:
        corner = np.array([float(value) for value in element.value]) if element is not None else np.empty(0)
    except (TypeError, ValueError):
        return None
    return LPS_TO_RAS[:3, :3] @ corner if corner.shape == (3,) and np.isfinite(corner).all() else None


def _siemens_field(header: Dataset) -> float | None:
    """Width of the picture in mm by Siemens' own element, "FoV 340*276" (rows, then columns); None without it."""
    element = header.get(SIEMENS_FIELD)
    match = re.fullmatch(r"FoV (\d{2,4})\*(\d{2,4})", str(element.value if element is not None else "").strip())
    return float(match[2]) if match else None


def _time_of_day_s(value: Any) -> float | None:
    """Seconds since midnight of DICOM's HHMMSS.FFFFFF; None where the value is none."""
    text = str(value or "").replace(":", "").strip()
    match = re.match(r"(\d{2})(\d{2})(\d{2}(?:\.\d{1,6})?)", text)
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None
