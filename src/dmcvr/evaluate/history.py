"""A benchmark's history: a JSON object a line, a line a run, so that a slower commit is seen. No torch here."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dmcvr.errors import InputError

#: What is followed: a process's seconds and memory.
NUMBERS = ("seconds", "networks_seconds", "rest_seconds", "peak_mib")

#: A run that takes this many times the median of the last runs on such a machine is slower.
SLOWER = 1.15

#: So many of the last runs count.
LAST = 5


def entry(found: dict[str, Any]) -> dict[str, Any]:
    """A run's line. Seconds are also told in units of the machine's own convolutions, in TFLOP that it could have done
    meanwhile: machines that are busy or slow differ less in those."""
    ceiling = found["convolution_ceiling_gflop_per_s"][found["machine"]["precision"]]
    numbers: dict[str, float] = {}
    for name in ("whole_process", "cine"):
        for number in NUMBERS if found.get(name) else ():
            value = found[name][number]
            numbers[f"{name}.{number}"] = round(value, 3)
            if number.endswith("seconds"):
                numbers[f"{name}.{number.removesuffix('seconds')}tflop"] = round(value * ceiling / 1000, 4)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_sha256": found["code_sha256"],
        "machine": found["machine"],
        "cine_phases": (found.get("cine") or {}).get("phases"),
        "numbers": numbers,
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a history, the oldest first; none of a file that is not there. Raises `InputError` for another."""
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [line for line in lines if line["numbers"] is not None and line["machine"] is not None]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no history of dmcvr benchmark: choose another file for --history.") from error


def append(path: Path, line: dict[str, Any]) -> None:
    """Write one more line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def slower(before: list[dict[str, Any]], now: dict[str, Any]) -> list[str]:
    """Sentences: what takes longer, or more memory, than in the last runs on such a machine; seconds by TFLOP."""
    alike = [line for line in before if all(line.get(key) == now[key] for key in ("machine", "cine_phases"))][-LAST:]
    said = []
    for name, value in now["numbers"].items():
        known = [line["numbers"][name] for line in alike if name in line["numbers"]]
        if name.endswith("seconds") or not known:
            continue
        usual = statistics.median(known)
        if value > SLOWER * usual:
            unit = "MiB" if name.endswith("peak_mib") else "TFLOP of this machine's convolutions"
            said.append(
                f"{name} is {value / usual:.2f} times what it was: {value:.4g} {unit}, the median of the last "
                f"{len(known)} runs is {usual:.4g}."
            )
    return said
