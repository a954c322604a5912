"""The measures as a DICOM structured report: Enhanced SR by TID 1500 (PS3.16), codes from SNOMED CT and LOINC.

What has no public code (the sizes over body surface area) has one of ours, in the private scheme `99DMCVR`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dmcvr.errors import InputError
from dmcvr.exam.structures import SNOMED
from dmcvr.io.dicom.headers import lenient
from dmcvr.io.dicom.planes import DEIDENTIFIED
from dmcvr.io.dicom.seg import require_highdicom

SERIES_NUMBER = 9003

FILE = "measures.dcm"

#: UCUM units by how a key of measures.json ends, the longer ending first.
_UNITS = {"_ml_per_m2": "mL/m2", "_g_per_m2": "g/m2", "_percent": "%", "_ml": "mL", "_g": "g"}

#: Code, scheme and meaning of a ventricle's measures.
_OF_VENTRICLE = {
    "lv": {
        "edv_ml": ("8821-1", "LN", "Left Ventricular ED Volume"),
        "esv_ml": ("8823-7", "LN", "Left Ventricular ES Volume"),
        "sv_ml": ("90096001", "SCT", "Stroke Volume"),
        "ef_percent": ("8811-2", "LN", "Left ventricular ejection fraction by MR"),
        "mass_g": ("18087-7", "LN", "Left Ventricle Mass"),
        "edv_ml_per_m2": ("LVEDVI", "99DMCVR", "Left ventricular ED volume over body surface area"),
        "esv_ml_per_m2": ("LVESVI", "99DMCVR", "Left ventricular ES volume over body surface area"),
        "sv_ml_per_m2": ("277381004", "SCT", "Stroke Index"),
        "mass_g_per_m2": ("LVMI", "99DMCVR", "Left ventricular mass over body surface area"),
    },
    "rv": {
        "edv_ml": ("8822-9", "LN", "Right Ventricular ED Volume"),
        "esv_ml": ("8824-5", "LN", "Right Ventricular ES Volume"),
        "sv_ml": ("429483009", "SCT", "RV Stroke Volume"),
        "ef_percent": ("8818-7", "LN", "Right ventricular ejection fraction by MR"),
        "edv_ml_per_m2": ("RVEDVI", "99DMCVR", "Right ventricular ED volume over body surface area"),
        "esv_ml_per_m2": ("RVESVI", "99DMCVR", "Right ventricular ES volume over body surface area"),
        "sv_ml_per_m2": ("429619008", "SCT", "RV Stroke Index"),
    },
}

#: Of one phase: key, our label, code.
_OF_PHASE = (
    ("lv_cavity_ml", 1, ("118565006", "SCT", "Volume")),
    ("lv_mass_g", 2, ("4147007", "SCT", "Mass")),
    ("rv_cavity_ml", 3, ("118565006", "SCT", "Volume")),
)

#: What is said of how each number was measured, of the segmenter's labels and of those that were given.
_METHODS = {
    False: ("VOXELS", "99DMCVR", "Voxels of the dense labels; papillaries in the cavity"),
    True: ("VOXELSGIVEN", "99DMCVR", "Voxels of the dense labels; papillaries as in given labels"),
}


def write_report(
    folder: Path, measures: Mapping[str, Any], evidence: list[Dataset], *, given: bool = False, about: str = ""
) -> Path:
    """Write the dense volume's measures as folder/measures.dcm, of the patient and study of the evidence.

    With ED and ES known: the function of both ventricles; else the volumes of each phase. `evidence` are the objects
    that were measured (SEG), else the pictures; `given`: the labels are a person's. Raises `InputError` where there is
    nothing to report.
    """
    hd = require_highdicom()
    groups = [_group(hd, given, *group) for group in _groups(measures)]
    if not groups:
        raise InputError("This result holds no measures to report: reconstruct the exam again.")
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(prefix=None), name="dmcvr", manufacturer_name="dmcvr", model_name=f"dmcvr {version('dmcvr')}"
    )
    observer = hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"), observer_identifying_attributes=device
    )
    with lenient():
        content = hd.sr.MeasurementReport(
            observation_context=hd.sr.ObservationContext(observer_device_context=observer),
            procedure_reported=hd.sr.CodedConcept("241620005", "SCT", "Cardiac MRI"),
            imaging_measurements=groups,
            title=hd.sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
        )
        report = hd.sr.EnhancedSR(
            evidence=evidence,
            content=content[0],
            series_instance_uid=generate_uid(prefix=None),
            series_number=SERIES_NUMBER,
            sop_instance_uid=generate_uid(prefix=None),
            instance_number=1,
            manufacturer="dmcvr",
            manufacturer_model_name="dmcvr",
            software_versions=version("dmcvr"),
            device_serial_number="0",
            is_complete=True,
            series_description=f"dmcvr measures, {about}" if about else "dmcvr measures",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        )
        for name in DEIDENTIFIED:
            if name in evidence[0]:
                setattr(report, name, evidence[0][name].value)
        report.save_as(folder / FILE)
    return folder / FILE


#: Name of a group, the structure that it is of (0: the person), its phase ("" where it is of both), and codes, values
#: and units.
_Group = tuple[str, int, str, list[tuple[tuple[str, str, str], float, str]]]


def _groups(measures: Mapping[str, Any]) -> Iterator[_Group]:
    dense: Mapping[str, Any] = measures.get("dense_volume") or {}
    sides = [side for side in _OF_VENTRICLE if dense.get(side)]
    for side in sides:
        found = [(code, dense[side].get(key), _unit(key)) for key, code in _OF_VENTRICLE[side].items()]
        known = [(code, float(value), unit) for code, value, unit in found if value is not None]
        yield {"lv": "Left ventricle", "rv": "Right ventricle"}[side], {"lv": 1, "rv": 3}[side], "", known
    for phase, volumes in {} if sides else dict(dense.get("phases") or {}).items():
        for key, label, code in _OF_PHASE:
            if volumes.get(key) is not None:
                yield f"{SNOMED[label][1]}, phase {phase}", label, phase, [(code, float(volumes[key]), _unit(key))]
    if sides and measures.get("bsa_m2") is not None:
        yield "Patient", 0, "", [(("8277-6", "LN", "Body surface area"), float(measures["bsa_m2"]), "m2")]


def _group(
    hd: Any, given: bool, name: str, label: int, phase: str, values: list[tuple[tuple[str, str, str], float, str]]
) -> Any:
    concept = hd.sr.CodedConcept
    code, meaning = SNOMED.get(label, ("", ""))
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=generate_uid(prefix=None), identifier=name),
        time_point_context=hd.sr.TimePointContext(time_point=phase) if phase else None,
        finding_sites=[hd.sr.FindingSite(concept(code, "SCT", meaning))] if label else None,
        measurements=[
            hd.sr.Measurement(
                name=concept(*coded),
                value=value,
                unit=concept(unit, "UCUM", unit),
                method=concept(*_METHODS[given]) if label else None,
            )
            for coded, value, unit in values
        ],
    )


def _unit(key: str) -> str:
    return next(unit for ending, unit in _UNITS.items() if key.endswith(ending))
