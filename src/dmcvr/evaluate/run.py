"""`dmcvr evaluate`: a protocol over its cases; rows, tables, plots and the worst slices."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dmcvr.errors import InputError
from dmcvr.evaluate.case import Bench, Case, Findings, Picture, Row
from dmcvr.evaluate.contenders import Contenders
from dmcvr.evaluate.long_axis import phantom_views
from dmcvr.evaluate.page import write_evaluation
from dmcvr.evaluate.plots import contact_sheet
from dmcvr.evaluate.protocols import PROTOCOLS, Protocol
from dmcvr.evaluate.tables import Table
from dmcvr.fill.engine import Engine
from dmcvr.io.acdc import list_patients, read_acdc
from dmcvr.io.folder import check_output_folder, whole_folder
from dmcvr.io.mnms2 import read_mnms2
from dmcvr.io.read import read_exam
from dmcvr.options import DEFAULT_WEIGHTS
from dmcvr.phantom import make_phantom
from dmcvr.stages import Stages
from dmcvr.train.split import BUNDLED_SPLIT, Split

Patients = Literal["validation", "development", "all"]


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    `rows` are one a patient, phase, slice and method; `tables` sum them up; `run` says how it was made.
    """

    protocol: Protocol
    rows: list[Row]
    tables: list[Table]
    run: dict[str, Any]

    def markdown(self, *, whole: bool = True) -> str:
        """The definition and all tables; or all but the further ones."""
        tables = [table for table in self.tables if whole or not table.further]
        return "\n\n".join(([self.protocol.definition] if whole else []) + [table.markdown() for table in tables])


def evaluate(
    protocol: str,
    data: Path | None = None,
    *,
    methods: tuple[str, ...] | None = None,
    output: Path | None = None,
    patients: Patients = "validation",
    split: Path | None = None,
    keep_every: int = 2,
    exams: int = 6,
    steps: int | None = None,
    device: str = "auto",
    weights: str | Path = DEFAULT_WEIGHTS,
    stages: Stages | None = None,
) -> Evaluation:
    """Run a protocol.

    ==========  ============================================================================================
    protocol    a name in `protocols.PROTOCOLS`
    data        folder of labelled patients (ACDC's layout), or for long-axis of M&Ms-2 patients, or for cine a 4D
                exam or a folder of such files (`*4d.nii.gz`, at any depth)
    methods     contenders by name (see `contenders`); default: the protocol's own
    output      folder for rows.csv, summary.json, report.md, report.html and pictures; goes on if interrupted
    patients    of the split: validation, development, or all that were not trained on
    split       JSON file; default: the bundled weights' own
    keep_every  held-out and ablation: one slice in so many is kept
    exams       phantom, and long-axis without data: how many synthetic hearts (seeds from 0)
    steps       DDIM steps of ours where a contender does not say; default: the preset's
    ==========  ============================================================================================

    Raises `InputError` for anything that cannot be used, before any work is done.
    """
    _check(protocol, keep_every, exams)
    chosen = PROTOCOLS[protocol]
    stages = stages or Stages()
    if output is not None:
        check_output_folder(output)
    cases = dict(_cases(chosen, data, patients, split, exams))
    engine = Engine.load(weights, device=device, steps=steps)
    contenders = Contenders(methods or chosen.methods, engine=engine).all
    bench = Bench(engine, contenders, keep_every)
    run = {
        "protocol": protocol,
        "methods": [contender.name for contender in contenders],
        "patients": list(cases),
        "keep_every": keep_every,
        "steps": engine.drawing.steps,
        "weights_sha256": engine.info.sha256 if engine.info else None,
        "dmcvr": version("dmcvr"),
        "device": str(engine.device),
        "precision": str(engine.precision).removeprefix("torch."),
    }
    parts = _Parts(output, run)
    rows: list[Row] = []
    pictures: list[Picture] = []
    with stages(protocol, len(cases)) as advance:
        for name, load in cases.items():
            findings = parts.load(name)
            if findings is None:
                findings = chosen.measure(load(), bench)
                parts.save(name, findings)
            rows += findings.rows
            pictures += findings.pictures
            advance()
    if not rows:
        raise InputError(
            f"No exam under {data} has what {protocol} needs (enough slices or phases, or both ED and ES)."
        )
    evaluation = Evaluation(chosen, rows, chosen.tabulate(rows, contenders), run)
    if output is not None:
        _write(evaluation, pictures, output)
        parts.remove()
    return evaluation


def _check(protocol: str, keep_every: int, exams: int) -> None:
    if protocol not in PROTOCOLS:
        raise InputError(f"Unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}.")
    if keep_every < 2 or exams < 1:
        raise InputError(f"Expected --keep-every of 2 or more and at least one exam; got {keep_every} and {exams}.")
    missing = [package for package in ("monai", "matplotlib") if find_spec(package) is None]
    if missing:
        raise InputError(f"Evaluation needs {' and '.join(missing)}: pip install 'dmcvr[evaluate]'.")


