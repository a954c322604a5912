"""What a worker does: one exam, from its path to its whole folder and its row. The networks are loaded once."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from dmcvr.cohort.find import Found, part_of
from dmcvr.cohort.ledger import Kind, Row
from dmcvr.cohort.settings import Settings
from dmcvr.errors import NO_ROOM, InputError, NoHeartError, OutputError
from dmcvr.io.folder import whole_folder
from dmcvr.options import Options

if TYPE_CHECKING:
    from dmcvr.fill.engine import Engine

#: In every exam's folder: its row's summary. It is written last, before the folder gets its name.
SUMMARY = "summary.json"

#: Where the folders are, in OUT.
EXAMS = "exams"

#: Letters that a folder in the making has after its exam's name, as `tempfile` makes them.
_RANDOM = 8

#: Options of glibc's mallopt, as its malloc.h numbers them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

#: The errors of a disk on which no exam can be written.
_FULL = (*NO_ROOM, errno.EACCES, errno.EPERM)


class NoRoomError(OutputError):
    """No result can be written any more: no exam's fault, and no reason to try the next one."""


class WorkerError(InputError):
    """A worker that cannot do any exam."""


@dataclass(frozen=True, repr=False)
class Task:
    """An exam to do, the cohort's folder, how, and the client's version; words that no sentence may hold."""

    exam: Found
    out: Path
    settings: Settings
    version: str
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Task({self.exam.name})"  # what logs may show

    @property
    def folder(self) -> Path:
        """Where its results go."""
        return self.out / EXAMS / self.exam.name


def do_exam(task: Task) -> Row:
    """Reconstruct an exam; its row says what became of it, and its folder is whole then, or absent.

    Raises `NoRoomError` where nothing can be written, and `WorkerError` where this worker cannot do any exam.
    """
    if version("dmcvr") != task.version:
        raise WorkerError(
            f"A worker has dmcvr {version('dmcvr')}, the client {task.version}: install the same everywhere."
        )
    found = row_of(task.exam, task.out)
    if found is not None:
        return found
    begun = time.perf_counter()
    try:
        with whole_folder(task.folder, marker=SUMMARY) as partial:
            summary = _make(task, partial)
            (partial / SUMMARY).write_text(json.dumps(summary) + "\n", encoding="utf-8")
            size = sync(partial)
    except _Failed as failed:
        return _failure(task, time.perf_counter() - begun, failed.error)
    except InputError as error:
        found = row_of(task.exam, task.out)  # another, whose client is gone, was first
        if found is not None:
            return found
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL:
            raise NoRoomError(str(error)) from None
        return _failure(task, time.perf_counter() - begun, error)
    return _done(task.exam, time.perf_counter() - begun, size, summary)


def row_of(exam: Found, out: Path) -> Row | None:
    """The row of an exam whose folder is there, from its summary; None where it is not."""
    folder = out / EXAMS / exam.name
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return _done(exam, float(summary["seconds"]), sum(size for _, size in _files(folder)), summary)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def attempts(exam: Found, out: Path) -> int:
    """How often an exam was begun and never ended: the folders in the making that dead workers left."""
    return len(list((out / EXAMS).glob(f".{_escaped(exam.name)}-{'?' * _RANDOM}")))


def sweep(out: Path, part: tuple[int, int]) -> None:
    """Remove what dead workers left of the exams of a part (k, n); one that lives nevertheless loses its work, whole.

    Each is renamed first, so that it cannot get its final name while it goes.
    """
    if not (out / EXAMS).is_dir():
        return
    for entry in list(os.scandir(out / EXAMS)):
        name = entry.name.removesuffix(".old")[1 : -_RANDOM - 1]
        if entry.name.startswith(".") and (entry.name.startswith(".gone-") or part_of(name, part[1]) == part[0]):
            gone = Path(entry.path).with_name(f".gone-{os.getpid()}-{entry.name.removeprefix('.')}")
            try:
                Path(entry.path).rename(gone)
            except FileNotFoundError:
                continue
            shutil.rmtree(gone, ignore_errors=True)


