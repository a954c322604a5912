"""The label map as DICOM SEG: a binary segment for each structure, coded in SNOMED CT (PS3.16, CID 7152 and 12305)."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dmcvr.errors import InputError
from dmcvr.exam.stack import LABEL_NAMES, LABEL_TITLES
from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.planes import Planes
from dmcvr.labels.colours import COLOURS

SERIES_NUMBER = 9002

#: SNOMED CT code of each structure and its meaning.
_CODES = {
    1: ("87878005", "Left Ventricle"),
    2: ("49848007", "Left Ventricle Myocardium"),
    3: ("53085002", "Right Ventricle"),
}


def require_highdicom() -> Any:
    """The module; raises `InputError` where it is not installed."""
    try:
        import highdicom
    except ImportError as error:
        raise InputError('DICOM SEG needs highdicom, which is not installed: pip install "dmcvr[dicom]".') from error
    return highdicom


def write_seg(
    folder: Path, planes: Planes, phases: list[int], *, sources: list[list[Dataset]], about: str = ""
) -> None:
    """Write the labels of these phases as folder/phase00_lv_cavity.dcm and on, referring to each phase's source.

    One file a structure: GDCM (SimpleITK, ITK) takes a SEG as one volume and finds no spacing in a file whose
    positions come again with the next segment. The slice spacing and thickness are the labels' own: left to
    itself, highdicom takes the source's.
    """
    hd = require_highdicom()
    series = generate_uid(prefix=None)
    rows, columns, apart = planes.spacing_mm
    for order, phase in enumerate(phases):
        first = sources[order][0].SeriesInstanceUID
        near = [source for source in sources[order] if source.SeriesInstanceUID == first]
        far = [source for source in sources[order] if source.SeriesInstanceUID != first]
        for label, name in LABEL_NAMES.items():
            with lenient():
                seg = hd.seg.Segmentation(
                    source_images=near,
                    further_source_images=far or None,
                    pixel_array=(planes.pictures[phase] == label).astype(np.uint8),
                    segmentation_type="BINARY",
                    segment_descriptions=[_segment(hd, label)],
                    series_instance_uid=series,
                    series_number=SERIES_NUMBER,
                    sop_instance_uid=generate_uid(prefix=None),
                    instance_number=order * len(LABEL_NAMES) + label,
                    manufacturer="dmcvr",
                    manufacturer_model_name="dmcvr",
                    software_versions=version("dmcvr"),
                    device_serial_number="0",
                    content_label=name.upper(),
                    content_description=f"{LABEL_TITLES[label]}, phase {phase}",
                    series_description=f"dmcvr labels, {about}" if about else "dmcvr labels",
                    pixel_measures=hd.PixelMeasuresSequence(
                        pixel_spacing=[rows, columns], slice_thickness=apart, spacing_between_slices=apart
                    ),
                    plane_orientation=hd.PlaneOrientationSequence("PATIENT", planes.axes.tolist()),
                    plane_positions=[hd.PlanePositionSequence("PATIENT", corner.tolist()) for corner in planes.corners],
                    omit_empty_frames=False,
                )
                seg.save_as(folder / f"phase{phase:02d}_{name}.dcm")


def _segment(hd: Any, label: int) -> Any:
    code, meaning = _CODES[label]
    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=LABEL_TITLES[label],
        segmented_property_category=hd.sr.CodedConcept("91723000", "SCT", "Anatomical structure"),
        segmented_property_type=hd.sr.CodedConcept(code, "SCT", meaning),
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="dmcvr",
            version=version("dmcvr"),
            family=hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
        ),
        display_color=hd.color.CIELabColor.from_rgb(*COLOURS[label]),
    )
