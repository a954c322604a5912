"""The label map as DICOM SEG: a binary segment for each structure, coded in SNOMED CT."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dmcvr.errors import InputError
from dmcvr.exam.stack import LABEL_NAMES, LABEL_TITLES
from dmcvr.exam.structures import SNOMED
from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.planes import DEIDENTIFIED, Planes
from dmcvr.labels.colours import COLOURS

SERIES_NUMBER = 9002


def require_highdicom() -> Any:
    """The module; raises `InputError` where it is not installed."""
    try:
        import highdicom
    except ImportError as error:
        raise InputError('DICOM SEG needs highdicom, which is not installed: pip install "dmcvr[dicom]".') from error
    return highdicom


def write_seg(
    folder: Path, planes: Planes, phases: list[int], *, sources: list[list[Dataset]], about: str = ""
) -> list[Dataset]:
    """Write the labels of these phases as folder/labels_phase00.dcm and on, referring to each phase's source.

    Every structure is a segment of each file, those that are absent too. The slice spacing and thickness are the
    labels' own: left to itself, highdicom takes the source's. Gives what was written.
    """
    hd = require_highdicom()
    series = generate_uid(prefix=None)
    rows, columns, apart = planes.spacing_mm
    written: list[Dataset] = []
    for order, phase in enumerate(phases):
        first = sources[order][0].SeriesInstanceUID
        near = [source for source in sources[order] if source.SeriesInstanceUID == first]
        far = [source for source in sources[order] if source.SeriesInstanceUID != first]
        with lenient():
            seg = hd.seg.Segmentation(
                source_images=near,
                further_source_images=far or None,
                pixel_array=planes.pictures[phase].astype(np.uint8),
                segmentation_type="BINARY",
                segment_descriptions=[_segment(hd, label) for label in LABEL_NAMES],
                series_instance_uid=series,
                series_number=SERIES_NUMBER,
                sop_instance_uid=generate_uid(prefix=None),
                instance_number=order + 1,
                manufacturer="dmcvr",
                manufacturer_model_name="dmcvr",
                software_versions=version("dmcvr"),
                device_serial_number="0",
                content_label="HEART",
                content_description=f"{', '.join(LABEL_TITLES.values())}; phase {phase}",
                series_description=f"dmcvr labels, {about}" if about else "dmcvr labels",
                pixel_measures=hd.PixelMeasuresSequence(
                    pixel_spacing=[rows, columns], slice_thickness=apart, spacing_between_slices=apart
                ),
                plane_orientation=hd.PlaneOrientationSequence("PATIENT", planes.axes.tolist()),
                plane_positions=[hd.PlanePositionSequence("PATIENT", corner.tolist()) for corner in planes.corners],
                omit_empty_frames=False,
            )
            for name in DEIDENTIFIED:
                if name in near[0]:
                    setattr(seg, name, near[0][name].value)
            seg.save_as(folder / f"labels_phase{phase:02d}.dcm")
        written.append(seg)
    return written


def _segment(hd: Any, label: int) -> Any:
    code, meaning = SNOMED[label]
    return hd.seg.SegmentDescription(
        segment_number=label,
        segment_label=LABEL_TITLES[label],
        segmented_property_category=hd.sr.CodedConcept("91723000", "SCT", "Anatomical Structure"),
        segmented_property_type=hd.sr.CodedConcept(code, "SCT", meaning),
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="dmcvr",
            version=version("dmcvr"),
            family=hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
        ),
        display_color=hd.color.CIELabColor.from_rgb(*COLOURS[label]),
    )
