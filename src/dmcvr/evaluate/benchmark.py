"""`dmcvr benchmark`: where the time goes, what the networks cost, and how that compares with the published pipeline.

All numbers come from one run on one machine, so that their ratios mean something anywhere. The published pipeline is
not run as a whole: of its denoiser calls a few are timed, and their time is multiplied out. Both sides of a ratio
compute in the same precision.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dmcvr.evaluate.process import timed_process
from dmcvr.evaluate.store import code_sha256
from dmcvr.exam.stack import SliceStack
from dmcvr.fill.engine import Drawing, Engine
from dmcvr.model.aligned import CONTEXT
from dmcvr.model.denoiser import Denoiser
from dmcvr.model.device import finish
from dmcvr.model.morphology import Segmenter
from dmcvr.model.presets import PAPER, Preset
from dmcvr.options import DEFAULT_WEIGHTS
from dmcvr.phantom import Scan, make_phantom
from dmcvr.reconstruction import reconstruct
from dmcvr.stages import Stages

#: The published pipeline: steps each way, one network call a step and slice.
PAPER_STEPS = 100

#: The stages of ours that stand against it.
DRAWING = ("align", "encode", "invert", "decode")

#: What is tried as things grow.
BATCHES, STEPS, SLICES = (1, 4, 16, 32), (3, 10, 20), (10, 30, 60)

#: Whole results are made so often, each way in turn.
REPEATED = 2

#: A measurement goes on for at least so long, and counts its fastest repetition.
LEAST_SECONDS = 0.5


@dataclass(frozen=True)
class Call:
    """One denoiser call: what it computes, how fast, and how many were timed (the fastest counts)."""

    gflop_a_slice: float
    seconds_a_slice: float
    timed: int

    @property
    def gflop_per_s(self) -> float:
        return self.gflop_a_slice / self.seconds_a_slice


def benchmark(
    *,
    weights: str | Path = DEFAULT_WEIGHTS,
    device: str = "auto",
    cine: int = 0,
    repeats: int = 1,
    stages: Stages | None = None,
) -> dict[str, Any]:
    """Measure everything; a dictionary for JSON and `benchmark_table.table`. Takes a few minutes on a laptop.

    The exam is one phase of a synthetic one: 10 slices 10 mm apart, filled every 1.5 mm. With `cine`, so many phases of
    it are a whole process as well. Of whole processes the median of `repeats` counts.
    """
    stages = stages or Stages()
    engine = Engine.load(weights, device=device)
    exam = make_phantom(0, Scan()).stack.select_phases([0]).without_labels()
    with stages("stages"):
        timed, counted, slices = _stages(exam, engine)
    with stages("stages, exact"):
        exactly = _stages(exam, replace(engine, precision=torch.float32))[0]
    with stages("how sure"):
        sureness = _sureness(exam, engine)
    with stages("whole process"):
        process = timed_process(exam, str(weights), device, repeats=repeats)
    beating = None
    if cine:
        with stages("whole process, a cine"):
            phases = make_phantom(0, Scan(phases=cine)).stack.without_labels()
            beating = timed_process(phases, str(weights), device, repeats=repeats)
    fast = engine.precision
    precisions = list(dict.fromkeys((fast, torch.float32)))
    with stages("network"):
        ceiling = {_name(dtype): _ceiling(engine.device, dtype) for dtype in precisions}
        denoiser, preset = engine.model.denoiser, engine.model.preset
        same = {dtype: _call(denoiser, preset, engine.device, dtype, 16) for dtype in precisions}
        growth = {batch: _call(denoiser, preset, engine.device, fast, batch).seconds_a_slice for batch in BATCHES}
    with stages("published network"):
        paper = {dtype: _paper_call(engine.device, dtype) for dtype in precisions}
    acquired, drawn = slices
    calls = PAPER_STEPS * (acquired + drawn)
    ours = {
        dtype: sum(seconds.get(stage, 0.0) for stage in DRAWING)
        for dtype, seconds in ((fast, timed), (torch.float32, exactly))
    }
    return {
        "machine": {
            "device": str(engine.device),
            "threads": torch.get_num_threads(),
            "precision": _name(fast),
            "torch": torch.__version__,
        },
        "code_sha256": code_sha256(),
        "exam": {"acquired_slices": acquired, "drawn_slices": drawn},
        "stages_seconds": timed,
        "denoiser_calls": counted,
        "how_sure": sureness,
        "whole_process": process,
        "cine": beating,
        "convolution_ceiling_gflop_per_s": ceiling,
        "denoiser": {
            "gflop_a_slice": same[fast].gflop_a_slice,
            "gflop_per_s": same[fast].gflop_per_s,
            "share_of_ceiling": same[fast].gflop_per_s / ceiling[_name(fast)],
        },
        "seconds_a_slice_by_batch": {str(batch): seconds for batch, seconds in growth.items()},
        "seconds_by_steps": {str(steps): _decode_seconds(engine, steps, 16) for steps in STEPS},
        "seconds_by_slices": {str(n): _decode_seconds(engine, engine.drawing.steps, n) for n in SLICES},
        "published_calls": calls,
        "published": [
            {
                "network": network,
                "precision": _name(dtype),
                "calls_timed": call.timed,
                "seconds_a_call": call.seconds_a_slice,
                "seconds": calls * call.seconds_a_slice,
                "ours_seconds": ours[dtype],
                "ratio": calls * call.seconds_a_slice / ours[dtype],
            }
            for network, found in (("these weights", same), ("preset paper", paper))
            for dtype, call in found.items()
        ],
    }


def _stages(exam: SliceStack, engine: Engine) -> tuple[dict[str, float], int, tuple[int, int]]:
    """Seconds of every stage, denoiser calls (slice by slice), and how many slices there are and are drawn."""
    reconstruct(exam, engine=engine, spacing_mm=3.0)  # warm
    stages = Stages()
    with _counted(engine.model.denoiser) as calls:
        heart = reconstruct(exam, engine=engine, stages=stages)
    with tempfile.TemporaryDirectory() as folder, stages("mesh and write"):
        heart.save(Path(folder) / "out")
    drawn = heart.image.data.shape[3]
    return (
        dict(stages.seconds),
        calls[0],
        (exam.images.shape[1], drawn),
    )


def _sureness(exam: SliceStack, engine: Engine) -> dict[str, float]:
    """CPU seconds of all threads for a result in its folder, with intervals, maps and verdict and without; the least of
    `REPEATED`."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPEATED):
        for intervals, found in seconds.items():
            begun = time.process_time()
            heart = reconstruct(exam, engine=engine, intervals=intervals)
            with tempfile.TemporaryDirectory() as folder:
                heart.save(Path(folder) / "out")
            found.append(time.process_time() - begun)
    with_, without = (min(found) for found in seconds.values())
    return {"cpu_seconds": with_, "cpu_seconds_without": without, "share_more": with_ / without - 1}