def _cases(
    protocol: Protocol, data: Path | None, patients: Patients, split: Path | None, exams: int
) -> Iterator[tuple[str, Callable[[], Case]]]:
    """(name, loader) of every case."""
    if protocol.source == "phantoms" or (protocol.source == "views" and data is None):
        if data is not None:
            raise InputError("This protocol makes its own synthetic exams: leave out --data (see --exams).")
        for seed in range(exams):
            yield f"phantom{seed:03d}", lambda seed=seed: _phantom(seed)  # type: ignore[misc]
    elif protocol.source == "cines":
        yield from _cines(data)
    elif data is None:
        raise InputError("This protocol needs patients with manual labels: give their folder with --data.")
    elif protocol.source == "views":
        folders = sorted(f for f in data.iterdir() if f.is_dir()) if data.is_dir() else []
        for folder in folders or [data]:
            yield folder.name, lambda folder=folder: _with_views(folder)  # type: ignore[misc]
    else:
        known = Split.read(split or BUNDLED_SPLIT)
        found = list_patients(data)
        chosen = [
            folder
            for folder in found
            if (folder.name not in known.train if patients == "all" else folder.name in getattr(known, patients))
        ]
        if not chosen:
            raise InputError(
                f"None of the split's {patients} patients is under {data}: give a split with --split, or take all that "
                "were not trained on (--patients all)."
            )
        for folder in chosen:
            yield folder.name, lambda folder=folder: Case(folder.name, read_acdc(folder, with_labels=True))  # type: ignore[misc]


def _cines(data: Path | None) -> Iterator[tuple[str, Callable[[], Case]]]:
    if data is None:
        raise InputError("This protocol needs a 4D exam: give the file, or a folder of them, with --data.")
    files = sorted(data.rglob("*4d.nii*")) if data.is_dir() else [data]
    if not files:
        raise InputError(f"No 4D exam (a file named *4d.nii.gz) under {data}: give the file itself with --data.")
    for file in files:
        inside = file.relative_to(data) if data.is_dir() else Path(file.name)
        name = "_".join(inside.parts).split(".nii")[0]
        yield name, lambda file=file, name=name: Case(name, read_exam(file))  # type: ignore[misc]


def _phantom(seed: int) -> Case:
    exam = make_phantom(seed)
    return Case(f"phantom{seed:03d}", exam.stack, exam, phantom_views(exam))


def _with_views(folder: Path) -> Case:
    stack, views = read_mnms2(folder)
    return Case(folder.name, stack, views=views)


class _Parts:
    """The findings of finished cases beside the output, so that an interrupted evaluation goes on.

    They are kept under a name that depends on the settings: other settings, weights or version start anew.
    """

    def __init__(self, output: Path | None, run: dict[str, Any]) -> None:
        self._folder: Path | None = None
        if output is not None:
            settings = {key: value for key, value in run.items() if key != "patients"}
            digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
            self._folder = output.absolute().parent / f".{output.name}-{digest}.partial"

    def load(self, name: str) -> Findings | None:
        if self._folder is None or not (self._folder / f"{name}.json").is_file():
            return None
        record = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        with np.load(self._folder / f"{name}.npz", allow_pickle=False) as arrays:
            pictures = [
                Picture(p["title"], p["score"], tuple(p["names"]), arrays[f"images{n}"], arrays[f"labels{n}"])
                for n, p in enumerate(record["pictures"])
            ]
        return Findings(record["rows"], pictures)

    def save(self, name: str, findings: Findings) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"images{n}": p.images for n, p in enumerate(findings.pictures)}
        arrays |= {f"labels{n}": p.labels for n, p in enumerate(findings.pictures)}
        np.savez_compressed(self._folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        pictures = [{"title": p.title, "score": p.score, "names": p.names} for p in findings.pictures]
        partial = self._folder / f"{name}.json.partial"
        partial.write_text(json.dumps({"rows": findings.rows, "pictures": pictures}), encoding="utf-8")
        partial.replace(partial.with_suffix(""))  # last: a part is whole when its .json is there

    def remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _write(evaluation: Evaluation, pictures: list[Picture], output: Path) -> None:
    summary = {"run": evaluation.run, "tables": {t.title: t.numbers for t in evaluation.tables}}
    with whole_folder(output) as partial:
        with (partial / "rows.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(evaluation.rows[0]))
            writer.writeheader()
            writer.writerows(evaluation.rows)
        (partial / "summary.json").write_text(json.dumps(_plain(summary), indent=1) + "\n", encoding="utf-8")
        (partial / "run.json").write_text(json.dumps(evaluation.run, indent=2) + "\n", encoding="utf-8")
        (partial / "report.md").write_text(evaluation.markdown() + "\n", encoding="utf-8")
        evaluation.protocol.plot(partial / "plot.png", evaluation.rows)
        if pictures:
            contact_sheet(partial / "worst.png", pictures)
        write_evaluation(partial, evaluation.protocol.definition, evaluation.tables, evaluation.run)


def _plain(value: Any) -> Any:
    """The same with null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
