"""Where the workers are: processes here, a Dask cluster that runs somewhere, or jobs of a batch system."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dmcvr.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

BatchName = Literal["slurm", "pbs", "sge", "lsf", "htcondor"]

#: Dask-jobqueue's classes.
BATCH = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
}

#: Memory (GiB) of a worker with its networks, on an exam of 30 phases.
WORKER_GIB = 1.6

#: Memory that a batch job asks for, where dask-jobqueue's own configuration says nothing.
JOB_MEMORY = "4 GiB"

#: Seconds to wait for a scheduler's answer.
PATIENCE_S = 30

#: How Dask is told to behave: an exam is one task, whose memory is not Dask's to spill or to wait for; a worker that is
#: killed is heard of at once, and `dmcvr.cohort.run` says how often that may be.
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to work: here, unless an address or a batch system is given.

    =========  =====================================================================
    workers    processes, or batch jobs; None: as many as cores and memory allow here
    threads    of each process
    scheduler  a Dask scheduler's address
    cluster    a batch system that dask-jobqueue knows
    device     "cpu" takes no GPU even where one is
    =========  =====================================================================
    """

    workers: int | None = None
    threads: int = 1
    scheduler: str | None = None
    cluster: BatchName | None = None
    device: str = "auto"

    def check(self) -> None:
        """Raise `InputError` for what does not go together."""
        if self.scheduler is not None and (self.cluster is not None or self.workers is not None):
            raise InputError("--scheduler has its own workers: leave out --cluster and --workers.")
        if self.cluster is not None and self.workers is None:
            raise InputError(f"Say how many jobs to submit to {self.cluster}: give --workers.")
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if value is not None and value < 1:
                raise InputError(f"Expected --{name} of 1 or more; got {value}.")
        if find_spec("distributed") is None:
            raise InputError("dmcvr cohort needs dask.distributed: pip install 'dmcvr[cohort]'.")
        if self.cluster is not None and find_spec("dask_jobqueue") is None:
            raise InputError("--cluster needs dask-jobqueue: pip install 'dmcvr[cohort]'.")


@contextmanager
def client_of(place: Place, out: Path) -> Iterator[Client]:
    """A client of the workers; those that were started for it end with it. Raises `InputError` where there are none."""
    place.check()
    import dask
    from distributed import Client

    with dask.config.set(CONFIG):
        if place.scheduler is not None:
            try:
                client = Client(place.scheduler, timeout=PATIENCE_S, set_as_default=False)
            except (OSError, ValueError) as error:
                raise InputError(
                    f"No Dask scheduler answers at {place.scheduler}: start one with dask scheduler, and workers with "
                    "dask worker."
                ) from error
            with client:
                yield client
            return
        cluster = _local(place) if place.cluster is None else _batch(place, out)
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            cluster.close(timeout=5)


def worker_count(cores: int, memory_bytes: int, threads: int) -> int:
    """Processes that a machine has cores and memory for; at least one."""
    return max(1, min(cores // threads, int(memory_bytes / 2**30 / WORKER_GIB)))


def worker_specs(count: int, threads: int, devices: tuple[str, ...], memory_bytes: int) -> dict[str, dict[str, Any]]:
    """So many processes, for `distributed.SpecCluster`; with GPUs, one process a device, which sees no other."""
    from distributed import Nanny

    specs = {}
    for n in range(len(devices) or count):
        environment = worker_environment(threads)
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = devices[n]
        options = {
            "nthreads": 1,
            "env": environment,
            "memory_limit": memory_bytes // (len(devices) or count),
            "dashboard": False,
        }
        specs[f"worker{n}"] = {"cls": Nanny, "options": options}
    return specs


def worker_environment(threads: int) -> dict[str, str]:
    """What keeps libraries to so many threads, and Dask silent, in a process that has not loaded them yet."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    return dict.fromkeys(names, str(threads)) | {"DASK_LOGGING__DISTRIBUTED": "critical"}


def gpu_devices(
    device: str, environment: Mapping[str, str] = os.environ, folder: Path = Path("/dev")
) -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none where torch cannot, or must not.

    torch is not imported: the client does not need it.
    """
    if device == "cpu" or version("torch").endswith("+cpu"):
        return ()
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        found = [name.strip() for name in named.split(",")]
        return tuple(name for name in found if name and name != "-1")
    numbers = [int(match[1]) for path in folder.glob("nvidia*") if (match := re.fullmatch(r"nvidia(\d+)", path.name))]
    return tuple(str(index) for index in range(len(numbers)))


def _local(place: Place) -> Any:
    """Processes on this machine."""
    import dask
    from dask.system import CPU_COUNT
    from distributed import Scheduler, SpecCluster
    from distributed.system import MEMORY_LIMIT

    devices = gpu_devices(place.device)[: place.workers]
    count = place.workers or worker_count(CPU_COUNT, MEMORY_LIMIT, place.threads)
    shown = find_spec("bokeh") is not None
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "dashboard": shown, "dashboard_address": ":8787" if shown else ":0"},
    }
    # before a process starts, else its numpy has chosen its threads already
    with dask.config.set({"distributed.nanny.pre-spawn-environ": worker_environment(place.threads)}), _deaf():
        return SpecCluster(
            workers=worker_specs(count, place.threads, devices, MEMORY_LIMIT), scheduler=scheduler, silence_logs=50
        )


@contextmanager
def _deaf() -> Iterator[None]:
    """Threads that begin here, and processes that those start ever after, do not hear Ctrl-C: this process does alone.

    A terminal sends it to all; workers that it ended would be missed, and started again.
    """
    resource_tracker.ensure_running()  # when it starts it lets them hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _batch(place: Place, out: Path) -> Any:
    """Jobs of a batch system, as dask-jobqueue's own configuration files have them; the job's script is kept in OUT."""
    import dask
    import dask_jobqueue

    assert place.cluster is not None
    configured = dask.config.get(f"jobqueue.{place.cluster}", {})
    given: dict[str, Any] = {}
    if configured.get("cores") is None:
        given |= {"cores": 1, "processes": 1}
        if place.cluster == "slurm" and configured.get("job-cpu") is None:
            given["job_cpu"] = place.threads
    if configured.get("memory") is None:
        given["memory"] = JOB_MEMORY
    kind = getattr(dask_jobqueue, BATCH[place.cluster])
    submit = kind.job_cls.submit_command.split()[0]
    if shutil.which(submit) is None:
        raise InputError(
            f"There is no {submit} here: run dmcvr cohort --cluster {place.cluster} where jobs are submitted."
        )
    try:
        cluster = kind(**given)
        (out / "job_script.txt").write_text(cluster.job_script(), encoding="utf-8")
        # and again where one has ended, as its time was over
        cluster.adapt(minimum_jobs=place.workers, maximum_jobs=place.workers)
    except (ValueError, RuntimeError, OSError) as error:
        raise InputError(
            f"No job can be submitted to {place.cluster} ({error}): see dask-jobqueue's manual."
        ) from error
    return cluster
