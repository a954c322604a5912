"""What the cohort's page shows of an exam beside its numbers: thumbnail, flags, sentences, some exams to a file.

A browser that opens a page from disk lets it fetch no file, but lets it load scripts: each file is one, which hands its
value to the page. Files are named by what they hold, so that one that did not change is not written again; and where
one ends and the next begins is decided by an exam's name alone, so that a new exam among the others changes the file
that it falls into and no other.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from dmcvr.cohort.whole import write_whole
from dmcvr.errors import InputError

if TYPE_CHECKING:
    from dmcvr.cohort.ledger import Row

#: Exams in a file, in the mean.
A_FILE = 16


class DataFolder:
    """A folder of the page's scripts, each named by its content."""

    def __init__(self, folder: Path) -> None:
        """Make the folder; raises `InputError` where that cannot be."""
        self.folder = folder
        self.written: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {folder} cannot be written ({error.strerror}).") from error

    def write(self, value: Any, name: str = "") -> str:
        """Write a value where it is not there yet; returns the file's name without its ending, as the page loads it."""
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        stem = name + blake2b(text.encode(), digest_size=8).hexdigest()
        path = self.folder / f"{stem}.js"
        if not path.exists():
            write_whole(path, f'dmcvr("{self.folder.name}/{stem}",{text});\n')
        self.written.add(path.name)
        return stem

    def sweep(self) -> None:
        """Delete what was not written this time: the page that refers to it is no more."""
        for path in self.folder.glob("*.js"):
            if path.name not in self.written:
                path.unlink(missing_ok=True)


class RowFiles(DataFolder):
    """Takes exams one by one, in the order of the page's columns."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        #: Of each file the index of its first exam, and its name.
        self.starts: list[int] = []
        self.names: list[str] = []
        self._count = 0
        self._pending: list[dict[str, Any]] = []

    def add(self, row: Row) -> None:
        """One more exam; raises `InputError` where a file cannot be written."""
        if crc32(row.exam.encode()) % A_FILE == 0:
            self.close()
        if not self._pending:
            self.starts.append(self._count)
        summary = row.summary or {}
        flags = [[flag["level"], flag["name"], flag["text"]] for flag in summary.get("flags", ())]
        about = {"thumbnail": summary.get("thumbnail"), "flags": flags, "sentence": row.sentence}
        self._pending.append({key: value for key, value in about.items() if value})
        self._count += 1

    def close(self) -> None:
        """Write the file that was begun."""
        if self._pending:
            self.names.append(self.write(self._pending))
            self._pending = []
