"""How bright each tissue is: in balanced SSFP (MRI), and in CT with contrast agent.

Pictures are drawn in units in which air is 0 and the brightest blood about .9; CT's are written in Hounsfield units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dmcvr.phantom.solid import Array

Modality = Literal["mri", "ct"]

#: Of CT: Hounsfield units of 0, and a unit's width.
HU_AT_ZERO, HU_A_UNIT = -1000.0, 1500.0


@dataclass(frozen=True, kw_only=True)
class Tissues:
    """Brightness of each tissue, how bright vessels in the liver are beside it, and how black outlines are (0 to 1)."""

    air: float
    fat: float
    heart_fat: float
    muscle: float
    lung: float
    liver: float
    liver_vessels: float
    stomach: float
    spine: float
    aorta: float
    myocardium: float
    blood: float
    right_blood: float
    outline: float


#: The black line between fat and water is bSSFP's.
MRI = Tissues(
    air=0.01,
    fat=0.8,
    heart_fat=0.75,
    muscle=0.22,
    lung=0.04,
    liver=0.27,
    liver_vessels=0.35,
    stomach=0.33,
    spine=0.3,
    aorta=0.8,
    myocardium=0.28,
    blood=0.85,
    right_blood=0.95 * 0.85,
    outline=1.0,
)


def _hu(value: float) -> float:
    return (value - HU_AT_ZERO) / HU_A_UNIT


#: An arterial phase; typical values, in Hounsfield units.
CT = Tissues(
    air=_hu(-1000),
    fat=_hu(-100),
    heart_fat=_hu(-90),
    muscle=_hu(55),
    lung=_hu(-820),
    liver=_hu(80),
    liver_vessels=0.03,
    stomach=_hu(30),
    spine=_hu(250),
    aorta=_hu(380),
    myocardium=_hu(110),
    blood=_hu(380),
    right_blood=_hu(260),
    outline=0.0,
)

TISSUES: dict[Modality, Tissues] = {"mri": MRI, "ct": CT}


def in_units(picture: Array, modality: Modality) -> Array:
    """A drawn picture as its scanner writes it."""
    return picture * picture.dtype.type(HU_A_UNIT) + picture.dtype.type(HU_AT_ZERO) if modality == "ct" else picture
