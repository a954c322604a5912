"""What `dmcvr benchmark` prints. No torch here."""

from __future__ import annotations

from typing import Any


def table(found: dict[str, Any]) -> str:
    """The findings of `dmcvr.evaluate.benchmark.benchmark` as Markdown."""
    lines = ["| what | measured |", "|---|---|"]

    def add(what: str, value: str) -> None:
        lines.append(f"| {what} | {value} |")

    machine, exam = found["machine"], found["exam"]
    add("machine", f"{machine['device']}, {machine['threads']} threads, {machine['precision']}")
    add("exam", f"{exam['acquired_slices']} slices acquired, {exam['drawn_slices']} drawn")
    for name, seconds in found["stages_seconds"].items():
        add(f"stage: {name}", f"{seconds:.2f} s")
    if sure := found.get("how_sure"):
        with_, without = sure["cpu_seconds"], sure["cpu_seconds_without"]
        add(
            "intervals, maps and verdict: CPU time of a result with and without them",
            f"{with_:.1f} s against {without:.1f} s ({100 * sure['share_more']:+.0f} %)",
        )
    add("whole process, imports and writing included", _process(found["whole_process"]))
    if cine := found.get("cine"):
        add(f"whole process, a cine of {cine['phases']} phases", _process(cine))
    add("denoiser calls, slices counted one by one", str(found["denoiser_calls"]))
    denoiser = found["denoiser"]
    add(
        "denoiser",
        f"{denoiser['gflop_a_slice']:.1f} GFLOP a slice, {denoiser['gflop_per_s']:.0f} GFLOP/s, "
        f"{100 * denoiser['share_of_ceiling']:.0f} % of what a plain convolution reaches",
    )
    for batch, seconds in found["seconds_a_slice_by_batch"].items():
        add(f"a denoiser call, batch {batch}", f"{1000 * seconds:.1f} ms a slice")
    for steps, seconds in found["seconds_by_steps"].items():
        add(f"decode 16 slices in {steps} steps", f"{seconds:.2f} s")
    for count, seconds in found["seconds_by_slices"].items():
        add(f"decode {count} slices", f"{seconds:.2f} s")
    for part in found["published"]:
        calls = f"{found['published_calls']} calls, multiplied out from the fastest of {part['calls_timed']} timed"
        ratio = f"{part['ratio']:.0f} times ours in the same precision ({part['ours_seconds']:.1f} s)"
        add(
            f"published pipeline, network of {part['network']}, {part['precision']}: {calls}",
            f"{_duration(part['seconds'])} ({part['seconds_a_call']:.3f} s a call), {ratio}",
        )
    return "\n".join(lines)


def _process(found: dict[str, Any]) -> str:
    """The networks' share, and what the rest takes."""
    return (
        f"{found['seconds']:.1f} s (networks {found['networks_seconds']:.1f} s, rest {found['rest_seconds']:.1f} s; "
        f"{found['cpu_seconds']:.1f} s of all cores), {found['peak_mib']:.0f} MiB"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"
