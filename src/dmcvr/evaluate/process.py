"""`dmcvr reconstruct` timed as a user starts it: whole processes, their seconds split and their memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dmcvr.exam.stack import SliceStack
from dmcvr.io.nifti import write_nifti
from dmcvr.io.result import stack_volume

#: The stages that networks fill; some arrays are cropped in the first.
NETWORKS = ("locate", "segment", "encode", "invert", "decode")

#: A process's largest memory is told in bytes there, in KiB elsewhere.
_PEAK_BYTES = 1 if sys.platform == "darwin" else 1024


def timed_process(exam: SliceStack, weights: str, device: str, *, repeats: int = 1) -> dict[str, Any]:
    """All phases of an exam on a regular grid: medians of so many whole processes.

    ================  ========================================================================================
    seconds           from start to end
    cpu_seconds       of all cores together, which other programs disturb less
    networks_seconds  in the stages that networks fill
    rest_seconds      all others: imports, reading, aligning, measuring, writing
    peak_mib          of memory; the largest of all
    stages_seconds    by stage, as run.json has them
    ================  ========================================================================================

    Raises `RuntimeError` with what the process said where it fails.
    """
    volume = stack_volume(exam)
    if volume is None:
        raise ValueError("Expected slices on a regular grid, as NIfTI has them.")
    with tempfile.TemporaryDirectory() as folder:
        write_nifti(Path(folder) / "exam.nii.gz", volume)
        out = Path(folder) / "out"
        words = ["-i", f"{folder}/exam.nii.gz", "-o", str(out), "--weights", weights, "--device", device]
        runs = [
            _timed([sys.executable, "-m", "dmcvr", "reconstruct", *words, "--phase", "all"], out)
            for _ in range(repeats)
        ]
    names = ("seconds", "cpu_seconds", "networks_seconds", "rest_seconds")
    found: dict[str, Any] = {name: statistics.median(run[name] for run in runs) for name in names}
    stages = {name: statistics.median(run["stages"].get(name, 0.0) for run in runs) for name in runs[0]["stages"]}
    return found | {
        "peak_mib": max(run["peak_mib"] for run in runs),
        "stages_seconds": stages,
        "phases": len(exam.phases),
        "repeats": repeats,
    }


def _timed(command: list[str], out: Path) -> dict[str, Any]:
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(said.read().decode(errors="replace"))
    stages = json.loads((out / "run.json").read_text(encoding="utf-8"))["seconds"]
    networks = sum(stages.get(name, 0.0) for name in NETWORKS)
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "networks_seconds": networks,
        "rest_seconds": seconds - networks,
        "peak_mib": usage.ru_maxrss * _PEAK_BYTES / 2**20,
        "stages": stages,
    }
