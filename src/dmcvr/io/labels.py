"""Named label conventions: every dataset numbers the three structures in its own way."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped, UInt8

from dmcvr.errors import InputError

#: For each convention: the file's value to ours (1 LV cavity, 2 LV myocardium, 3 RV cavity).
LABEL_MAPS: dict[str, dict[int, int]] = {
    "dmcvr": {0: 0, 1: 1, 2: 2, 3: 3},
    "acdc": {0: 0, 1: 3, 2: 2, 3: 1},
    "mnms": {0: 0, 1: 1, 2: 2, 3: 3},
    "ukbb": {0: 0, 1: 1, 2: 2, 3: 3, 4: 3},
}


def to_internal(labels: Shaped[np.ndarray, " *D"], convention: str | dict[int, int]) -> UInt8[np.ndarray, " *D"]:
    """Labels of a named convention (or a map of the file's values to ours) as ours, same shape, uint8.

    Raises `InputError` for an unknown convention and for a value that the convention does not have.
    """
    if isinstance(convention, str):
        if convention not in LABEL_MAPS:
            raise InputError(f"Unknown label map {convention!r}: choose one of {', '.join(LABEL_MAPS)}.")
        mapping, name = LABEL_MAPS[convention], repr(convention)
    else:
        mapping, name = convention, "dataset's"
    values = np.unique(labels)
    unknown = [f"{value:g}" for value in values if float(value) not in mapping]
    if unknown:
        raise InputError(
            f"The labels hold the value {', '.join(unknown[:5])}, which the {name} map does not have "
            f"(it has {', '.join(str(v) for v in mapping)}): choose the right map with --label-map."
        )
    table = np.zeros(max(mapping) + 1, dtype=np.uint8)
    for theirs, ours in mapping.items():
        table[theirs] = ours
    return np.asarray(table[labels.astype(np.intp)])
