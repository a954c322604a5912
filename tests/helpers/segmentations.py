"""Segmentations as other programs save them: the header is written by hand, none of our own code is asked."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Ours, as a program that starts from our file finds them.
NAMES = {1: "LV cavity", 2: "LV myocardium", 3: "RV cavity"}

SPACES = {"left-posterior-superior": (-1, -1, 1), "right-anterior-superior": (1, 1, 1)}


def save_segments(
    path: Path,
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    order: tuple[int, ...] = (1, 2, 3),
    values: dict[int, int] | None = None,
    names: dict[int, str] | None = None,
    tags: dict[int, str] | None = None,
    crop: bool = False,
    layers: bool = False,
    legacy: bool = False,
    space: str = "left-posterior-superior",
    encoding: str = "gzip",
    extra: dict[int, tuple[str, NDArray[np.bool_]]] | None = None,
    flipped: bool = False,
) -> Path:
    """Labels (I, J, K) with `affine` to RAS+ as Slicer would save them after an edit.

    `crop` to what is labelled; `layers`: each segment in its own; `legacy`: such a file of before Slicer 4.11, without
    layers' and values' keys; `extra`: more segments, by value; `flipped`: voxels in another order at the same place.
    """
    names, values, tags = names or NAMES, values or {n: n for n in order}, tags or {}
    masks = [(names[n], values[n], labels == n, tags.get(n, "Segmentation.Status:inprogress|")) for n in order]
    masks += [(name, value, mask, "") for value, (name, mask) in (extra or {}).items()]
    affine = affine.copy()
    if crop:
        low, high = (np.argwhere(labels > 0).min(axis=0), np.argwhere(labels > 0).max(axis=0) + 1)
        masks = [(a, b, mask[tuple(map(slice, low, high))], c) for a, b, mask, c in masks]
        affine[:3, 3] = (affine @ [*low, 1])[:3]
    if flipped:
        masks = [(a, b, mask[::-1].transpose(1, 0, 2), c) for a, b, mask, c in masks]
        count = masks[0][2].shape[1]
        affine[:3, 3] += (count - 1) * affine[:3, 0]
        affine[:3, :2] = np.stack([affine[:3, 1], -affine[:3, 0]], axis=1)
    data = np.stack([mask * (1 if legacy else value) for _, value, mask, _ in masks]).astype(np.uint8)
    data = data if layers or legacy else data.max(axis=0, keepdims=True)
    lps = np.diag([*SPACES[space], 1.0]) @ affine
    vector = [f"({','.join(repr(float(v)) for v in lps[:3, axis])})" for axis in range(4)]
    listed = len(data) > 1
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "type: unsigned char",
        f"dimension: {3 + listed}",
        f"space: {space}",
        f"sizes: {' '.join(map(str, (*([len(data)] if listed else []), *data.shape[1:])))}",
        f"space directions: {'none ' if listed else ''}{' '.join(vector[:3])}",
        f"kinds: {'list ' if listed else ''}domain domain domain",
        f"encoding: {encoding}",
        f"space origin: {vector[3]}",
    ]
    keys: dict[str, Any] = {"Segmentation_ReferenceImageExtentOffset": "3 2 1"}
    for n, (name, value, _, tag) in enumerate(masks):
        keys |= {f"Segment{n}_ID": f"Segment_{n}", f"Segment{n}_Name": name, f"Segment{n}_Tags": tag}
        if not legacy:
            keys |= {f"Segment{n}_LabelValue": value, f"Segment{n}_Layer": n if layers else 0}
    lines += [f"{key}:={value}" for key, value in keys.items()]
    stored = np.ascontiguousarray(data.transpose(3, 2, 1, 0)).tobytes()
    packed = gzip.compress(stored) if encoding == "gzip" else stored
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + packed)
    return path
