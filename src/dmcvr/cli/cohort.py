"""`dmcvr cohort`: many exams with one command, here or on a cluster."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from dmcvr.cli.reconstruct import check_weights
from dmcvr.cli.terminal import LogJson
from dmcvr.cohort.pool import BatchName, Place, client_of
from dmcvr.errors import InputError, Interrupted
from dmcvr.options import KEPT, LABEL_FORMATS, MESH_FORMATS, Options, chosen_formats, maybe
from dmcvr.progress import JsonLog

if TYPE_CHECKING:
    from dmcvr.cohort.find import Found, Wanted
    from dmcvr.cohort.ledger import Row
    from dmcvr.cohort.lock import Lock
    from dmcvr.cohort.run import Said
    from dmcvr.cohort.settings import Settings
    from dmcvr.cohort.tally import Tally

#: Seconds between two lines of a log, and of a terminal that shows lines only.
LOG_S = 10.0


@dataclass(frozen=True, kw_only=True)
class CohortCommand(Options):
    """Reconstruct every exam below a folder, here or on a cluster; started again, it goes on.

    Exit status: 0 all done, 3 some failed, 2 bad input, 4 nothing can be written, 130 or 143 interrupted.
    """

    input: Annotated[Path, arg(aliases=["-i"], help="folder below which the exams lie, each in any known layout")]
    output: Annotated[Path, arg(aliases=["-o"], help="folder to write; one of the same cohort goes on")]
    listing: Annotated[Path | None, maybe("FILE", name="list")] = None
    """Paths of exams, one a line, relative to the input, instead of looking for them there; -: from stdin."""
    include: Annotated[tuple[str, ...], maybe("GLOB ...", help="only exams that fit one of these")] = ()
    exclude: Annotated[tuple[str, ...], maybe("GLOB ...", help="no exams or folders that fit one of these")] = ()
    part: Annotated[str, arg(metavar="K/N", help="the K-th of N parts, from 1: for a job array, one client a part")] = (
        "1/1"
    )
    retry: Annotated[Literal["failed"] | None, maybe("failed", help="try again what failed in an earlier run")] = None
    keep: Annotated[str, arg(metavar="A,B", help=f"what is written: of {','.join(KEPT)}")] = ",".join(KEPT)
    label_format: Annotated[str, arg(metavar="A,B", help="labels as nifti, nrrd (3D Slicer), or none")] = "nifti,nrrd"
    mesh_format: Annotated[str, arg(metavar="A,B", help="meshes as ply, stl, vtp, glb, or none")] = "ply"
    pseudonymise: Annotated[Path | None, maybe("KEYFILE", help="name exams by a keyed hash of their names")] = None
    workers: Annotated[int | None, maybe("N", help="processes, or batch jobs; default: by cores and memory")] = None
    threads: Annotated[int, arg(metavar="N", help="threads of each process")] = 1
    scheduler: Annotated[str | None, maybe("ADDRESS", help="of a Dask scheduler that runs elsewhere")] = None
    cluster: Annotated[BatchName | None, maybe("slurm|pbs|sge|lsf|htcondor")] = None
    """Submit workers to a batch system, as dask-jobqueue's own configuration files say."""
    log_json: LogJson = None

    def run(self) -> None:
        from dmcvr.cohort.lock import take_lock
        from dmcvr.cohort.settings import Settings, agree_on, check_out, chosen_keep, read_key

        part = _part(self.part)
        place = Place(
            workers=self.workers,
            threads=self.threads,
            scheduler=self.scheduler,
            cluster=self.cluster,
            device=self.device,
        )
        place.check()
        self.check()
        options = Options(**{f.name: getattr(self, f.name) for f in fields(Options)})
        check_weights(options)
        settings = Settings(
            options=options,
            keep=chosen_keep(self.keep),
            label_formats=chosen_formats("label", self.label_format, LABEL_FORMATS),
            mesh_formats=chosen_formats("mesh", self.mesh_format, MESH_FORMATS),
            threads=self.threads,
        )
        key = None if self.pseudonymise is None else read_key(self.pseudonymise)
        if not self.input.exists():
            raise InputError(f"There is no file or folder {self.input}: check the path.")
        check_out(self.output)
        lock = take_lock(self.output / "locks", part)
        try:
            agree_on(self.output, settings.record(self.input, key))
            self._go(place, settings, part, key, lock)
        finally:
            lock.release()

    def check(self) -> None:
        """As of one exam; of labels with {exam} in their path, each exam's are looked for when its turn comes."""
        given = self.labels_in
        options = Options(**{f.name: getattr(self, f.name) for f in fields(Options)})
        if given is None or "{exam}" not in str(given):
            options.check()
        else:
            replace(options, labels_in=None, label_map=None).check()

    def _go(self, place: Place, settings: Settings, part: tuple[int, int], key: bytes | None, lock: Lock) -> None:
        from dmcvr.cohort.find import Wanted
        from dmcvr.cohort.job import sweep
        from dmcvr.cohort.run import Cohort, run

        wanted = Wanted(self.include, self.exclude, part)
        cohort = Cohort(
            out=self.output.absolute(),
            settings=settings,
            part=part,
            retry=self.retry is not None,
            key=key,
        )
        try:
            with client_of(place, self.output) as client, _shown(self.log_json) as show:
                if client.dashboard_link and (self.scheduler or find_spec("bokeh")):
                    print(f"Dask's dashboard: {client.dashboard_link}", file=sys.stderr)
                tally = run(cohort, self._exams(wanted), client, lock, show)
        except KeyboardInterrupt as interrupt:
            told = "interrupted; what is done is kept: the same command goes on."
            raise Interrupted(told, getattr(interrupt, "number", signal.SIGINT)) from None
        finally:
            sweep(self.output, part)  # the workers are gone, or their client is
        if tally.found == 0 and part == (1, 1):
            raise InputError(f"No exam was found below {self.input}: dmcvr inspect says of one folder why it is none.")
        _print_end(tally, self.output)
        if tally.failed or tally.failed_before:
            sys.exit(3)

    def _exams(self, wanted: Wanted) -> Iterator[Found]:
        from dmcvr.cohort.find import find_exams, listed_exams

        root = self.input.absolute()
        if self.listing is not None:
            return listed_exams(self.listing, root, wanted)
        return find_exams(root, wanted, besides=self.output)


