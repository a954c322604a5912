"""Small DICOM exams for the tests: what a scanner would write, and what goes wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

#: An oblique short axis (LPS): rows, columns; the normal runs from base to apex.
SHORT_AXIS = (-0.104592, 0.346381, -0.932245, -0.733192, -0.660188, -0.163037)
LONG_AXIS = (0.671929, -0.666462, -0.323014, -0.733192, -0.660188, -0.163037)
CORNER = (162.673, 35.618, 144.459)
SIZE = (24, 20)
STUDY, SPACE = generate_uid(prefix=None), generate_uid(prefix=None)
SECRET = "SECRET^NAME"


def normal_of(axes: Sequence[float]) -> np.ndarray:
    return np.cross(axes[:3], axes[3:])


def picture(slice_: int, phase: int) -> np.ndarray:
    """(rows, columns) grey values that tell which slice and phase they are."""
    rows, columns = SIZE
    return (np.arange(rows * columns).reshape(rows, columns) + 1000 * slice_ + 10 * phase).astype(np.uint16)


def header(series: str, number: int, description: str = "", **values: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.PatientName = "MR", "SECRET-ID", SECRET
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientSize, dataset.PatientWeight = "19500101", "F", 1.7, 70
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SeriesNumber = STUDY, series, number
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20200101", "120000", "1", "SECRET"
    dataset.SeriesDescription, dataset.ImageType = description, ["ORIGINAL", "PRIMARY"]
    dataset.FrameOfReferenceUID = SPACE
    dataset.Rows, dataset.Columns = SIZE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelSpacing, dataset.SliceThickness = [1.5, 1.25], 8
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def write(dataset: FileDataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def cine(
    folder: Path,
    *,
    places_mm: Sequence[float] = (0, 10, 20, 30),
    phases: int | Sequence[int] = 6,
    axes: Sequence[float] = SHORT_AXIS,
    series: str | None = None,
    number: int = 5,
    description: str = "cine",
    **values: Any,
) -> list[Path]:
    """A classic cine, a file a picture, in an order of files that says nothing; `series` None: one for each slice."""
    written = []
    for n, place in enumerate(places_mm):
        count = phases if isinstance(phases, int) else phases[n]
        uid = series or generate_uid(prefix=None)
        for p in range(count):
            dataset = header(uid, number + (0 if series else n), description, **values)
            dataset.ImageOrientationPatient = [f"{v:.6f}" for v in axes]
            dataset.ImagePositionPatient = [f"{v:.5f}" for v in np.array(CORNER) + place * normal_of(axes)]
            dataset.SliceLocation = -place  # as GE's may: it disagrees
            dataset.TriggerTime, dataset.NominalInterval = f"{800 * p / count:.3f}", 800
            dataset.InstanceNumber = 1 + (p * 7 + n * 3) % 1000
            for name, value in values.items():
                setattr(dataset, name, value)
            dataset.PixelData = picture(n, p).tobytes()
            written.append(write(dataset, folder / f"{generate_uid(prefix=None)[-12:]}.dcm"))
    return written


def enhanced(path: Path, *, slices: int = 4, phases: int = 6, **values: Any) -> Path:
    """The same cine as one multi-frame file, phases fastest, from the last slice to the first."""
    dataset = header(generate_uid(prefix=None), 7, "cine", NumberOfFrames=slices * phases)
    for name in ("PixelSpacing", "SliceThickness"):
        delattr(dataset, name)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [1.5, 1.25], 8, 10
    plane.ImageOrientationPatient = [f"{v:.6f}" for v in SHORT_AXIS]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames, pixels = [], []
    for n in reversed(range(slices)):
        for p in range(phases):
            frame, position, beat, scale = Dataset(), Dataset(), Dataset(), Dataset()
            place = np.array(CORNER) + 10 * n * normal_of(SHORT_AXIS)
            position.ImagePositionPatient = [f"{v:.5f}" for v in place]
            beat.NominalCardiacTriggerDelayTime = 800 * p / phases
            scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 2, -5, "US"
            frame.PlanePositionSequence, frame.CardiacSynchronizationSequence = [position], [beat]
            frame.PixelValueTransformationSequence = [scale]
            frames.append(frame)
            pixels.append(picture(n, p).tobytes())
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.PixelData = b"".join(pixels)
    for name, value in values.items():
        setattr(dataset, name, value)
    return write(dataset, path)
