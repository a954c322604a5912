"""Published normal values beside a patient's own, each with its source.

Of the values in use, only those are here that stand in the source's own abstract; their contours count papillary
muscles in the cavity, as ours do (Kawel-Boehm et al., J Cardiovasc Magn Reson 2020, 22:87, Table 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UK_BIOBANK = (
    "Petersen et al., J Cardiovasc Magn Reson 2017, 19:18, doi 10.1186/s12968-017-0327-9: healthy Caucasians of "
    "45-74 years, 1.5 T, papillary muscles in the cavity; range: mean +- 1.96 SD"
)

#: A normal range spans so many SD on either side of the mean (95 % of a normal distribution).
RANGE_SD = 1.96


@dataclass(frozen=True)
class Normal:
    """Mean and SD of one quantity in healthy people of one sex; `key` is that of the ventricle's measures."""

    name: str
    key: str
    unit: str
    sex: str
    mean: float
    sd: float
    source: str


NORMAL_VALUES = (
    Normal("LV ejection fraction", "ef_percent", "%", "F", 61, 5, UK_BIOBANK),
    Normal("LV ejection fraction", "ef_percent", "%", "M", 58, 5, UK_BIOBANK),
    Normal("LV mass index", "mass_g_per_m2", "g/m2", "F", 42, 7, UK_BIOBANK),
    Normal("LV mass index", "mass_g_per_m2", "g/m2", "M", 53, 9, UK_BIOBANK),
)


def compare(lv: Mapping[str, float | None], sex: str | None) -> list[dict[str, Any]]:
    """The LV's measures beside what is normal for `sex` ("F" or "M"; None: for both, a row each).

    Each row has "name", "value", "unit", "low", "high", "sex", "source" and the z-score "z"; a quantity that was
    not measured has no row.
    """
    rows = []
    for normal in NORMAL_VALUES:
        value = lv.get(normal.key)
        if value is None or sex not in (None, normal.sex):
            continue
        low, high = (round(normal.mean + side * RANGE_SD * normal.sd, 1) for side in (-1, 1))
        z = round((value - normal.mean) / normal.sd, 2)
        keys = {"name": normal.name, "value": value, "unit": normal.unit, "low": low, "high": high}
        rows.append({**keys, "sex": normal.sex, "source": normal.source, "z": z})
    return rows
