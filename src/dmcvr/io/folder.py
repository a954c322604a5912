"""Output folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmcvr.errors import InputError


def check_output_folder(folder: Path, *, marker: str = "run.json", room_mib: float = 0) -> None:
    """Raise `InputError` if `folder` cannot become the output, or has not this much room: before any work is done.

    An empty folder and one of an earlier run (it holds `marker`) may be replaced; anything else may not.
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
        raise InputError(
            f"The folder {folder} cannot be written ({error.strerror}): choose another with -o."
        ) from error
    if free_mib < room_mib:
        raise InputError(
            f"The results need about {room_mib:.0f} MiB, and {parent} has {free_mib:.0f} left: make room, or choose "
            "another folder with -o."
        )


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
    partial = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}-"))
    old = partial.with_name(partial.name + ".old")
    try:
        yield partial
        partial.chmod(0o755)
        if folder.exists():
            folder.replace(old)
        partial.replace(folder)
    except OSError as error:
        raise InputError(f"The results cannot be written to {folder} ({error.strerror}).") from error
    finally:
        if old.exists() and not folder.exists():
            old.replace(folder)
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
