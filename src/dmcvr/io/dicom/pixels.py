"""Frames' pixels as grey values, and in which order those of a heartbeat follow one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dmcvr.errors import InputError
from dmcvr.io.dicom.headers import DicomFrame, is_bare, lenient

#: Another order is believed where pictures follow one another in it by so much smaller steps.
SMOOTHER = 0.9

#: Pictures are compared at about so many pixels a side.
COMPARED_PIXELS = 64


def smoothest(
    pictures: list[NDArray[np.float32]], others: tuple[tuple[str, tuple[int, ...]], ...]
) -> tuple[str, tuple[int, ...]]:
    """In which order (A, B) pictures of a heartbeat follow one another: "" for the given one, or another's name.

    The heart beats in small steps: round the whole beat, from picture to picture, the right order has the least sum of
    differences.
    """
    given = tuple(range(len(pictures)))
    if not others or len(pictures) < 4:
        return "", given
    coarse = max(1, min(pictures[0].shape) // COMPARED_PIXELS)
    small = np.stack([picture[::coarse, ::coarse] for picture in pictures]).reshape(len(pictures), -1)
    steps = np.abs(small[:, None] - small[None]).mean(axis=2)
    ways = {"": given, **dict(others)}
    lengths = {name: float(steps[list(order), list(np.roll(order, -1))].sum()) for name, order in ways.items()}
    best = min(lengths, key=lambda name: lengths[name])
    return (best, ways[best]) if lengths[best] < SMOOTHER * lengths[""] else ("", given)


def read_pixels(frames: list[DicomFrame]) -> dict[tuple[Path, int], NDArray[np.float32]]:
    """(columns, rows) grey values by file and frame; each file is opened once."""
    files: dict[Path, dict[int, DicomFrame]] = defaultdict(dict)
    for frame in frames:
        files[frame.path][frame.index] = frame
    found: dict[tuple[Path, int], NDArray[np.float32]] = {}
    for path, wanted in files.items():
        header = Dataset()
        try:
            with lenient():
                for index, picture in zip(sorted(wanted), _raw(path, header, sorted(wanted)), strict=True):
                    frame = wanted[index]
                    if picture.shape != frame.shape[::-1]:
                        raise ValueError("another size than the header's")
                    grey = picture.T.astype(np.float32) * np.float32(frame.slope) + np.float32(frame.offset)
                    found[path, index] = grey
        except Exception as error:  # pydicom and its decoders raise many kinds for a damaged file
            raise InputError(_undecodable(header, error)) from error
    return found


def _raw(path: Path, header: Dataset, indices: list[int]) -> Iterator[NDArray[Any]]:
    """The stored values of some of a file's frames; `header` is filled on the way."""
    if is_bare(path):  # no meta header: pydicom has guessed how the data set is encoded, and its pixels are plain
        dataset = dcmread(path, force=True)
        implicit, little = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        return iter_pixels(dataset, indices=indices, raw=True)
    return iter_pixels(path, ds_out=header, indices=indices, raw=True)


def _undecodable(header: Dataset, error: Exception) -> str:
    """Why pixels cannot be read: no decoder for their compression, or damage."""
    syntax = UID(str(getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", "") or ""))
    if syntax.is_valid and not syntax.is_private and syntax.is_transfer_syntax and syntax.is_compressed:
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError:
            available = False
        if not available:
            return (
                f"The pictures are compressed ({syntax.name}) and no decoder for it is installed: "
                'pip install "dmcvr[dicom]", or decompress them first (gdcmconv --raw, dcmdjpeg).'
            )
    return (
        f"The pixels of a DICOM file of the exam cannot be read ({type(error).__name__}): the file is "
        "damaged or cut off; export it again."
    )
