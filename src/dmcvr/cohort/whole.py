"""Files that appear whole or not at all, in a folder that others are reading."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmcvr.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place at the end; on an error nothing is left.

    Raises `InputError` where it cannot be written.
    """
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        partial = Path(name)
        yield partial
        partial.chmod(0o644)
        partial.replace(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{path} cannot be written ({why}): make room, or check the folder's permissions.") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text; raises `InputError`."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