def _call(model: nn.Module, preset: Preset, device: torch.device, dtype: torch.dtype, batch: int) -> Call:
    """A denoiser call at this batch and precision."""
    inputs = _inputs(preset, batch, device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*inputs)

    def run() -> None:
        with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            model(*inputs)

    seconds, timed = _fastest(run, device)
    return Call(counter.get_total_flops() / 1e9 / batch, seconds / batch, timed)


def _paper_call(device: torch.device, dtype: torch.dtype) -> Call:
    """The published network's call for one slice; its weights do not matter."""
    code_channels = Segmenter(PAPER.segmenter).code_channels
    model = Denoiser(PAPER.denoiser, code_dimension=PAPER.encoder.dimension, morphology_dimension=code_channels)
    return _call(model.to(device).eval(), PAPER, device, dtype, 1)


def _inputs(preset: Preset, batch: int, device: torch.device) -> tuple[Tensor, ...]:
    size, cells = preset.size, preset.size // preset.segmenter.reduction
    parts: list[Tensor] = [
        torch.randn(batch, 1, size, size),
        torch.full((batch,), 500),
        torch.randn(batch, preset.encoder.dimension),
        torch.randn(batch, preset.segmenter.channels[-1], cells, cells),
    ]
    if preset.denoiser.surroundings:
        parts += [torch.randn(batch, CONTEXT, size, size), torch.ones(batch, CONTEXT)]
    return tuple(
        part.to(device, memory_format=torch.channels_last) if part.ndim == 4 else part.to(device) for part in parts
    )


def _decode_seconds(engine: Engine, steps: int, count: int) -> float:
    """Seconds to decode so many slices; the best of two."""
    again, fastest = (
        replace(engine, drawing=Drawing.of(engine.model.preset, **given))
        for given in ({"steps": steps}, {"steps": 1, "corrections": 0})
    )
    images = np.zeros((count, engine.model.preset.size, engine.model.preset.size), dtype=np.float32)
    codes = fastest.encode(images)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        again.decode(codes)
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def _ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of a plain 3 x 3 convolution, 96 channels at 64 px, batch 16."""
    layer = nn.Conv2d(96, 96, 3, padding=1, device=device, dtype=dtype)
    x = torch.randn(16, 96, 64, 64, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.no_grad():
            layer(x)

    return 2 * 9 * 96 * 96 * 64 * 64 * 16 / 1e9 / _fastest(run, device)[0]


def _fastest(run: Callable[[], None], device: torch.device) -> tuple[float, int]:
    """Seconds of the fastest of many repetitions, after one to warm up; and how many."""

    def once() -> float:
        begun = time.perf_counter()
        run()
        finish(device)
        return time.perf_counter() - begun

    once()
    times: list[float] = []
    while sum(times) < LEAST_SECONDS or len(times) < 2:
        times.append(once())
    return min(times), len(times)


@contextmanager
def _counted(module: nn.Module) -> Iterator[list[int]]:
    """Counts the slices that go through a network."""
    count = [0]

    def hook(_: nn.Module, inputs: tuple[Tensor, ...], __: Any) -> None:
        count[0] += len(inputs[0])

    handle = module.register_forward_hook(hook)
    try:
        yield count
    finally:
        handle.remove()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
