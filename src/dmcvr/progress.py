"""How a run is followed: one line on a terminal, a line now and then in a log, and a JSON file for programs.

Nothing here names a file or a person: a log holds stages, numbers and times alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dmcvr.errors import OutputError
from dmcvr.stages import Listener, Moment, Stages

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Seconds until the first line of a log, and between lines.
FIRST_S, EVERY_S = 10.0, 30.0

#: Seconds between two steps that the JSON file tells of.
STEP_S = 1.0

#: The bar is so wide at most, and there is none where less is left for it.
BAR, LEAST_BAR = 32, 8


@contextmanager
def shown_progress(
    *, log_json: Path | None = None, console: Console | None = None, every_s: float = EVERY_S
) -> Iterator[Stages]:
    """Stages whose progress is shown on stderr: give them to `dmcvr.reconstruct` as `stages`.

    On a terminal that is one line; elsewhere a plain line every `every_s` seconds. With `log_json` every event is
    written to that file as well, see `JsonLog`; raises `OutputError` where it cannot be.
    """
    log = None if log_json is None else JsonLog(log_json)
    logs: list[Listener] = [] if log is None else [log]
    terminal = sys.stderr.isatty() if console is None else console.is_terminal
    if terminal:
        from rich.console import Console

        console = console or Console(stderr=True)
    stages: Stages
    try:
        if console is None or console.is_dumb_terminal or not terminal:
            stages = Stages(*logs, PlainLines(sys.stderr if console is None else console.file, every_s=every_s))
            yield stages
        else:
            stages = Stages(*logs)
            with _live(stages, console):
                yield stages
    except BaseException as error:
        if log is not None:
            kind = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            log.write(kind, exit=getattr(error, "exit_status", 1))
        raise
    else:
        if log is not None:
            log.write("done", seconds=round(stages.now().seconds, 3), percent=100.0, eta=0.0)
    finally:
        if log is not None:
            log.close()


class PlainLines:
    """A listener that prints a line now and then, as a batch system keeps them."""

    def __init__(self, file: TextIO | Any, *, every_s: float = EVERY_S) -> None:
        self._file, self._every_s = file, every_s
        self._due = min(FIRST_S, every_s)

    def __call__(self, event: str, moment: Moment) -> None:
        if moment.seconds < self._due:
            return
        self._due = moment.seconds + self._every_s
        percent = "" if moment.percent is None else f"{moment.percent:3.0f} %  "
        print(f"{clock(moment.seconds):>8}  {percent}{', '.join(_parts(moment))}", file=self._file, flush=True)


class JsonLog:
    """A listener that appends a JSON object a line to a file.

    =======  =====================================================================================================
    time     UTC, ISO 8601
    event    "begin", "step" (at most one a second) and "end" of a stage; at the end of the run "done", "failed" or
             "interrupted", the latter two with "exit", the program's exit status
    stage    what is done
    phase    which phase, from 1, of how many "phases"; null where that means nothing
    percent  share of the whole that is done; null where that is not known
    seconds  since the run began
    eta      guess of the seconds that are left; null where that is not known
    note     what the stage itself has to say, such as a training's loss; left out where there is none
    =======  =====================================================================================================

    Where the file cannot be written to any more, that is said once, and the run goes on.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: TextIO | None = path.open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"The log {path} cannot be written ({error.strerror}): choose another.") from error
        self._step_due = 0.0

    def __call__(self, event: str, moment: Moment) -> None:
        if event == "step":
            if moment.seconds < self._step_due:
                return
            self._step_due = moment.seconds + STEP_S
        fields: dict[str, Any] = {
            "stage": moment.stage,
            "phase": moment.phase or None,
            "phases": moment.phases or None,
            "percent": None if moment.percent is None else round(moment.percent, 1),
            "seconds": round(moment.seconds, 3),
            "eta": None if moment.left_s is None else round(moment.left_s, 1),
        }
        self.write(event, **fields, **({"note": moment.note} if moment.note else {}))

    def write(self, event: str, **fields: Any) -> None:
        """One line: the time, the event, and these fields."""
        if self._file is None:
            return
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            self._file.write(json.dumps({"time": stamp, "event": event, **fields}) + "\n")
            self._file.flush()
        except OSError as error:
            self.close()
            print(f"Note: the JSON log stops here ({error.strerror}).", file=sys.stderr)

    def close(self) -> None:
        """No more lines."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # of a full disk, once more
                file.close()


def progress_line(moment: Moment, width: int, *, encoding: str = "utf-8") -> str:
    """What a terminal of so many columns shows, shorter than one line."""
    full, empty = ("━", "╌") if "utf" in encoding.lower() else ("#", ".")
    head, *rest = _parts(moment) or [""]
    left = rest.pop() if moment.left_s is not None and rest else ""
    percent = "" if moment.percent is None else f"{moment.percent:3.0f} %"
    words = f"{head:<16} {'  '.join(rest):<14}".rstrip().ljust(28)
    tail = "  ".join(filter(None, (percent, clock(moment.seconds), left)))
    room = min(BAR, width - 1 - len(words) - len(tail) - 3)
    bar = ""
    if moment.percent is not None and room >= LEAST_BAR:
        done = round(room * moment.percent / 100)
        bar = full * done + empty * (room - done) + " "
    return f"{words} {bar}{tail}"[: width - 1]


def clock(seconds: float) -> str:
    """3725 s as 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _parts(moment: Moment) -> list[str]:
    """What is done, and the time left, in words."""
    parts = []
    if moment.phases > 1:
        parts.append(f"phase {moment.phase} of {moment.phases}")
    if moment.steps > 1 and moment.phases <= 1:
        parts.append(f"{moment.stage} {moment.step} of {moment.steps}")
    else:
        parts.append(moment.stage)
    if moment.note:
        parts.append(moment.note)
    if moment.left_s is not None:
        parts.append(f"{clock(moment.left_s)} left")
    return parts


@contextmanager
def _live(stages: Stages, console: Console) -> Iterator[None]:
    """One line that is drawn anew four times a second, and is gone at the end."""
    from rich.live import Live
    from rich.text import Text

    def line() -> Text:
        return Text(progress_line(stages.now(), console.width, encoding=console.encoding), no_wrap=True)

    with Live(get_renderable=line, console=console, refresh_per_second=4, transient=True):
        yield
