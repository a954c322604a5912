"""An interrupted run leaves nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.niftis import grey, save


def _listen() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would theirs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _writing(folder: Path) -> bool:
    """Whether an image lies in a staging folder. Those come and go while they are read, which `glob` cannot bear."""
    try:
        stages = [path for path in folder.iterdir() if path.name.startswith(".out-")]
        return any(path.name.startswith("image") for stage in stages for path in stage.iterdir())
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    """The result of an earlier run stays, whole; nothing of the interrupted one does."""
    exam, out = save(tmp_path / "exam.nii.gz", grey(64, 64, 6, 3)), tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("of an earlier run")
    code = "from dmcvr.cli.main import main; main()"
    options = ["reconstruct", "-i", exam, "-o", out, "--method", "nearest", "--spacing", "1.1", "--allow-empty"]
    command = [sys.executable, "-c", code, *map(str, options)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=_listen) as process:
        while process.poll() is None and not _writing(tmp_path):
            time.sleep(0.005)
        process.send_signal(how)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + how, said
    assert "interrupted, nothing was written" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exam.nii.gz", "out"]
    assert [path.name for path in out.iterdir()] == ["run.json"]
