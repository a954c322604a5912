"""A zip of an exam: read from a private folder for temporary files, bounded, and gone when the exam is."""

from __future__ import annotations

import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dmcvr.errors import NO_ROOM, InputError, OutputError
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.io.exam import Exam, LongAxis

#: What one archive may hold: members, bytes of all of them unpacked, and how often more than packed.
MAX_MEMBERS = 50_000
MAX_UNPACKED = 4 * 2**30
MAX_RATIO = 200

#: Small archives may be packed as well as they like: labels of zeros.
FREE_BYTES = 2**26

#: How deep an exam may lie in folders that hold nothing else.
MAX_DEPTH = 12

_CHUNK = 2**20

T = TypeVar("T")


class _Folder:
    """A temporary folder that goes with the last who knows of it, and with the program."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="dmcvr-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def find_zip(path: Path, find: Callable[[Path], Exam]) -> Exam:
    """The exam in an archive, found by `find` in its unpacked folder; raises `InputError`.

    Nothing is written beside the archive. Files that macOS adds, links, and paths that lead out of it are passed over.
    """
    folder = _Folder()
    _unpack(path, folder.path)
    inside = _inside(folder.path)
    if inside is None:
        raise InputError(f"{path.name} holds no file that can be read: zip the folder of one exam.")
    exam = _named(path, folder, lambda: find(inside))
    source = replace(exam.source, notes=("Read from a zip archive.", *exam.source.notes))
    labels = exam.load_labels

    def load() -> SliceStack:
        return _named(path, folder, exam.load)

    def load_labels() -> SliceStack:
        return _named(path, folder, labels) if labels is not None else load()

    planes = tuple(_plane(path, folder, plane) for plane in exam.long_axis)
    return replace(
        exam, source=source, load=load, load_labels=None if labels is None else load_labels, long_axis=planes
    )


def _plane(path: Path, folder: _Folder, plane: LongAxis) -> LongAxis:
    def load(phases: Sequence[str]) -> tuple[View, ...]:
        return _named(path, folder, lambda: plane.load(phases))

    return replace(plane, load=load)


def _named(path: Path, folder: _Folder, work: Callable[[], T]) -> T:
    """Do the work, its sentences naming the archive and not the temporary folder."""
    try:
        return work()
    except InputError as error:
        raise InputError(str(error).replace(str(folder.path), path.name)) from error


def _unpack(path: Path, folder: Path) -> None:
    damaged = f"{path.name} cannot be read as zip: it is damaged or cut off; copy it again."
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_wanted(member)]
            _check(members, path)
            room = MAX_UNPACKED
            for member in members:
                target = folder.joinpath(*_parts(member))
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    raise InputError(f"{path.name} holds two files of one name: zip the folder of the exam again.")
                with archive.open(member) as packed, target.open("wb") as file:
                    while chunk := packed.read(_CHUNK):
                        room -= len(chunk)
                        if room < 0:
                            raise InputError(_too_much(path))
                        file.write(chunk)
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(damaged) from error
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError) and error.filename == str(path):
            raise
        kind = OutputError if error.errno in NO_ROOM else InputError
        raise kind(
            f"{path.name} cannot be unpacked ({error.strerror or 'damaged'}): make room, or unpack it yourself."
        ) from error


def _check(members: list[zipfile.ZipInfo], path: Path) -> None:
    """Raise `InputError` for an archive that claims too much, before anything of it is unpacked."""
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path.name} holds {len(members)} files, more than any exam: zip the folder of one exam.")
    if any(member.flag_bits & 1 for member in members):
        raise InputError(f"{path.name} is locked by a password: unpack it, and give the folder of the exam.")
    whole, packed = (sum(getattr(member, size) for member in members) for size in ("file_size", "compress_size"))
    if whole > MAX_UNPACKED or (whole > FREE_BYTES and whole > MAX_RATIO * packed):
        raise InputError(_too_much(path))


def _too_much(path: Path) -> str:
    return f"{path.name} unpacks to more than any exam holds: unpack it yourself, and give the folder of one exam."


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    """A regular file with a name within the archive, and none that macOS adds."""
    mode = member.external_attr >> 16
    parts = _parts(member)
    return (
        not member.is_dir()
        and (stat.S_IFMT(mode) in (0, stat.S_IFREG))
        and bool(parts)
        and ".." not in parts
        and not any(part.startswith(".") or part == "__MACOSX" or len(part.encode()) > 200 for part in parts)
        and len(parts) <= MAX_DEPTH
    )


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    """The folders and the name; those of Windows' archives too. A leading slash is dropped."""
    name = member.filename.replace("\\", "/")
    return tuple(part for part in PurePosixPath(name).parts if part != "/" and ":" not in part and "\0" not in part)


def _inside(folder: Path) -> Path | None:
    """The one file, or the first folder with more than one thing in it; None of an empty archive."""
    while folder.is_dir():
        entries = sorted(folder.iterdir())
        if len(entries) != 1:
            return folder if entries else None
        folder = entries[0]
    return folder