def _part(text: str) -> tuple[int, int]:
    """K and N of "K/N"; raises `InputError`."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    k, n = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= k <= n:
        raise InputError(f"Expected --part K/N with K from 1 to N, such as 2/10; got {text}.")
    return k, n


@contextmanager
def _shown(log_json: Path | None) -> Iterator[Said]:
    """What is called at every tick: a line on a terminal, lines elsewhere, JSON lines in a file."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    log = None if log_json is None else _Log(log_json)
    with Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else _Lines() as live:

        def show(tally: Tally, rows: Sequence[Row]) -> None:
            live.update(line(tally))
            if log is not None:
                log.tick(tally, rows)

        try:
            yield show
        finally:
            if log is not None:
                log.close()


class _Lines:
    """Where there is no terminal: a plain line now and then."""

    def __init__(self) -> None:
        self._due = time.monotonic() + LOG_S

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, text: str) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + LOG_S
            print(text, file=sys.stderr, flush=True)


class _Log(JsonLog):
    """JSON lines: every failure, and the progress now and then."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._due = 0.0
        self._last: Tally | None = None

    def tick(self, tally: Tally, rows: Sequence[Row]) -> None:
        self._last = tally
        for row in rows:
            if row.state == "failed":
                self.write("exam failed", exam=row.exam, kind=row.kind, sentence=row.sentence)
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + LOG_S
            self.write("progress", **tally.record())

    def close(self) -> None:
        if self._last is not None:
            self.write("end", **self._last.record())
            self._last = None
        super().close()


def line(tally: Tally) -> str:
    """How far it is, for a person."""
    total = f"{tally.found}" if tally.counted else f"{tally.found}, looking for more"
    parts = [f"{tally.done_before + tally.done} done of {total}"]
    failed = tally.failed_before + tally.failed
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{tally.workers} worker{'s' * (tally.workers != 1)}"]
    if tally.rate:
        parts.append(f"{60 * tally.rate:.3g} exams a minute")
    if tally.seconds_left is not None:
        parts.append(f"{duration(tally.seconds_left)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """3700 s as "1 h 02 min"."""
    minutes, hours = round(seconds / 60), round(seconds / 60) // 60
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if hours == 0 else f"{hours} h {minutes % 60:02d} min"


def _print_end(tally: Tally, out: Path) -> None:
    before = f", {tally.done_before} were there" if tally.done_before else ""
    print(f"{tally.done} exams done{before}; {tally.failed + tally.failed_before} failed, of {tally.found}.")
    if tally.done:
        print(f"{tally.bytes / tally.done / 2**20:.1f} MiB an exam.")
    if tally.failed or tally.failed_before:
        print(f"Why they failed: {out / 'failures.csv'}. Try them again with --retry failed.", file=sys.stderr)
    print(f"Written to {out}: open {out / 'index.html'} (research software, not a medical device)")
