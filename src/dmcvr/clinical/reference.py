"""Published normal values beside a patient's own, each with its source.

Only those are here that stand in the source's own abstract. The LV's are of contours that count papillary muscles in
the cavity, as ours do: a source that counts them as muscle has smaller cavities and a heavier wall (Kawel-Boehm et al.,
J Cardiovasc Magn Reson 2020, 22:87, Table 1 tells them apart).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UK_BIOBANK = (
    "Petersen et al., J Cardiovasc Magn Reson 2017, 19:18, doi 10.1186/s12968-017-0327-9: healthy Caucasians of "
    "45-74 years, 1.5 T, papillary muscles in the cavity; range: mean +- 1.96 SD"
)

OXFORD = (
    "Hudsmith et al., J Cardiovasc Magn Reson 2005, 7:775-782, doi 10.1080/10976640500295516: 63 men and 45 women, "
    "healthy, 21-68 years, 1.5 T; range: mean +- 1.96 SD"
)

#: A normal range spans so many SD on either side of the mean (95 % of a normal distribution).
RANGE_SD = 1.96


@dataclass(frozen=True)
class Normal:
    """Mean and SD of one quantity in healthy people of one sex; `key` is that of the ventricle's measures."""

    name: str
    side: str
    key: str
    unit: str
    sex: str
    mean: float
    sd: float
    source: str


NORMAL_VALUES = (
    Normal("LV ejection fraction", "lv", "ef_percent", "%", "F", 61, 5, UK_BIOBANK),
    Normal("LV ejection fraction", "lv", "ef_percent", "%", "M", 58, 5, UK_BIOBANK),
    Normal("LV mass index", "lv", "mass_g_per_m2", "g/m2", "F", 42, 7, UK_BIOBANK),
    Normal("LV mass index", "lv", "mass_g_per_m2", "g/m2", "M", 53, 9, UK_BIOBANK),
    Normal("RV end-diastolic volume", "rv", "edv_ml", "mL", "F", 148, 35, OXFORD),
    Normal("RV end-diastolic volume", "rv", "edv_ml", "mL", "M", 190, 33, OXFORD),
    Normal("RV end-systolic volume", "rv", "esv_ml", "mL", "F", 56, 18, OXFORD),
    Normal("RV end-systolic volume", "rv", "esv_ml", "mL", "M", 78, 20, OXFORD),
)


def compare(measured: Mapping[str, Any], sex: str | None) -> list[dict[str, Any]]:
    """The ventricles' measures ("lv" and "rv", as far as they are known) beside what is normal for `sex`.

    That is "F" or "M"; None: for both, a row each. Each row has "name", "value", "unit", "low", "high", "sex", "source"
    and the z-score "z"; a quantity that was not measured has no row.
    """
    rows = []
    for normal in NORMAL_VALUES:
        value = (measured.get(normal.side) or {}).get(normal.key)
        if value is None or sex not in (None, normal.sex):
            continue
        low, high = (round(normal.mean + side * RANGE_SD * normal.sd, 1) for side in (-1, 1))
        z = round((value - normal.mean) / normal.sd, 2)
        keys = {"name": normal.name, "value": value, "unit": normal.unit, "low": low, "high": high}
        rows.append({**keys, "sex": normal.sex, "source": normal.source, "z": z})
    return rows
