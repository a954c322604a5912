"""What a worker does in tests of the client: as `dmcvr.cohort.job.do_exam`, with a text file for a heart.

An exam is a text file: "stop", "die" and "die once" are its ways to fail; the rest of its text is its heart.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from pathlib import Path

from distributed import KilledWorker, Status
from distributed.scheduler import WorkerState

from dmcvr.cohort.job import SUMMARY, NoRoomError, Task, row_of, sync
from dmcvr.cohort.ledger import Row
from dmcvr.errors import InputError
from dmcvr.io.folder import whole_folder


def copy(task: Task) -> Row:
    """Copy the exam into its folder; its text may ask for other ends."""
    found = row_of(task.exam, task.out)
    if found is not None:
        return found
    try:
        text = task.exam.path.read_text()
        with whole_folder(task.folder, marker=SUMMARY) as partial:
            if text == "stop":
                raise InputError("It says stop.")
            if text == "full":
                raise NoRoomError("There is no room.")
            if text == "die" or (
                text == "die once" and len(list(task.folder.parent.glob(f".{task.exam.name}-*"))) == 1
            ):
                os.kill(os.getpid(), signal.SIGKILL)
            (partial / "copy.txt").write_text(text)
            (partial / SUMMARY).write_text(json.dumps({"seconds": 0.5, "measures": {}}))
            size = sync(partial)
    except NoRoomError:
        raise
    except (InputError, OSError) as error:
        return Row(task.exam.name, task.exam.source, "failed", 1, 0.1, 0, None, str(error), "input")
    return Row(task.exam.name, task.exam.source, "done", 1, 0.5, size, {"seconds": 0.5, "measures": {}}, "", "")


def dying(task: Task) -> Row:
    """The same where no process dies: what a dead worker leaves, and what Dask says. Exam "d" only waits there."""
    nobody = WorkerState(
        address="tcp://0.0.0.0:1",
        status=Status.running,
        pid=0,
        name="",
        memory_limit=0,
        local_directory="",
        nanny=None,
        server_id="",
    )
    waited = task.out / "waited"
    partial = task.folder.parent / f".{task.exam.name}-{secrets.token_hex(4)}"
    text = task.exam.path.read_text()
    if task.exam.name == "d" and not waited.exists():
        waited.touch()
        raise KilledWorker(task.exam.name, nobody, 0)
    if text == "die" or (text == "die once" and not list(task.folder.parent.glob(f".{task.exam.name}-*"))):
        partial.mkdir()
        raise KilledWorker(task.exam.name, nobody, 0)
    task.exam.path.write_text("alive")
    return copy(task)


def broken(task: Task) -> Row:
    """A worker without what it needs."""
    raise ModuleNotFoundError("No module named 'dmcvr'")


def texts(folder: Path, contents: dict[str, str]) -> Path:
    """A folder of such exams, and a list of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (folder / name).write_text(text)
    return folder
