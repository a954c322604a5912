"""A reconstruction as its files say it: in memory, or from the folder that it was written to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.io.nifti import read_nifti
from dmcvr.volume import Volume, slice_affines

if TYPE_CHECKING:
    from dmcvr.reconstruction import Reconstruction


@dataclass(frozen=True)
class Slices:
    """The acquired slices: images (P, N, I, J), affines (N, 4, 4) of pixel (i, j, 0, 1) to RAS+ mm."""

    images: NDArray[np.float32]
    affines: NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """A result as its files say it.

    ========  ================  ====================================================================
    image     (P, I, J, K)      grey values
    labels    (P, I, J, K)      0 background, 1 LV cavity, 2 LV myocardium, 3 RV cavity
    acquired                    the slices; None where they could not be written (unequal spacing)
    measures  dict              as measures.json
    run       dict              as run.json
    ========  ================  ====================================================================
    """

    image: Volume
    labels: Volume
    acquired: Slices | None
    measures: dict[str, Any]
    run: dict[str, Any]

    @property
    def phases(self) -> list[str]:
        return [str(phase) for phase in self.run["phases"]]

    @classmethod
    def of(cls, heart: Reconstruction) -> Result:
        """A result in memory."""
        acquired = Slices(heart.acquired.images, heart.acquired.affines)
        return cls(heart.image, heart.labels, acquired, heart.measures, heart.run)

    @classmethod
    def read(cls, folder: Path) -> Result:
        """A folder of `dmcvr reconstruct`; raises `InputError` where something is missing or does not fit."""
        if not (folder / "run.json").is_file() or not (folder / "image.nii.gz").is_file():
            raise InputError(f"{folder} is no result of dmcvr reconstruct: it has no run.json and image.")
        image, labels = (_volume(folder / f"{name}.nii.gz") for name in ("image", "labels"))
        measures, run = (_record(folder / f"{name}.json") for name in ("measures", "run"))
        phases = run.get("phases")
        if not isinstance(phases, list) or image.data.shape != labels.data.shape or len(image.data) != len(phases):
            raise InputError(f"The files in {folder} do not belong together: reconstruct the exam again.")
        acquired = None
        if (folder / "acquired.nii.gz").is_file():
            stack = _volume(folder / "acquired.nii.gz")
            images = np.moveaxis(stack.data, 3, 1).astype(np.float32)
            acquired = Slices(images, slice_affines(stack.affine, images.shape[1]))
        return cls(image, Volume(labels.data.astype(np.uint8), labels.affine), acquired, measures, run)


def _volume(path: Path) -> Volume:
    image = read_nifti(path)
    return Volume(np.moveaxis(image.data, 3, 0), image.affine)


def _record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): reconstruct the exam again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} does not hold a record: reconstruct the exam again.")
    return found
