"""One client a cohort, or one for each of its parts: whoever writes into OUT holds a lock there, and says who it is.

The lock is `flock` on a file: it goes with its process, however that ends. Where a file system does not carry locks
from host to host, the file's time does: its holder touches it again and again, and one that was not touched for
`SILENCE_S` is nobody's. Times are compared on the file system's own clock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmcvr.errors import InputError, OutputError

#: A holder on another host that was silent for so long is taken to be dead; it speaks every `BEAT_S`.
SILENCE_S = 300.0
BEAT_S = 30.0


@dataclass(frozen=True)
class Lock:
    """A lock that is held: of the k-th of n parts. `path` is its file; closing `file`, or dying, lets go of it."""

    path: Path
    file: int

    def beat(self) -> None:
        """Say to other hosts that its holder lives; call it every `BEAT_S`. A full or lost disk is no reason to die."""
        try:
            os.utime(self.file)
        except OSError:
            return

    def release(self) -> None:
        """Let go."""
        self.path.unlink(missing_ok=True)
        os.close(self.file)


def take_lock(folder: Path, part: tuple[int, int] = (1, 1)) -> Lock:
    """The lock of the k-th of n parts, (k, n); raises `InputError`, which says who holds it.

    Parts of one number n go on beside each other; another number would divide the exams otherwise, and waits.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _take(folder / f"{part[0]}-of-{part[1]}.lock")
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be locked ({error.strerror}): choose another with -o."
        ) from error
    try:
        for path in sorted(folder.glob("*-of-*.lock")):
            if path != lock.path and not path.name.endswith(f"-of-{part[1]}.lock"):
                os.close(_try(path, now=os.fstat(lock.file).st_mtime))
                path.unlink(missing_ok=True)
    except BaseException:
        lock.release()
        raise
    return lock


def _take(path: Path) -> Lock:
    """The lock of one file. It is made anew, for who let go of it may have removed it meanwhile."""
    while True:
        file = _try(path, now=None)
        me = {"host": socket.gethostname(), "process": os.getpid()}
        os.truncate(file, 0)
        os.pwrite(file, json.dumps(me).encode(), 0)
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            return Lock(path, file)
        os.close(file)


def _try(path: Path, *, now: float | None) -> int:
    """The file opened and locked; raises `InputError` where another has it. `now` is by the file system's clock."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        holder = _holder(file)
        beaten = os.fstat(file).st_mtime
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(_taken(path, holder)) from error
        if holder and holder.get("host") != socket.gethostname():
            if now is None:
                now = _clock(path.parent)
            if now - beaten < SILENCE_S:
                raise InputError(f"{_taken(path, holder)} (if that one is dead: wait {SILENCE_S / 60:.0f} minutes)")
        return file
    except BaseException:
        os.close(file)
        raise


def _clock(folder: Path) -> float:
    """What time it is by the clock that stamps the files of a folder."""
    probe = folder / f"clock-{socket.gethostname()}-{os.getpid()}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _holder(file: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _taken(path: Path, holder: dict[str, Any]) -> str:
    who = f"process {holder.get('process', '?')} on {holder.get('host', 'an unknown host')}"
    part = path.stem.replace("-of-", "/")
    what = "this cohort" if part == "1/1" else f"part {part} of this cohort"
    return f"{what[0].upper()}{what[1:]} is being worked on by {who}: let it end, or stop it first."
