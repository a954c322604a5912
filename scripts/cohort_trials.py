#!/usr/bin/env python
"""Trials of `dmcvr cohort` that no test can be: what is killed, how it scales, a hundred thousand exams.

    python scripts/cohort_trials.py storm DIR              200 exams, 30 times kill -9 of worker, scheduler or client
    python scripts/cohort_trials.py full DIR               a disk that is full, and then is not (as root: a tmpfs)
    python scripts/cohort_trials.py many DIR               100,000 exams of 10 ms: memory of the client, overhead
    python scripts/cohort_trials.py scaling DIR            1 against 2 workers, here and by --scheduler
    python scripts/cohort_trials.py hosts DIR              workers with network addresses of their own (as root)

DIR is made, and takes everything. `--job small` (the default) reads an exam and writes a label map and volumes by a
threshold; `--job real` is what `dmcvr cohort` does (64 pixels, method linear). Each prints one JSON line at its end and
exits with 1 where something is not as it must be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dmcvr.cohort.find import Found, Wanted, find_exams
from dmcvr.cohort.job import EXAMS, SUMMARY, NoRoomError, Task, do_exam, row_of, sweep, sync
from dmcvr.cohort.ledger import Row, read_rows
from dmcvr.cohort.lock import take_lock
from dmcvr.cohort.pool import Place, client_of
from dmcvr.cohort.run import Cohort, run
from dmcvr.cohort.settings import Settings
from dmcvr.cohort.tally import Tally
from dmcvr.errors import InputError
from dmcvr.io.folder import whole_folder
from dmcvr.options import Options

ME = Path(__file__).resolve()
PORT = 18786

REAL = Options(method="linear", spacing_mm=4.0, allow_empty=True, align_slices="off", device="cpu")


def small(task: Task) -> Row:
    """An honest exam in milliseconds: read it, label what is bright, measure that, write all of it, whole."""
    from dmcvr.exam.volume import Volume
    from dmcvr.io.nifti import write_nifti
    from dmcvr.io.read import read_exam
    from dmcvr.io.result import stack_volume

    found = row_of(task.exam, task.out)
    if found is not None:
        return found
    begun = time.perf_counter()
    try:
        stack = read_exam(task.exam.path)
    except InputError as error:
        return Row(task.exam.name, task.exam.source, "failed", 1, 0.0, 0, None, str(error), "input")
    volume = stack_volume(stack)
    assert volume is not None
    bright = (volume.data > volume.data.mean()).astype(np.uint8)
    summary = {
        "measures": {"bright": {"value": float(bright.sum()), "unit": "voxels", "low": None, "high": None}},
        "flags": [],
        "versions": {"dmcvr": version("dmcvr"), "weights": None},
        "seconds": time.perf_counter() - begun,
        "thumbnail": None,
    }
    try:
        with whole_folder(task.folder, marker=SUMMARY) as partial:
            write_nifti(partial / "labels.nii.gz", Volume(bright, volume.affine))
            time.sleep(0.2)  # as long as it is half done, it can be killed there
            (partial / "data.bin").write_bytes(hashlib.sha256(volume.data.tobytes()).digest() * 2000)
            (partial / SUMMARY).write_text(json.dumps(summary))
            size = sync(partial)
    except InputError as error:
        found = row_of(task.exam, task.out)
        if found is not None:
            return found
        raise NoRoomError(str(error)) from None
    return Row(task.exam.name, task.exam.source, "done", 1, 0.0, size, summary, "", "")


def stub(task: Task) -> Row:
    """10 ms, and nothing is written."""
    time.sleep(0.01)
    summary = {
        "measures": {"ef": {"value": 60.0, "unit": "%", "low": 55.0, "high": 65.0}},
        "flags": [],
        "seconds": 0.01,
    }
    return Row(task.exam.name, task.exam.source, "done", 1, 0.01, 1000, summary, "", "")


JOBS: dict[str, Callable[[Task], Row]] = {"small": small, "real": do_exam, "stub": stub}


def client(options: argparse.Namespace) -> int:
    """One client, as `dmcvr cohort` is one; its last line is its tally."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out, begun = Path(options.out), time.monotonic()
    settings = Settings(options=REAL, keep=("labels", "measures"), label_formats=("nifti",))
    cohort = Cohort(out=out, settings=settings, work=JOBS[options.job], retry=options.retry)
    place = Place(scheduler=options.scheduler, workers=options.workers, device="cpu")
    first: list[float] = []

    def said(tally: Tally, rows: Any) -> None:
        if tally.ended and not first:
            first.append(time.monotonic())
        if rows and options.every and tally.ended % options.every < len(rows):
            print(json.dumps(tally.record() | {"mib": _mib()}), flush=True)

    exams = _made_up(options.count) if options.job == "stub" else find_exams(Path(options.input), Wanted(), besides=out)
    try:
        lock = take_lock(out / "locks")
        try:
            with client_of(place, out) as pool:
                ready = time.monotonic()
                tally = run(cohort, exams, pool, lock, said)
                ended = time.monotonic()
        finally:
            sweep(out, (1, 1))
            lock.release()
    except InputError as error:
        print(f"dmcvr: {error}", file=sys.stderr)
        return error.exit_status
    record = {"first_s": first[0] - ready if first else None, "seconds": ended - ready, "start_s": ready - begun}
    print(json.dumps(tally.record() | record | {"mib": _mib(), "cpu_s": time.process_time()}), flush=True)
    return 3 if tally.failed or tally.failed_before else 0


