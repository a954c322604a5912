"""Two clients never write into one cohort; the dead hold no lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dmcvr.cohort.lock import SILENCE_S, take_lock
from dmcvr.errors import InputError


def test_the_second_is_told_who_was_first(tmp_path: Path) -> None:
    first = take_lock(tmp_path)
    with pytest.raises(InputError, match=rf"This cohort is being worked on by process {os.getpid()} on "):
        take_lock(tmp_path)
    first.release()
    take_lock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_parts_of_one_number_go_on_beside_each_other(tmp_path: Path) -> None:
    first, second = take_lock(tmp_path, (1, 3)), take_lock(tmp_path, (2, 3))
    with pytest.raises(InputError, match="Part 2/3 of this cohort"):
        take_lock(tmp_path, (2, 3))
    for other in ((1, 1), (1, 2)):
        with pytest.raises(InputError, match="Part 1/3 of this cohort"):
            take_lock(tmp_path, other)
    first.release()
    second.release()
    take_lock(tmp_path, (1, 2)).release()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from dmcvr.cohort.lock import take_lock
lock = take_lock(Path({str(tmp_path)!r}), (1, 2))
print("held", flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {process.pid} on"):
            take_lock(tmp_path)
        process.kill()
    assert (tmp_path / "1-of-2.lock").exists()
    take_lock(tmp_path).release()


def test_one_on_another_host_is_believed_while_it_speaks(tmp_path: Path) -> None:
    """As where the file system does not carry locks from host to host."""
    path = tmp_path / "1-of-1.lock"
    path.write_text(json.dumps({"host": "elsewhere", "process": 7}))
    with pytest.raises(InputError, match=r"process 7 on elsewhere.*if that one is dead: wait 5 minutes"):
        take_lock(tmp_path)
    before = path.stat().st_mtime - SILENCE_S - 1
    os.utime(path, (before, before))
    lock = take_lock(tmp_path)
    assert lock.path.stat().st_mtime > before + SILENCE_S
    os.utime(path, (before, before))
    lock.beat()
    assert path.stat().st_mtime > before + SILENCE_S
    lock.release()


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be locked"):
        take_lock(tmp_path / "file" / "locks")
