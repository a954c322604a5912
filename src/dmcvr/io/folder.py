"""Output folders that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmcvr.errors import InputError, OutputError


def check_output_folder(folder: Path, *, marker: str = "run.json", room_mib: float = 0) -> None:
    """Raise `InputError` if `folder` cannot become the output: before any work is done.

    An empty folder and one of an earlier run (it holds `marker`) may be replaced; anything else may not. Where nothing
    can be written, or has not this much room, that is an `OutputError`.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise InputError(f"The folder {folder} is not empty and not of an earlier run: choose another with -o.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: choose a folder with -o.")
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{folder.name}-"):
            free_mib = shutil.disk_usage(parent).free / 2**20
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be written ({error.strerror}): choose another with -o."
        ) from error
    if free_mib < room_mib:
        raise OutputError(
            f"The results need about {room_mib:.0f} MiB, and {parent} has {free_mib:.0f} left: make room, or choose "
            "another folder with -o."
        )


def check_output_file(path: Path) -> None:
    """Raise `OutputError` if the file `path` cannot be written: before any work is done."""
    parent = path.absolute().parent
    if not parent.is_dir():
        raise OutputError(f"There is no folder {parent} to write {path.name} into: make it, or choose another with -o.")
    if path.is_dir() or not os.access(path if path.exists() else parent, os.W_OK):
        raise OutputError(f"The file {path} cannot be written: choose another.")


def check_kept(path: Path, folder: Path) -> None:
    """Raise `InputError` where a file that is read lies in the folder that the output would replace."""
    if folder.resolve() in (path.resolve(), *path.resolve().parents):
        raise InputError(f"{path} lies in {folder}, which would be replaced: choose another folder with -o.")


@contextmanager
def whole_folder(folder: Path, *, marker: str = "run.json") -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place at the end; on an error or interrupt nothing is left.

    Then, too, an earlier run's folder stands there as it was.
    """
    check_output_folder(folder, marker=marker)
    partial = folder.absolute().parent / f".{folder.name}-{secrets.token_hex(4)}"
    old = partial.with_name(partial.name + ".old")
    try:
        partial.mkdir()  # with the rights that the user's umask gives; those of `mkdtemp` are private
        yield partial
        if folder.exists():
            folder.replace(old)
        partial.replace(folder)
    except OSError as error:
        raise OutputError(
            f"The results cannot be written to {folder} ({error.strerror}), nothing of them is left: make room, or "
            "choose another folder with -o."
        ) from error
    finally:
        if old.exists() and not folder.exists():
            old.replace(folder)
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
