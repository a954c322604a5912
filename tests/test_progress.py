"""How a run is followed: one line on a terminal, lines in a log, JSON."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dmcvr.errors import Interrupted, NoHeartError, OutputError
from dmcvr.progress import JsonLog, PlainLines, clock, progress_line, shown_progress
from dmcvr.stages import Moment


def moment(seconds: float = 75.0, **changes: object) -> Moment:
    values: dict[str, object] = {
        "stage": "decode",
        "phase": 3,
        "phases": 20,
        "step": 0,
        "steps": 0,
        "percent": 12.4,
        "seconds": seconds,
        "left_s": 530.0,
        "note": "",
    }
    return Moment(**values | changes)  # type: ignore[arg-type]


def test_a_line_says_phase_stage_percent_and_time_left() -> None:
    line = progress_line(moment(), 80)
    assert line.startswith("phase 3 of 20    decode ")
    assert line.endswith("12 %  1:15  8:50 left")
    assert "━╌" in line
    assert "#." in progress_line(moment(), 80, encoding="ascii")
    assert "phase" not in progress_line(moment(phase=1, phases=1), 80)
    assert "held-out 3 of 40" in progress_line(moment(stage="held-out", phase=0, phases=0, step=3, steps=40), 80)
    assert progress_line(moment(percent=None, left_s=None, stage="load", phases=0), 80).split() == ["load", "1:15"]


@pytest.mark.parametrize("width", [10, 20, 40, 60, 80, 200])
@pytest.mark.parametrize("note", ["", "step 12000, loss 0.0123, and a great deal more that a stage may have to say"])
def test_a_line_is_never_longer_than_the_terminal(width: int, note: str) -> None:
    assert len(progress_line(moment(seconds=1e5, note=note), width)) < width


def test_times_are_read_at_a_glance() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]


def test_a_log_has_a_line_now_and_then() -> None:
    file = io.StringIO()
    lines = PlainLines(file, every_s=30)
    for second in range(100):
        lines("step", moment(float(second)))
    said = file.getvalue().splitlines()
    assert [line.split()[0] for line in said] == ["0:10", "0:40", "1:10"]
    assert said[0].strip() == "0:10   12 %  phase 3 of 20, decode, 8:50 left"


def test_a_program_reads_the_json_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with shown_progress(log_json=path) as stages:
        stages.expect(["segment"] * 3)

        def segment(_: str) -> None:
            with stages("segment", 5) as advance:
                for _ in range(5):
                    advance(note="loss 0.5")

        stages.phases(segment, "DOE JOHN"[:2])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["event"] for row in rows] == ["begin", "step", "end", "begin", "end", "done"]
    for row in rows[:-1]:
        assert set(row) - {"note"} == {"time", "event", "stage", "phase", "phases", "percent", "seconds", "eta"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"])
    assert [row["phase"] for row in rows[:-1]] == [1, 1, 1, 2, 2]
    assert rows[1]["note"] == "loss 0.5"
    assert (rows[-1]["percent"], rows[-1]["eta"]) == (100, 0)


@pytest.mark.parametrize(
    ("error", "event", "status"),
    [(NoHeartError("none"), "failed", 3), (Interrupted(number=15), "interrupted", 143), (RuntimeError(), "failed", 1)],
)
def test_the_json_log_says_how_it_ended(tmp_path: Path, error: BaseException, event: str, status: int) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "of an earlier run"}\n')
    with pytest.raises(type(error)), shown_progress(log_json=path):
        raise error
    first, last = [json.loads(line) for line in path.read_text().splitlines()]
    assert first == {"event": "of an earlier run"}
    assert (last["event"], last["exit"]) == (event, status)


def test_a_json_log_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written \(No such file"):
        JsonLog(tmp_path / "nowhere" / "log.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_ends_the_log_and_not_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(log_json=Path("/dev/full")) as stages:
        for name in ("load", "locate"):
            with stages(name):
                pass
    assert capsys.readouterr().err == "Note: the JSON log stops here (No space left on device).\n"


#: Thirty phases of six stages each, a warning among them, quicker than any exam.
CINE = """
import sys, time
from dmcvr.progress import shown_progress
names = ["align", "encode", "invert", "decode", "segment", "resample"]
with shown_progress() as stages:
    stages.expect(names * 30)
    def draw(phase):
        for name in names:
            with stages(name, 5) as advance:
                for _ in range(5):
                    time.sleep(0.001)
                    advance()
        if phase == 12:
            print("Note: a warning", file=sys.stderr)
    stages.phases(draw, range(30), abreast=2)
print("done")
"""


def test_a_cine_of_any_length_is_one_line_on_a_terminal() -> None:
    """What a terminal of 80 columns is sent: the line is drawn over itself, and gone at the end."""
    ours, theirs = os.openpty()
    words = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen([sys.executable, "-c", CINE], stdout=theirs, stderr=theirs, env=os.environ | words) as child:
        os.close(theirs)
        sent = b""
        while True:
            try:
                sent += os.read(ours, 4096)
            except OSError:  # how Linux says that the other side has closed
                break
    os.close(ours)
    assert child.returncode == 0
    text = re.sub(r"\x1b\[\??[\d;]*[a-zA-Z]", "", sent.decode())
    parts = [part.rstrip() for part in re.split(r"[\r\n]+", text)]
    drawn = [part for part in parts if re.search(r" of 30 |^resample +0:\d\d$", part)]
    assert len(drawn) > 3
    assert all(len(part) < 80 for part in drawn)
    assert [part for part in parts if part and part not in drawn] == ["Note: a warning", "done"]
    assert text.count("\n") <= 4  # of the warning, of what is printed, and where the line begins anew below it
