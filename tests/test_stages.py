"""Timings of a run's stages."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.progress import Progress

from dmcvr.stages import Stages


def test_seconds_of_a_stage_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.5, 10.0, 10.25, 20.0, 23.0])
    monkeypatch.setattr("dmcvr.stages.time.perf_counter", lambda: next(clock))
    stages = Stages()
    for name in ("fill", "fill", "measure"):
        with stages(name):
            pass
    assert stages.seconds == {"fill": 1.75, "measure": 3.0}


def test_a_stage_that_fails_is_timed_and_shown_to_its_end() -> None:
    with Progress(console=Console(quiet=True)) as progress:
        stages = Stages(progress)
        with stages("fill", 4) as advance:
            advance()
            assert progress.tasks[0].completed == 1
        with pytest.raises(RuntimeError), stages("measure"):
            raise RuntimeError
        assert [(task.description, task.finished) for task in progress.tasks] == [("fill", True), ("measure", True)]
    assert set(stages.seconds) == {"fill", "measure"}
