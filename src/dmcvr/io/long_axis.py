"""Long-axis views in image files beside a stack: which frame of which file shows which phase, and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from dmcvr.errors import InputError
from dmcvr.exam.view import UNKNOWN_VIEW, View, nearest_in_beat
from dmcvr.io.exam import LongAxis
from dmcvr.io.image import GridImage, read_header, read_image

#: What files' names call the views.
_NAMES = {"2c": "2-chamber", "3c": "3-chamber", "4c": "4-chamber", "rvot": "RVOT"}

#: Pictures of one plane lie within this of one another, at their corners.
SAME_PLACE_MM = 0.5

#: Where a phase's picture is: a file, and the frame in it from 0.
Frames = dict[str, tuple[Path, int]]


def view_of_name(word: str) -> str:
    """ "2-chamber" for "2c" and "2ch", "RVOT" for "rvot"; "" for what is no view's name."""
    return _NAMES.get(word.lower().removesuffix("h"), "")


def long_axis_files(name: str, frames: Callable[[Sequence[str]], Frames]) -> LongAxis:
    """A plane in files; `frames` tells where the pictures are of those of the given phases that it has."""

    def load(phases: Sequence[str]) -> tuple[View, ...]:
        found = frames(phases)
        images = {path: read_image(path) for path in dict.fromkeys(path for path, _ in found.values())}
        for path, image in images.items():
            if image.data.shape[2] != 1:
                raise InputError(f"{path.name} has {image.data.shape[2]} slices; expected one long-axis slice.")
        if not same_plane([image.affine for image in images.values()], [i.data.shape[:2] for i in images.values()]):
            raise InputError("its pictures lie at different places.")
        return tuple(_view(name, phase, images[path], frame) for phase, (path, frame) in found.items())

    return LongAxis(name or UNKNOWN_VIEW, "", load)


def long_axis_cine(name: str, path: Path, fractions: Mapping[str, float]) -> LongAxis:
    """A plane in one file, for phases at these fractions of the heartbeat."""
    return long_axis_files(
        name, lambda phases: in_beat(path, {phase: fractions[phase] for phase in phases if phase in fractions})
    )


def in_beat(path: Path, fractions: Mapping[str, float]) -> Frames:
    """The nearest frame to each phase, given its fraction of the heartbeat, which the file's frames span from the R
    wave on."""
    count = read_header(path).phases
    nearest = nearest_in_beat(np.array(list(fractions.values()), dtype=np.float64), np.arange(count) / count)
    return {phase: (path, int(k)) for phase, k in zip(fractions, nearest, strict=True) if k >= 0}


def same_plane(affines: Sequence[Float64[np.ndarray, "4 4"]], shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether pictures of these affines and shapes have the same pixels at the same place."""
    if len(set(map(tuple, shapes))) > 1:
        return False
    corners = [affine @ _corners(shape[0], shape[1]) for affine, shape in zip(affines, shapes, strict=True)]
    return all(bool(np.abs(corner - corners[0]).max() <= SAME_PLACE_MM) for corner in corners)


def _corners(rows: int, columns: int) -> Float64[np.ndarray, "4 3"]:
    return np.array([[0, 0, 0, 1], [rows - 1, 0, 0, 1], [0, columns - 1, 0, 1]], dtype=np.float64).T


def _view(name: str, phase: str, image: GridImage, frame: int) -> View:
    size = float(np.linalg.norm(image.affine[:3, 2]))
    thickness_mm = None if abs(size - 1) < 1e-6 else size  # 1 is what writers put where they know nothing
    return View(name, phase, _picture(image.data[:, :, 0, frame]), image.affine, thickness_mm=thickness_mm)


def _picture(values: Shaped[np.ndarray, "I J"]) -> Float32[np.ndarray, "I J"]:
    """Grey values, padding that is not a number as dark as the darkest; raises `InputError` where nothing is seen."""
    with np.errstate(over="ignore", invalid="ignore"):
        grey = np.asarray(values, dtype=np.float32)
    seen = grey[np.isfinite(grey)]
    if not seen.size or seen.min() == seen.max():
        raise InputError("a picture of it is empty.")
    return np.where(np.isfinite(grey), grey, seen.min())
