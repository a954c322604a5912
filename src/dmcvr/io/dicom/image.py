"""The dense image as a derived MR series: one file a picture, which every viewer and archive takes."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.planes import Identity, Planes, apply_identity

NOTICE = "Reconstructed by dmcvr from short-axis slices. Research software, not a medical device."

SERIES_NUMBER = 9001

#: Grey values between these percentiles around the heart are in the window.
WINDOW_PERCENTILES = (1.0, 99.0)


def write_image(
    folder: Path,
    planes: Planes,
    phases: list[int],
    identity: Identity,
    *,
    times_ms: tuple[float, ...] | None,
    sources: list[list[Dataset]],
    heart: Shaped[np.ndarray, "P K J I"],
    about: str = "",
) -> list[list[Dataset]]:
    """Write the pictures of these phases to folder/phase00/0001.dcm and on; gives their headers, by phase.

    `sources` are the source pictures of each phase, to refer to; they may be empty. `heart` are the labels: the window
    in which a viewer opens the series is that of what they surround. What is to be said `about` the heart goes into the
    derivation and the series' description.
    """
    series = generate_uid(prefix=None)
    slope, offset, stored = _stored(planes.pictures[phases])
    centre, width = window(planes.pictures[phases], heart[phases])
    written: list[list[Dataset]] = []
    for order, phase in enumerate(phases):
        (folder / f"phase{phase:02d}").mkdir()
        headers: list[Dataset] = []
        for k, picture in enumerate(stored[order]):
            dataset = _header(planes, k, identity, series)
            if about:
                dataset.SeriesDescription += f", {about}"
                dataset.DerivationDescription += f" {about}."
            dataset.InstanceNumber = order * len(planes.corners) + k + 1
            dataset.TemporalPositionIdentifier = order + 1
            dataset.NumberOfTemporalPositions = len(phases)
            if times_ms is not None:
                dataset.TriggerTime, dataset.ScanOptions = f"{times_ms[phase]:.3f}", "CG"
            if (slope, offset) != (1, 0):  # the standard's own MR object knows no other
                dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = _ds(slope), _ds(offset), "US"
            dataset.WindowCenter, dataset.WindowWidth = _ds(centre), _ds(width)
            dataset.WindowCenterWidthExplanation = "heart"
            if sources[order]:
                dataset.SourceImageSequence = [_reference(source) for source in sources[order]]
            dataset.PixelData = picture.tobytes()
            with lenient():
                dataset.save_as(folder / f"phase{phase:02d}" / f"{k + 1:04d}.dcm", enforce_file_format=True)
            del dataset.PixelData
            headers.append(dataset)
        written.append(headers)
    return written


def window(pictures: Shaped[np.ndarray, "P K J I"], labels: Shaped[np.ndarray, "P K J I"]) -> tuple[float, float]:
    """Centre and width of a window on the box around what is labelled in any phase; on everything where nothing is."""
    where = np.nonzero(labels.any(axis=0))
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in where) if len(where[0]) else (slice(None),) * 3
    low, high = np.percentile(pictures[(slice(None), *box)], WINDOW_PERCENTILES)
    return float(low + high) / 2, max(float(high - low), 1.0 if float(np.ptp(pictures)) > 1 else 1e-3)


def _stored(pictures: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Slope, offset and uint16 values: grey values as they are where whole numbers tell enough, else stretched."""
    low, high = float(pictures.min()), float(pictures.max())
    if low > -0.5 and 500 <= high <= 65535:  # splines overshoot a little
        slope, offset = 1.0, 0.0
    else:
        slope, offset = max(high - low, 1e-6) / 65535, low
    return slope, offset, np.clip(np.rint((pictures - offset) / slope), 0, 65535).astype("<u2")


def _header(planes: Planes, k: int, identity: Identity, series: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)  # type: ignore[arg-type]
    now = datetime.now()
    rows, columns, apart = planes.spacing_mm
    with lenient():
        apply_identity(dataset, identity)
    values = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "ContentDate": now.strftime("%Y%m%d"),
        "ContentTime": now.strftime("%H%M%S"),
        "Modality": "MR",
        "Manufacturer": "dmcvr",
        "ManufacturerModelName": "dmcvr",
        "SoftwareVersions": version("dmcvr"),
        "SeriesDescription": "dmcvr dense short axis",
        "DerivationDescription": NOTICE,
        "SeriesInstanceUID": series,
        "SeriesNumber": SERIES_NUMBER,
        "BodyPartExamined": "HEART",
        "PatientPosition": identity.position,
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "EchoTime": None,
        "RepetitionTime": None,
        "EchoTrainLength": None,
        "SliceThickness": _ds(apart),
        "SpacingBetweenSlices": _ds(apart),
        "PixelSpacing": [_ds(rows), _ds(columns)],
        "ImagePositionPatient": [_ds(value) for value in planes.corners[k]],
        "ImageOrientationPatient": [_ds(value) for value in planes.axes],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": planes.pictures.shape[2],
        "Columns": planes.pictures.shape[3],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
    }
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    with lenient():
        item.ReferencedSOPClassUID = source.SOPClassUID
        item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    for digits in range(12, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.1g}"
