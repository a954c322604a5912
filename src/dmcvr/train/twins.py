"""Twins: patients of a dataset that are one scan, found by what their slices show. A split may not part them.

A slice's fingerprint is its field of view as `SIDE` x `SIDE` means, less their mean, at unit length. Two slices are
alike where the product of their fingerprints, in the best of the eight ways to lay a square, is at least `ALIKE`; two
patients are twins where at least `MOST` of the slices of one of them are alike one of the other's.

Found whatever it is called: a scan saved anew (file, header, data type, compression), its phases or slices in another
order, some of them missing, axes flipped or exchanged, grey values scaled linearly or rounded to bytes, other pixels
over the same field of view, and mostly another phase of the same cine. Labels do not count. Not found: a scan cut or
padded to another field of view, turned by anything but right angles, with inverted grey values, and the same person
scanned again.

In ACDC, slices of different patients reach 0.86, those of its one pair of twins 1.00.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from dmcvr.train.data import TrainingSet
from dmcvr.train.patients import LabelledPatient, labelled_patients

SIDE = 16
ALIKE = 0.98
MOST = 0.5

#: Names of patients that are one scan: groups of two or more.
Twins = tuple[tuple[str, ...], ...]

#: Slices (..., H, W) of a patient, or what loads them.
Slices = NDArray[Any] | Callable[[], Sequence[NDArray[Any]]]


def twins_in(data: Path, names: tuple[str, ...] | None = None) -> Twins:
    """Twins among the patients of a folder or a packed file, or among these of them."""
    if data.is_file():
        packed = TrainingSet.load(data)
        return find_twins(
            {
                name: packed.images[packed.patients == name]
                for name in np.unique(packed.patients).tolist()
                if names is None or name in names
            }
        )
    chosen = [patient for patient in labelled_patients(data) if names is None or patient.name in names]
    return find_twins({patient.name: partial(_slices, patient) for patient in chosen})


def find_twins(patients: Mapping[str, Slices]) -> Twins:
    """Groups of names whose slices are alike; one patient after the other is loaded."""
    if not patients:
        return ()
    prints = [
        np.concatenate([fingerprints(part) for part in (slices() if callable(slices) else (slices,))])
        for slices in patients.values()
    ]
    linked = np.zeros((len(prints), len(prints)), dtype=bool)
    for a, own in enumerate(prints):
        turned = _eight_ways(own)
        for b in range(a):
            linked[a, b] = _are_twins(turned, prints[b])
    count, group = connected_components(linked, directed=False)
    names = np.array(list(patients))
    groups = (tuple(sorted(names[group == g].tolist())) for g in range(count))
    return tuple(sorted(members for members in groups if len(members) > 1))


def fingerprints(slices: NDArray[Any]) -> NDArray[np.float32]:
    """(..., H, W) slices to (M, SIDE, SIDE); slices that show nothing have none."""
    flat = slices.reshape(-1, *slices.shape[-2:]).astype(np.float32)
    means = _shares(flat.shape[1]) @ flat @ _shares(flat.shape[2]).T
    seen = means - means.mean(axis=(1, 2), keepdims=True)
    length = np.linalg.norm(seen, axis=(1, 2))
    shown = length > 1e-4 * np.abs(means).max(axis=(1, 2), initial=0)
    return np.asarray(seen[shown] / length[shown, None, None], dtype=np.float32)


def _slices(patient: LabelledPatient) -> list[NDArray[np.float32]]:
    return [stack.images for stack in patient.load()]


def describe_twins(twins: Twins) -> str:
    """A line for people."""
    return "One scan under several names: " + "; ".join(" = ".join(group) for group in twins) + "."


def _shares(pixels: int) -> NDArray[np.float32]:
    """(SIDE, pixels) the share of each pixel in each mean along an axis."""
    edges = np.linspace(0, pixels, SIDE + 1)
    first = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], first + 1) - np.maximum(edges[:-1, None], first)
    return np.asarray(np.clip(overlap, 0, None) * SIDE / pixels, dtype=np.float32)


def _eight_ways(prints: NDArray[np.float32]) -> NDArray[np.float32]:
    """(M, SIDE, SIDE) to (8, M, SIDE^2): flipped and transposed."""
    ways = [way[:, ::i, ::j] for way in (prints, prints.transpose(0, 2, 1)) for i in (1, -1) for j in (1, -1)]
    return np.stack(ways).reshape(8, -1, SIDE * SIDE)


def _are_twins(turned: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    if turned.shape[1] == 0 or len(others) == 0:
        return False
    alike = (turned @ others.reshape(-1, SIDE * SIDE).T).max(axis=0) >= ALIKE
    return bool(max(alike.any(axis=0).mean(), alike.any(axis=1).mean()) >= MOST)