def _made_up(count: int) -> Iterator[Found]:
    return (Found(Path(f"/exams/{n:06d}"), f"{n:06d}", f"{n:06d}") for n in range(count))


def _mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def make_exams(folder: Path, count: int, size: int = 64) -> None:
    """So many small exams of a bright ring in noise."""
    import nibabel as nib

    i, j = np.indices((size, size))
    for n in range(count):
        rng = np.random.default_rng(n)
        radius = np.hypot(i - size / 2 - rng.normal(), j - size / 2 - rng.normal())
        picture = 100.0 + 500 * (radius < 8 + rng.random()) + 100 * (radius < 12)
        data = picture[..., None] + rng.normal(0, 20, (size, size, 4))
        (folder / f"exam{n:03d}").mkdir(parents=True, exist_ok=True)
        nib.save(
            nib.Nifti1Image(data.astype(np.int16), np.diag([1.8, 1.8, 10, 1])), folder / f"exam{n:03d}" / "sax.nii.gz"
        )


class Processes:
    """A scheduler, workers and a client, each in a process group of its own, restarted when they are dead."""

    def __init__(self, folder: Path, job: str, workers: int, host: str = "127.0.0.1", away: bool = False) -> None:
        self.folder, self.job, self.host, self.away = folder, job, host, away
        self.names = ["scheduler", *(f"worker{n}" for n in range(workers)), "client"]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.client_ends: list[int] = []

    def tend(self) -> None:
        """Start what is not there."""
        for name in self.names:
            process = self.running.get(name)
            if process is None or process.poll() is not None:
                if name == "client" and process is not None:
                    self.client_ends.append(process.returncode)
                self.running[name] = self._start(name)

    def kill(self, kind: str) -> None:
        """kill -9 of one of a kind: of a worker, the process that works, or its nanny with it."""
        name = random.choice([name for name in self.names if name.startswith(kind)])
        process = self.running[name]
        if process.poll() is None:
            if kind == "worker" and random.random() < 0.7:
                for child in _children(process.pid):
                    os.kill(child, signal.SIGKILL)
            else:
                os.killpg(process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End all."""
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        address = f"tcp://{self.host}:{PORT}"
        if name == "scheduler":
            words = [
                "-m",
                "distributed.cli.dask_scheduler",
                "--host",
                self.host,
                "--port",
                str(PORT),
                "--no-dashboard",
            ]
        elif name == "client":
            where = ["--scheduler", address, "--job", self.job]
            words = [str(ME), "client", str(self.folder / "in"), str(self.folder / "out"), *where]
        else:
            words = ["-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
            words += ["--local-directory", str(self.folder / "scratch")]
        before = ["ip", "netns", "exec", _namespace(name)] if self.away and name.startswith("worker") else []
        log = (self.folder / f"{name}.log").open("ab")
        environment = os.environ | {"PYTHONPATH": f"{ME.parent.parent / 'src'}:{ME.parent}", "OMP_NUM_THREADS": "1"}
        environment |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        return subprocess.Popen(
            [*before, sys.executable, *words],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            cwd=self.folder,
        )


def _children(pid: int) -> list[int]:
    """The processes that a process started, but for its helpers' (resource trackers)."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            status, line = (path / "status").read_text(), (path / "cmdline").read_bytes()
        except OSError:
            continue
        if re.search(rf"^PPid:\t{pid}$", status, re.M) and b"resource_tracker" not in line:
            found.append(int(path.name))
    return found


def storm(options: argparse.Namespace) -> int:
    """Kill -9 at random moments; in the end all is as in a run that was left alone."""
    random.seed(options.seed)
    folder = Path(options.folder).absolute()
    (folder / "in").mkdir(parents=True)
    make_exams(folder / "in", options.count)
    begun = time.monotonic()
    quiet = [str(ME), "client", str(folder / "in"), str(folder / "alone"), "--job", options.job, "--workers", "2"]
    (folder / "alone").mkdir()
    subprocess.run([sys.executable, *quiet], check=True)
    alone_s = time.monotonic() - begun
    (folder / "out").mkdir()
    processes = Processes(folder, options.job, 2)
    kills: dict[str, int] = {"worker": 0, "scheduler": 0, "client": 0}
    removed = folder / "in" / f"exam{options.count - 1:03d}"
    moments = sorted(random.randrange(int(0.95 * options.count)) for _ in range(options.kills))
    begun = time.monotonic()
    try:
        for moment in moments:  # each when so many are done, and a little later
            while len(_done(folder)) < moment:
                processes.tend()
                time.sleep(0.05)
            processes.tend()
            time.sleep(random.uniform(0.0, options.pause))
            kind = random.choice(("worker", "worker", "client", "scheduler"))
            processes.kill(kind)
            kills[kind] += 1
            print(f"{time.monotonic() - begun:6.1f} s  killed a {kind}; {len(_done(folder))} done", flush=True)
            if sum(kills.values()) == options.kills // 2 and removed.exists() and removed.name not in _done(folder):
                (removed / "sax.nii.gz").unlink()
        while processes.client_ends[-1:] not in ([0], [3]):
            processes.tend()
            time.sleep(0.5)
    finally:
        processes.stop()
    quiet[3] = str(folder / "out")
    again = subprocess.run([sys.executable, *quiet], check=False, stdout=subprocess.PIPE)
    faults = compare(folder / "alone", folder / "out", {removed.name} if not any(removed.iterdir()) else set())
    ends: dict[str, int] = {}
    for end in processes.client_ends:
        ends[str(end)] = ends.get(str(end), 0) + 1
    result = {
        "exams": options.count,
        "kills": kills,
        "client_ends": ends,
        "alone_s": round(alone_s, 1),
        "storm_s": round(time.monotonic() - begun, 1),
        "removed": not any(removed.iterdir()),
        "done_again_at_the_end": json.loads(again.stdout)["done_now"],
        "attempts": max(row.attempts for row in read_rows(folder / "out")),
        "faults": faults,
    }
    print(json.dumps(result))
    return 1 if faults else 0


def _done(folder: Path) -> list[str]:
    exams = folder / "out" / EXAMS
    return [path.name for path in exams.iterdir() if not path.name.startswith(".")] if exams.exists() else []


def compare(alone: Path, out: Path, removed: set[str]) -> list[str]:
    """What differs between a run that was left alone and another: a sentence each."""
    faults = []
    expected = {path.name for path in (alone / EXAMS).iterdir()}
    found = {path.name for path in (out / EXAMS).iterdir()}
    rows = {row.exam: row for row in read_rows(out)}
    done = {name for name, row in rows.items() if row.state == "done"}
    if found | removed != expected:
        faults.append(f"folders: missing {sorted(expected - found)[:5]}, more {sorted(found - expected)[:5]}")
    if done != found:
        faults.append(f"ledger and folders: {sorted(done ^ found)[:5]}")
    if len(rows) != len(list(read_rows(out))) or set(rows) | removed != expected:
        faults.append(f"ledger: {len(rows)} rows for {len(expected)} exams")
    for name in sorted(found & expected):
        for path in sorted((alone / EXAMS / name).rglob("*")):
            other = out / EXAMS / path.relative_to(alone / EXAMS)
            if path.is_file() and (not other.is_file() or _content(path) != _content(other)):
                faults.append(f"{other} differs")
        if rows[name].bytes != sum(p.stat().st_size for p in (out / EXAMS / name).rglob("*") if p.is_file()):
            faults.append(f"{name}: bytes in the ledger")
    return faults


def _content(path: Path) -> object:
    """Bytes, but for the seconds that something took."""
    if path.suffix != ".json":
        return path.read_bytes()
    record = json.loads(path.read_text())
    return {key: value for key, value in record.items() if key != "seconds"}


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def full(options: argparse.Namespace) -> int:
    """A disk that fills up in the middle; then there is room, and it goes on."""
    folder = Path(options.folder).absolute()
    (folder / "in").mkdir(parents=True)
    make_exams(folder / "in", options.count)
    words = [str(ME), "client", str(folder / "in"), "OUT", "--job", options.job, "--workers", "2"]
    (folder / "alone").mkdir()
    words[3] = str(folder / "alone")
    subprocess.run([sys.executable, *words], check=True)
    need = sum(path.stat().st_blocks * 512 for path in (folder / "alone").rglob("*"))
    ends, states = [], []
    with tmpfs(folder / "disk", str(need // 3)):
        words[3] = str(folder / "disk")
        for size in (need // 3, need // 2, 3 * need):
            subprocess.run(["mount", "-o", f"remount,size={size}", folder / "disk"], check=True)
            done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
            ends.append(done.returncode)
            states.append(sum(row.state == "done" for row in read_rows(folder / "disk")))
            print(done.returncode, states[-1], done.stderr.strip().splitlines()[-1:], flush=True)
        faults = compare(folder / "alone", folder / "disk", set())
    if ends != [4, 4, 0]:
        faults.append(f"ended with {ends}")
    print(json.dumps({"exams": options.count, "ends": ends, "done": states, "faults": faults}))
    return 1 if faults else 0


def many(options: argparse.Namespace) -> int:
    """A hundred thousand exams of 10 ms."""
    out = Path(options.folder).absolute()
    out.mkdir(parents=True)
    words = [str(ME), "client", "none", str(out), "--job", "stub", "--workers", "2"]
    words += ["--count", str(options.count), "--every", str(max(1, options.count // 20))]
    done = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = lines[-1]
    result = {
        "exams": options.count,
        "seconds": round(last["seconds"], 1),
        "ms_an_exam": round(1000 * last["seconds"] / options.count, 2),
        "client_cpu_ms_an_exam": round(1000 * last["cpu_s"] / options.count, 2),
        "first_s": round(last["first_s"], 2),
        "mib_at": {str(line["done"]): line["mib"] for line in lines},
        "rows": sum(1 for _ in read_rows(out)),
    }
    print(json.dumps(result))
    return 0 if result["rows"] == options.count and last["mib"] < 1000 else 1


def scaling(options: argparse.Namespace) -> int:
    """The time of 1 and of 2 workers of one thread, as processes here and by the address of a scheduler."""
    folder = Path(options.folder).absolute()
    (folder / "in").mkdir(parents=True)
    make_exams(folder / "in", options.count)
    seconds: dict[str, float] = {}
    for where in ("here", "scheduler"):
        for workers in (1, 2):
            out = folder / f"{where}{workers}"
            out.mkdir()
            words = [str(ME), "client", str(folder / "in"), str(out), "--job", options.job]
            helpers = Processes(folder, options.job, workers)
            helpers.names.remove("client")
            if where == "here":
                words += ["--workers", str(workers)]
            else:
                helpers.tend()
                words += ["--scheduler", f"tcp://127.0.0.1:{PORT}"]
            try:
                done = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE, text=True)
            finally:
                helpers.stop()
            last = json.loads(done.stdout.splitlines()[-1])
            seconds[f"{where}{workers}"] = round(last["seconds"] - last["first_s"], 2)
    efficiency = {w: round(seconds[f"{w}1"] / seconds[f"{w}2"] / 2, 3) for w in ("here", "scheduler")}
    print(json.dumps({"exams": options.count, "job": options.job, "seconds": seconds, "efficiency": efficiency}))
    return 0


@contextmanager
def hosts_apart(count: int) -> Iterator[str]:
    """So many network namespaces worker0, worker1, ..., each with an address on a bridge; the address of that."""
    bridge, network = "dmcvr-trial", "10.77.0"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    names = [f"worker{n}" for n in range(count)]
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{network}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for n, name in enumerate(names):
            space, here, there = _namespace(name), f"dmcvr{n}", f"dmcvr{n}away"
            ip("netns", "add", space)
            ip("link", "add", here, "type", "veth", "peer", "name", there)
            ip("link", "set", here, "master", bridge, "up")
            ip("link", "set", there, "netns", space)
            ip("-n", space, "addr", "add", f"{network}.{n + 2}/24", "dev", there)
            ip("-n", space, "link", "set", there, "up")
            ip("-n", space, "link", "set", "lo", "up")
        yield f"{network}.1"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", _namespace(name)], check=False)
        subprocess.run(["ip", "link", "del", bridge], check=False)


def _namespace(name: str) -> str:
    return f"dmcvr-{name}"


def hosts(options: argparse.Namespace) -> int:
    """Two workers that reach the scheduler over a network alone; all is as in a run on one host."""
    folder = Path(options.folder).absolute()
    (folder / "in").mkdir(parents=True)
    make_exams(folder / "in", options.count)
    alone = [str(ME), "client", str(folder / "in"), str(folder / "alone"), "--job", options.job, "--workers", "2"]
    for out in ("alone", "out"):
        (folder / out).mkdir()
    subprocess.run([sys.executable, *alone], check=True, stdout=subprocess.DEVNULL)
    with hosts_apart(2) as host:
        processes = Processes(folder, options.job, 2, host, away=True)
        try:
            while not processes.client_ends:
                processes.tend()
                time.sleep(0.2)
        finally:
            processes.stop()
    seen = {name: (folder / f"{name}.log").read_text() for name in ("worker0", "worker1")}
    where = {name: sorted(set(re.findall(r"tcp://(10[.][0-9.]+)", text))) for name, text in seen.items()}
    faults = compare(folder / "alone", folder / "out", set())
    if processes.client_ends[0] != 0 or len({tuple(found) for found in where.values()}) < 2:
        faults.append(f"ended with {processes.client_ends}, workers at {where}")
    print(json.dumps({"exams": options.count, "addresses": where, "ends": processes.client_ends, "faults": faults}))
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Trials of dmcvr cohort.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run_, count in (
        ("storm", storm, 200), ("full", full, 200), ("many", many, 100_000), ("scaling", scaling, 40),
        ("hosts", hosts, 40),
    ):  # fmt: skip
        command = commands.add_parser(name)
        command.add_argument("folder")
        command.add_argument("--count", type=int, default=count)
        command.add_argument("--job", choices=JOBS, default="small")
        command.add_argument("--kills", type=int, default=30)
        command.add_argument("--pause", type=float, default=2.0, help="seconds between two kills, on average")
        command.add_argument("--seed", type=int, default=0)
        command.set_defaults(run=run_)
    command = commands.add_parser("client")
    command.add_argument("input")
    command.add_argument("out")
    command.add_argument("--job", choices=JOBS, default="small")
    command.add_argument("--scheduler")
    command.add_argument("--workers", type=int)
    command.add_argument("--count", type=int, default=0)
    command.add_argument("--every", type=int, default=0)
    command.add_argument("--retry", action="store_true")
    command.set_defaults(run=client)
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    import cohort_trials  # by its name, so that workers find it

    sys.exit(cohort_trials.main())
