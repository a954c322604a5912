"""Timings of a run's stages, how far it is, and what is left."""

from __future__ import annotations

import threading
import time

import pytest

from dmcvr.stages import TYPICAL_S, Moment, Stages


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("dmcvr.stages.time.perf_counter", lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_seconds_of_a_stage_add_up(clock: Clock) -> None:
    stages = Stages()
    for name, seconds in (("fill", 1.5), ("fill", 0.25), ("measure", 3.0)):
        with stages(name):
            clock.wait(seconds)
    assert stages.seconds == {"fill": 1.75, "measure": 3.0}


def test_a_stage_that_fails_is_timed_and_told_to_its_end(clock: Clock) -> None:
    told: list[tuple[str, str]] = []

    def listen(event: str, moment: Moment) -> None:
        told.append((event, moment.stage))
        assert moment.percent is None  # of what, nobody has said

    stages = Stages(listen)
    with pytest.raises(RuntimeError), stages("measure"):
        clock.wait(1)
        raise RuntimeError
    assert stages.seconds == {"measure": 1.0}
    assert told == [("begin", "measure"), ("end", "measure")]
    assert (stages.now().stage, stages.now().percent) == ("measure", None)


def test_a_stage_of_known_steps_says_how_far_it_is(clock: Clock) -> None:
    stages = Stages()
    with stages("cases", 4) as advance:
        assert (stages.now().step, stages.now().steps, stages.now().percent) == (1, 4, None)
        clock.wait(10)
        advance()
        now = stages.now()
        assert (now.step, now.percent, now.left_s) == (2, 25, 30)
        with stages("look"):
            assert (stages.now().stage, stages.now().step) == ("look", 2)


def test_a_stage_that_goes_on_is_as_fast_as_what_it_does_now(clock: Clock) -> None:
    """A training resumed at three quarters, which does another eighth in ten seconds."""
    stages = Stages()
    with stages("train", at=0.75) as advance:
        assert stages.now().left_s is None
        clock.wait(10)
        advance(at=0.875, note="step 7")
        now = stages.now()
    assert (now.percent, now.left_s, now.note) == (87.5, 10, "step 7")


@pytest.mark.parametrize("pace", [0.5, 1, 20])
def test_the_time_left_of_a_cine(clock: Clock, pace: float) -> None:
    """On a machine of any pace, soon right; the percentage never falls, and reaches its end."""
    stages, moments = Stages(), list[tuple[float, Moment]]()
    of_a_phase, phases = ["align", "decode", "invert", "decode", "segment", "resample"], 10
    stages.expect(["locate", *of_a_phase * phases, "measure"])
    takes_s = {name: pace * seconds for name, seconds in TYPICAL_S.items()} | {"align": pace * 4.0}
    whole_s = takes_s["locate"] + phases * sum(takes_s[name] for name in of_a_phase) + takes_s["measure"]

    def do(name: str) -> None:
        with stages(name):
            for _ in range(4):
                clock.wait(takes_s[name] / 4)
                moments.append((clock.now - 100, stages.now()))

    with stages("load"):
        clock.wait(50)
        assert stages.now().percent is None  # nobody knows what that will take
    clock.now = 100
    do("locate")

    def whole(number: int) -> None:
        assert (stages.now().phase, stages.now().phases) == (number + 1, phases)
        for name in of_a_phase:
            do(name)

    stages.phases(whole, range(phases))
    do("measure")
    assert stages.now().phase == 0
    percents = [moment.percent or 0 for _, moment in moments]
    assert percents == sorted(percents)
    assert percents[-1] == 99
    for seconds, moment in moments[len(moments) // 4 :]:
        assert moment.left_s == pytest.approx(whole_s - seconds, abs=0.06 * whole_s)
        assert moment.percent == pytest.approx(100 * seconds / whole_s, abs=6)


def test_nothing_is_said_too_soon(clock: Clock) -> None:
    stages = Stages()
    stages.expect(["fill"] * 3)
    with stages("fill"):
        clock.wait(2.9)
        assert stages.now().left_s is None
        clock.wait(0.1)
        assert stages.now().left_s is not None


def test_phases_side_by_side_share_the_seconds(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five phases of two seconds each, two at a time: five seconds, the last alone with all cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    stages, meeting = Stages(), threading.Barrier(2, lambda: clock.wait(2), timeout=30)
    stages.expect(["decode"] * 5)
    lefts: list[float | None] = []

    def decode(phase: int) -> int:
        with stages("decode"):
            if phase < 4:
                meeting.wait()
                meeting.wait()
            else:
                lefts.append(stages.now().left_s)
                clock.wait(1)
        return phase * phase

    clock.wait(10)
    assert stages.phases(decode, range(5), abreast=2) == [0, 1, 4, 9, 16]
    assert stages.seconds == {"decode": 4 * 2 + 1}
    assert lefts[0] == pytest.approx(2, rel=0.2)
    assert (stages.now().phase, stages.now().left_s) == (0, None)


def test_a_phase_that_fails_ends_those_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    stages, meeting, steps = Stages(), threading.Barrier(2, timeout=30), list[int]()

    def draw(phase: int) -> None:
        with stages("decode", 10**6) as advance:
            meeting.wait()
            if phase == 0:
                raise ValueError("broken")
            for step in range(10**6):
                advance()
                steps.append(step)
                time.sleep(0.001)

    with pytest.raises(ValueError, match="broken"):
        stages.phases(draw, range(4), abreast=2)
    assert len(steps) < 10**4
    with stages("write"):  # others go on
        pass