def sync(folder: Path) -> int:
    """Have the disk write a folder's files before the folder gets its name; their bytes. Raises `OSError`."""
    total = 0
    for path, size in _files(folder):
        total += size
        _sync(path)
    _sync(folder)
    return total


class _Failed(Exception):
    """What an exam's own work raised, on its way out of the folder in the making."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _make(task: Task, partial: Path) -> dict[str, Any]:
    """Reconstruct into a folder in the making; the summary. Raises `_Failed`, and `OSError` where it cannot write."""
    settings = task.settings
    try:
        from dmcvr.cohort.summary import summarise
        from dmcvr.reconstruction import reconstruct

        options, engine = _without_engine(settings.of(task.exam)), _engine_of(settings)
        options.check()
        heart = reconstruct(task.exam.path, options, engine=engine)
    except Exception as error:
        raise _Failed(error) from error
    formats = {"label_formats": settings.label_formats, "mesh_formats": settings.mesh_formats}
    try:
        heart.write(partial, keep=settings.keep, case=task.exam.name, **formats)
        return summarise(heart, partial)
    except (OSError, InputError):  # the disk's
        raise
    except Exception as error:
        raise _Failed(error) from error


_loading = Lock()


def _engine_of(settings: Settings) -> Engine:
    options = settings.options
    with _loading:
        return _engine(
            options.weights_name,
            options.segmenter,
            options.generator_name,
            options.device,
            options.steps,
            settings.image,
            settings.threads,
        )


@lru_cache(maxsize=1)
def _engine(
    weights: str,
    segmenter: str | None,
    generator: str | None,
    device: str,
    steps: int | None,
    image: str,
    threads: int,
) -> Engine:
    """The networks, and so many threads for them and for image registration."""
    _keep_freed_memory()
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    import torch

    from dmcvr.fill.engine import Engine

    torch.set_num_threads(threads)
    return Engine.load(weights, segmenter=segmenter, generator=generator, device=device, steps=steps, image=image)


def _keep_freed_memory() -> None:
    """Have this process keep memory that it frees and will soon need again, as glibc does unless it is told otherwise.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_ at 64 KiB: each array is then fetched from the system and given
    back to it, page by page, for more than a third of an exam's time. glibc by itself adapts to these thresholds.
    """
    if "glibc" in platform.libc_ver() and "MALLOC_TRIM_THRESHOLD_" in os.environ:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)


def _without_engine(options: Options) -> Options:
    """The options without those that a loaded engine brings."""
    return replace(options, weights=None, segmenter=None, device="auto", steps=None, image="sharp")


def _done(exam: Found, seconds: float, size: int, summary: dict[str, Any]) -> Row:
    return Row(exam.name, exam.source, "done", 1, round(seconds, 3), size, summary, "", "")


def _failure(task: Task, seconds: float, error: Exception) -> Row:
    kind: Kind = (
        "no heart" if isinstance(error, NoHeartError) else "input" if isinstance(error, InputError) else "fault"
    )
    said = str(error)
    if kind == "fault":
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = "" if last is None else f", {Path(last.tb_frame.f_code.co_filename).name} line {last.tb_lineno}"
        said = f"A fault of dmcvr's own ({type(error).__name__}: {error}{where}): please report it."
    if task.secrets:
        said = without_names(said, task)
    return Row(task.exam.name, task.exam.source, "failed", 1, round(seconds, 3), 0, None, said, kind)


def without_names(said: str, task: Task) -> str:
    """A sentence without the names of the exam's folders and files."""
    inside = task.exam.path.rglob("*") if task.exam.path.is_dir() else iter(())
    words = {*task.secrets, *(path.name for path in islice(inside, 10_000))}
    for word in sorted(words, key=len, reverse=True):
        instead = task.exam.name if word in task.secrets else "a file"
        said = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", instead, said)
    return said


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.stat().st_size


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _escaped(name: str) -> str:
    """A name in a pattern: none of those allowed in it means anything there but "["."""
    return name.replace("[", "[[]")
